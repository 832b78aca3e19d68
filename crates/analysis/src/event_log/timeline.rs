//! What is known of the composition of memory at certain moments of a recording.

use std::collections::BTreeMap;

use heapsight_capture::model::{Counters, SiteId, Totals};

/// Blocks of one site that came and went together, as far as the moments can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The first moment at which they were live.
    pub first: u32,
    /// The first moment after that at which they were not; `None` if there is none.
    pub end: Option<u32>,
    /// How many there are.
    pub blocks: u64,
    /// Their size.
    pub bytes: u64,
}

/// A moment, and the span since the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Nanoseconds since the start of the recording.
    pub elapsed_ns: u64,
    /// Resident memory of the process at the moment.
    pub rss_bytes: u64,
    /// Live bytes at the moment, where the composition is not known.
    pub live_bytes: u64,
    /// Live bytes when there were most since the moment before.
    pub highest_bytes: u64,
}

/// The moments of a recording, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    /// All but the end.
    pub spans: Vec<Span>,
    /// When the recording ended: nanoseconds since its start.
    pub end_ns: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Amount {
    bytes: u64,
    blocks: u64,
}

impl Amount {
    fn add(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.blocks = self.blocks.saturating_add(other.blocks);
    }

    fn sub(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_sub(other.bytes);
        self.blocks = self.blocks.saturating_sub(other.blocks);
    }
}

/// What changes at a moment for one site.
#[derive(Clone, Copy, Debug, Default)]
struct Change {
    came: Amount,
    went: Amount,
}

/// By moment and site.
type Changes = BTreeMap<(u32, SiteId), Change>;

#[derive(Debug, Default)]
pub(super) struct Timeline {
    live: Changes,
    highest: Changes,
}

impl Timeline {
    pub(super) fn live(&mut self, site: SiteId, lifetime: Lifetime) {
        note(&mut self.live, site, lifetime);
    }

    pub(super) fn at_highest(&mut self, site: SiteId, lifetime: Lifetime) {
        note(&mut self.highest, site, lifetime);
    }

    /// Goes through the moments in order.
    pub(super) fn sweep(self, sites: usize) -> Sweep {
        Sweep {
            is_known: !self.live.is_empty(),
            timeline: self,
            counters: vec![Counters::default(); sites],
            highest: vec![Amount::default(); sites],
            behind: Vec::new(),
            totals: Totals::default(),
        }
    }
}

fn note(changes: &mut Changes, site: SiteId, lifetime: Lifetime) {
    let amount = Amount {
        bytes: lifetime.bytes,
        blocks: lifetime.blocks,
    };
    let came = changes.entry((lifetime.first, site)).or_default();
    came.came.add(amount);
    if let Some(end) = lifetime.end {
        let went = changes.entry((end, site)).or_default();
        went.went.add(amount);
    }
}

/// The figures as of one moment after the other.
#[derive(Debug)]
pub(super) struct Sweep {
    timeline: Timeline,
    /// Whether the composition is known at all.
    is_known: bool,
    counters: Vec<Counters>,
    /// What was live when memory was highest in the last span.
    highest: Vec<Amount>,
    /// Sites whose part in the highest moment changed since the last peak.
    behind: Vec<SiteId>,
    totals: Totals,
}

impl Sweep {
    /// Totals at the next moment, and the sites whose counters changed. `last` are the figures at the end, which none exceeds.
    pub(super) fn next(
        &mut self,
        index: u32,
        span: &Span,
        peak_bytes: u64,
        last: &[Counters],
    ) -> (Totals, Vec<(SiteId, Counters)>) {
        let mut touched = Vec::new();
        for (site, change) in take(&mut self.timeline.live, index) {
            let (counters, last) = (&mut self.counters[site as usize], &last[site as usize]);
            counters.allocated_bytes += change.came.bytes;
            counters.allocated_blocks += change.came.blocks;
            counters.freed_bytes += change.went.bytes;
            counters.freed_blocks += change.went.blocks;
            counters.allocated_bytes = counters.allocated_bytes.min(last.allocated_bytes);
            counters.allocated_blocks = counters.allocated_blocks.min(last.allocated_blocks);
            counters.freed_bytes = counters.freed_bytes.min(last.freed_bytes);
            counters.freed_blocks = counters.freed_blocks.min(last.freed_blocks);
            let totals = &mut self.totals;
            totals.live_bytes += change.came.bytes;
            totals.live_bytes = totals.live_bytes.saturating_sub(change.went.bytes);
            totals.live_blocks += change.came.blocks;
            totals.live_blocks = totals.live_blocks.saturating_sub(change.went.blocks);
            touched.push(site);
        }
        for (site, change) in take(&mut self.timeline.highest, index) {
            let amount = &mut self.highest[site as usize];
            amount.add(change.came);
            amount.sub(change.went);
            self.behind.push(site);
        }
        if !self.is_known {
            self.totals.live_bytes = span.live_bytes;
        }
        let highest = span.highest_bytes.min(peak_bytes);
        if highest > self.totals.peak_bytes {
            self.totals.peak_bytes = highest;
            for site in std::mem::take(&mut self.behind) {
                let (counters, amount) = (
                    &mut self.counters[site as usize],
                    self.highest[site as usize],
                );
                counters.peak_bytes = amount.bytes;
                counters.peak_blocks = amount.blocks;
                touched.push(site);
            }
        }
        touched.sort_unstable();
        touched.dedup();
        let changed = touched.into_iter();
        let changed = changed.map(|site| (site, self.counters[site as usize]));
        (self.totals, changed.collect())
    }
}

/// Takes out the changes at and before a moment.
fn take(changes: &mut Changes, index: u32) -> impl Iterator<Item = (SiteId, Change)> + use<> {
    let later = changes.split_off(&(index + 1, 0));
    let now = std::mem::replace(changes, later);
    now.into_iter().map(|((_, site), change)| (site, change))
}
