//! Against a plain model: the same ticks, all of them kept.

use std::collections::BTreeMap;

use heapsight_capture::TickSummary;
use heapsight_capture::model::{Domain, Site};
use proptest::prelude::*;

use super::*;

const MILLISECOND: u64 = 1_000_000;

/// A tick as a test says it: for some sites, bytes allocated and freed in it.
type Told = Vec<(u8, u32, u32)>;

fn follow(ticks: &[Told], limits: ColumnLimits, kept_ns: &[u64]) -> (Columns, Vec<Capture>) {
    let mut columns = Columns::new(limits, kept_ns);
    let mut capture = Capture::default();
    let mut seen = Vec::new();
    let site = |_| Site {
        node: 0,
        domain: Domain::OBJ,
    };
    capture.tables.sites = (0..=u8::MAX).map(site).collect();
    capture.tables.counters = vec![Counters::default(); capture.tables.sites.len()];
    for (index, tick) in (1_u64..).zip(ticks) {
        let mut changed = Vec::new();
        for (site, allocated, freed) in tick {
            let counters = &mut capture.tables.counters[usize::from(*site)];
            counters.allocated_bytes += u64::from(*allocated);
            counters.freed_bytes += u64::from(*freed);
            changed.push(SiteId::from(*site));
        }
        let live_bytes = capture
            .tables
            .counters
            .iter()
            .map(Counters::live_bytes)
            .sum();
        let peak_bytes = capture
            .timeline
            .last()
            .map_or(0, |point| point.peak_bytes)
            .max(live_bytes);
        capture.timeline.push(TickSummary {
            elapsed_ns: index * 100 * MILLISECOND,
            live_bytes,
            peak_bytes,
            ..TickSummary::default()
        });
        columns.tick(&capture, &changed);
        seen.push(capture.clone());
    }
    columns.finish();
    (columns, seen)
}

fn told() -> impl Strategy<Value = Vec<Told>> {
    let change = (any::<u8>(), any::<u32>(), any::<u32>());
    prop::collection::vec(prop::collection::vec(change, 0..6), 0..150)
}

proptest! {
    #[test]
    fn at_the_end_of_every_span_the_sums_are_what_the_tick_says(
        ticks in told(), limit in 8_usize..40, kept in 0_u64..15_000
    ) {
        let limits = ColumnLimits { columns: limit, bytes: 1 << 20 };
        let (columns, seen) = follow(&ticks, limits, &[kept * MILLISECOND]);
        let mut sums: BTreeMap<SiteId, SiteChange> = BTreeMap::new();
        let ends: Vec<u64> = columns.ends_ns().collect();
        prop_assert!(ends.len() <= 2 * limit);
        for (index, end) in ends.iter().enumerate() {
            let mut last = None;
            for (site, change) in columns.column(index) {
                prop_assert!(last < Some(site), "ascending");
                last = Some(site);
                *sums.entry(site).or_default() += change;
            }
            let at = seen.iter().find(|then| then.timeline.last().map(|of| of.elapsed_ns) == Some(*end));
            let at = at.expect("a span ends at a tick");
            for (site, counters) in (0..).zip(&at.tables.counters) {
                let sum = sums.get(&site).copied().unwrap_or_default();
                prop_assert_eq!(sum, SiteChange::so_far(counters));
            }
        }
        let last_tick = seen.last().and_then(|then| then.timeline.last());
        prop_assert_eq!(ends.last().copied(), last_tick.map(|of| of.elapsed_ns));
        // The moment that was asked for, and the peak, are ends of spans.
        let mut ticks = seen.iter().filter_map(|then| then.timeline.last());
        let before = ticks.rfind(|of| of.elapsed_ns <= kept * MILLISECOND);
        prop_assert!(before.is_none_or(|of| ends.contains(&of.elapsed_ns)));
        if let Some((peak_ns, 1..)) = seen.last().and_then(Capture::peak) {
            prop_assert!(ends.contains(&peak_ns));
        }
    }

    #[test]
    fn shrinking_keeps_the_sums(ticks in told(), most in 0_usize..300) {
        let limits = ColumnLimits { columns: 200, bytes: 1 << 20 };
        let (mut columns, _) = follow(&ticks, limits, &[]);
        let sum = |columns: &Columns| {
            let mut sum = SiteChange::default();
            for index in 0..columns.ends_ns().count() {
                columns.column(index).for_each(|(_, change)| sum += change);
            }
            sum
        };
        let before = sum(&columns);
        columns.shrink_to(most);
        prop_assert_eq!(sum(&columns), before);
        prop_assert!(columns.changes() <= most || columns.ends_ns().count() <= 2 * FEWEST);
    }
}

#[test]
fn many_changes_are_kept_in_fewer_spans_and_not_in_more_memory() {
    let tick: Told = (0..=u8::MAX).map(|site| (site, 1 << 20, 1 << 19)).collect();
    let limits = ColumnLimits {
        columns: 200,
        bytes: 30_000,
    };
    let (columns, _) = follow(&vec![tick; 500], limits, &[]);
    let kept = columns.ends_ns().count();
    assert!((FEWEST / 2..=FEWEST + 1).contains(&kept), "{kept} spans");
    assert!(columns.bytes <= 2 * 30_000, "{} bytes", columns.bytes);
}
