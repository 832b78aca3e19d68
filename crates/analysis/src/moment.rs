//! The tables of a recording as of one moment, or between two.

use heapsight_capture::model::{Counters, Tables};

/// Puts into counters of the tick at which a recording's peak was first known what its last tick knows of the peak.
///
/// The program goes on while a tick is written: the total may know of a peak that a site's counters, read a moment
/// before, lack a part of. Later ticks have all of it. `now` becomes as long as `last`: sites are only ever added.
pub fn settle_peak(now: &mut Vec<Counters>, last: &[Counters]) {
    now.resize(last.len().max(now.len()), Counters::default());
    for (now, last) in now.iter_mut().zip(last) {
        now.peak_bytes = last.peak_bytes;
        now.peak_blocks = last.peak_blocks;
        now.allocated_bytes = now.allocated_bytes.max(last.peak_bytes);
        now.allocated_blocks = now.allocated_blocks.max(last.peak_blocks);
    }
}

/// Makes the blocks that were live at the peak the live ones, so that every live figure is one of the peak.
///
/// What was allocated stays what it was at the tick of these tables; what was freed is what is missing from it at the
/// peak.
pub fn live_at_peak(tables: &mut Tables) {
    let mut blocks = 0_u64;
    for counters in &mut tables.counters {
        // The peak came before the tick, so no more can have been live then than had been allocated by now.
        counters.peak_bytes = counters.peak_bytes.min(counters.allocated_bytes);
        counters.peak_blocks = counters.peak_blocks.min(counters.allocated_blocks);
        counters.freed_bytes = counters.allocated_bytes - counters.peak_bytes;
        counters.freed_blocks = counters.allocated_blocks - counters.peak_blocks;
        blocks = blocks.saturating_add(counters.peak_blocks);
    }
    tables.totals.live_bytes = tables.totals.peak_bytes;
    tables.totals.live_blocks = blocks;
}

/// Reduces `tables` to what happened after a moment at which the counters were `earlier` (of the same recording, so
/// with the same ids).
///
/// Allocated, freed and temporary figures are exact. Live figures become what each site gained: what it allocated since
/// and did not free again. A site that lost memory has none. Counters do not tell apart which of its blocks a site
/// freed, so where older ones were freed too the gain is less than what is left of the new ones. Peak figures stay.
pub fn since(tables: &mut Tables, earlier: &[Counters]) {
    for (counters, old) in tables.counters.iter_mut().zip(earlier) {
        for (now, before) in [
            (&mut counters.allocated_bytes, old.allocated_bytes),
            (&mut counters.allocated_blocks, old.allocated_blocks),
            (&mut counters.freed_bytes, old.freed_bytes),
            (&mut counters.freed_blocks, old.freed_blocks),
            (&mut counters.temporary_bytes, old.temporary_bytes),
            (&mut counters.temporary_blocks, old.temporary_blocks),
        ] {
            *now = now.saturating_sub(before);
        }
    }
}

/// Makes the live figures of `source` the peak figures of `tables`: for a span of time whose highest moment `source`
/// was. Sites that `source` does not know yet had nothing then.
pub fn set_peak(tables: &mut Tables, source: &[Counters]) {
    let nothing = Counters::default();
    let before = source.iter().chain(std::iter::repeat(&nothing));
    for (counters, then) in tables.counters.iter_mut().zip(before) {
        counters.peak_bytes = then.live_bytes();
        counters.peak_blocks = then.live_blocks();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(allocated: u64, freed: u64, peak: u64) -> Counters {
        Counters {
            allocated_bytes: allocated * 100,
            allocated_blocks: allocated,
            freed_bytes: freed * 100,
            freed_blocks: freed,
            temporary_bytes: freed * 10,
            temporary_blocks: freed / 10,
            peak_bytes: peak * 100,
            peak_blocks: peak,
        }
    }

    fn tables(counters: Vec<Counters>) -> Tables {
        let mut tables = Tables {
            counters,
            ..Tables::default()
        };
        tables.totals.peak_bytes = tables.counters.iter().map(|of| of.peak_bytes).sum();
        tables
    }

    #[test]
    fn at_the_peak_live_is_what_was_live_then() {
        let mut tables = tables(vec![counters(10, 9, 7), counters(5, 0, 2)]);
        live_at_peak(&mut tables);
        let live: Vec<(u64, u64)> = tables
            .counters
            .iter()
            .map(|of| (of.live_bytes(), of.live_blocks()))
            .collect();
        assert_eq!(live, [(700, 7), (200, 2)]);
        assert_eq!(
            (tables.totals.live_bytes, tables.totals.live_blocks),
            (900, 9)
        );
        assert_eq!(tables.counters[0].allocated_bytes, 1000);
    }

    #[test]
    fn a_peak_above_what_was_allocated_does_not_underflow() {
        let mut tables = tables(vec![counters(1, 0, 9)]);
        live_at_peak(&mut tables);
        assert_eq!(tables.counters[0].live_blocks(), 1);
    }

    #[test]
    fn between_two_moments_a_site_has_what_it_gained() {
        let mut tables = tables(vec![
            counters(10, 4, 6),
            counters(5, 5, 3),
            counters(3, 0, 3),
        ]);
        since(&mut tables, &[counters(6, 2, 6), counters(5, 1, 3)]);
        let [grown, lost, new] = &tables.counters[..] else {
            panic!("three sites");
        };
        assert_eq!((grown.allocated_blocks, grown.freed_blocks), (4, 2));
        assert_eq!(grown.live_bytes(), 200);
        assert_eq!((lost.allocated_blocks, lost.live_blocks()), (0, 0));
        assert_eq!(new.live_blocks(), 3);
    }

    #[test]
    fn a_span_takes_its_peak_from_its_highest_moment() {
        let mut tables = tables(vec![counters(10, 9, 9), counters(5, 0, 0)]);
        set_peak(&mut tables, &[counters(4, 1, 0)]);
        assert_eq!(tables.counters[0].peak_blocks, 3);
        assert_eq!(tables.counters[1].peak_blocks, 0);
    }
}
