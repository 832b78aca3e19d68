//! Goes to a moment: replaces the tables of a whole recording by those of the moment, or by what happened between two.

use std::io::Read;

use heapsight_capture::{Capture, ReadError, Replay, TickSummary};

use super::{Moment, Reached, SeekTarget};
use crate::moment::{live_at_peak, set_peak, settle_peak, since};

/// Replaces the tables of a whole `capture` by those of the moment, which are read from `source` again.
pub(super) fn seek(
    mut capture: Capture,
    when: SeekTarget,
    source: impl Read,
) -> Result<(Capture, Reached), ReadError> {
    let last_ns = capture.timeline.last().map(|point| point.elapsed_ns);
    let peak_ns = capture.peak().map(|(elapsed_ns, _)| elapsed_ns);
    // The tick that tells of a moment; `None` before the first one.
    let tick = |instant: Moment| match instant {
        Moment::Start => None,
        Moment::Peak => peak_ns,
        Moment::End => last_ns,
        Moment::At(elapsed_ns) => last_tick(&capture.timeline, elapsed_ns),
    };
    let mut replay = Replay::open(source)?;
    let (from, to) = match when {
        SeekTarget::At(instant) => {
            let elapsed_ns = tick(instant);
            if let Some(elapsed_ns) = elapsed_ns {
                replay.advance_until(elapsed_ns)?;
            }
            let mut reached = replay.into_capture();
            capture.blocks = reached.blocks;
            if let (Moment::Peak, Some(elapsed_ns)) = (instant, elapsed_ns) {
                settle_peak(&mut reached.tables.counters, &capture.tables.counters);
                capture.tables.counters = reached.tables.counters;
                capture.tables.totals = reached.tables.totals;
                live_at_peak(&mut capture.tables);
                return Ok((capture, Reached::Peak { elapsed_ns }));
            }
            capture.tables = reached.tables;
            let moment = elapsed_ns.map_or(Reached::Start, |elapsed_ns| Reached::At {
                elapsed_ns,
                asked_ns: match instant {
                    Moment::At(asked_ns) => asked_ns,
                    _ => elapsed_ns,
                },
            });
            return Ok((capture, moment));
        }
        SeekTarget::Between(from, to) => (tick(from), tick(to)),
    };
    let mut earlier = Vec::new();
    if let Some(from) = from {
        replay.advance_until(from)?;
        earlier.clone_from(&replay.capture().tables.counters);
    }
    // The highest moment of the span, if it is not a new peak of the whole recording, which keeps its own composition.
    let in_span = |point: &&TickSummary| {
        from.is_none_or(|from| point.elapsed_ns > from)
            && to.is_some_and(|to| point.elapsed_ns <= to)
    };
    let peak_before = match from {
        Some(_) => replay.capture().tables.totals.peak_bytes,
        None => 0,
    };
    let highest = capture
        .timeline
        .iter()
        .filter(in_span)
        .max_by_key(|point| point.live_bytes)
        .copied();
    let mut at_highest = None;
    if let Some(highest) = highest {
        replay.advance_until(highest.elapsed_ns)?;
        at_highest = Some(replay.capture().tables.counters.clone());
    }
    if let Some(to) = to {
        replay.advance_until(to)?;
    }
    let reached = replay.into_capture();
    capture.tables = reached.tables;
    capture.blocks = None;
    let has_new_peak = capture.tables.totals.peak_bytes > peak_before;
    if let Some(counters) = at_highest.filter(|_| !has_new_peak) {
        set_peak(&mut capture.tables, &counters);
    }
    since(&mut capture.tables, &earlier);
    let moment = Reached::Between {
        from_ns: from.unwrap_or(0),
        to_ns: to.unwrap_or(0),
    };
    Ok((capture, moment))
}

/// The time of the last tick that is not after `elapsed_ns`, as far as people read and write times: to the millisecond.
fn last_tick(timeline: &[TickSummary], elapsed_ns: u64) -> Option<u64> {
    const MILLISECOND: u64 = 1_000_000;
    let asked_ms = elapsed_ns / MILLISECOND;
    let known = timeline.partition_point(|point| point.elapsed_ns / MILLISECOND <= asked_ms);
    timeline[..known].last().map(|point| point.elapsed_ns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use heapsight_capture::model::{Counters, Domain, Node, Site, Totals};
    use heapsight_capture::{Header, Tick, Writer};

    const SECOND: u64 = 1_000_000_000;

    /// One site whose live bytes at 1 s, 2 s … are given, with blocks of one byte; each tick allocates what is new and
    /// frees what is gone.
    fn recording(live: &[u64]) -> Vec<u8> {
        let mut writer = Writer::create(Vec::new(), &Header::default()).expect("a Vec");
        let mut counters = Counters::default();
        for (second, bytes) in (1..).zip(live) {
            let now = counters.live_bytes();
            counters.allocated_bytes += bytes.saturating_sub(now);
            counters.freed_bytes += now.saturating_sub(*bytes);
            counters.peak_bytes = counters.peak_bytes.max(*bytes);
            let is_first = second == 1;
            writer
                .tick(&Tick {
                    elapsed_ns: second * SECOND,
                    totals: Totals {
                        live_bytes: *bytes,
                        peak_bytes: counters.peak_bytes,
                        ..Totals::default()
                    },
                    new_nodes: if is_first { &[ROOT_NODE] } else { &[] },
                    new_sites: if is_first { &[ROOT_SITE] } else { &[] },
                    changed: &[(0, counters)],
                    ..Tick::default()
                })
                .expect("a Vec");
        }
        writer
            .finish(&heapsight_capture::End::default())
            .expect("a Vec")
    }

    const ROOT_NODE: Node = Node {
        parent: 0,
        code: 0,
        line: 0,
    };
    const ROOT_SITE: Site = Site {
        node: 0,
        domain: Domain::OBJ,
    };

    /// (live, allocated, freed, peak) bytes of the one site.
    fn figures(live: &[u64], when: SeekTarget) -> (u64, u64, u64, u64) {
        let file = recording(live);
        let capture = Capture::read(&file[..]).expect("readable");
        let (capture, _) = seek(capture, when, &file[..]).expect("readable");
        let counters = capture.tables.counters.first().copied().unwrap_or_default();
        (
            counters.live_bytes(),
            counters.allocated_bytes,
            counters.freed_bytes,
            counters.peak_bytes,
        )
    }

    #[test]
    fn a_moment_is_that_of_the_last_tick_before_it() {
        let live = [10, 50, 20];
        let at = |ns| figures(&live, SeekTarget::At(Moment::At(ns)));
        assert_eq!(at(SECOND / 2), (0, 0, 0, 0));
        assert_eq!(at(SECOND), (10, 10, 0, 10));
        assert_eq!(at(3 * SECOND - 1), (50, 50, 0, 50));
        assert_eq!(at(u64::MAX), (20, 50, 30, 50));
        assert_eq!(
            figures(&live, SeekTarget::At(Moment::Peak)),
            (50, 50, 0, 50)
        );
    }

    #[test]
    fn the_moment_that_is_told_is_that_of_the_tick_and_not_the_one_asked_for() {
        let file = recording(&[10, 50, 20]);
        let moment = |when| {
            let capture = Capture::read(&file[..]).expect("readable");
            seek(capture, when, &file[..]).expect("readable").1
        };
        let at = |asked_ns| moment(SeekTarget::At(Moment::At(asked_ns)));
        let tick = |elapsed_ns, asked_ns| Reached::At {
            elapsed_ns,
            asked_ns,
        };
        assert_eq!(at(SECOND * 5 / 2), tick(2 * SECOND, SECOND * 5 / 2));
        assert_eq!(at(2 * SECOND), tick(2 * SECOND, 2 * SECOND));
        assert_eq!(at(u64::MAX), tick(3 * SECOND, u64::MAX));
        assert_eq!(at(SECOND - 1), Reached::Start);
        assert_eq!(moment(SeekTarget::At(Moment::Start)), Reached::Start);
        let between = |from, to| moment(SeekTarget::Between(Moment::At(from), Moment::At(to)));
        assert_eq!(
            between(SECOND / 2, SECOND * 5 / 2),
            Reached::Between {
                from_ns: 0,
                to_ns: 2 * SECOND
            }
        );
        assert_eq!(
            between(SECOND * 3 / 2, 9 * SECOND),
            Reached::Between {
                from_ns: SECOND,
                to_ns: 3 * SECOND
            }
        );
    }

    #[test]
    fn a_time_that_was_shown_leads_back_to_its_tick() {
        let at = |elapsed_ns| TickSummary {
            elapsed_ns,
            ..TickSummary::default()
        };
        let timeline = [at(90_100_000), at(190_900_000), at(290_000_000)];
        assert_eq!(last_tick(&timeline, 190_000_000), Some(190_900_000));
        assert_eq!(last_tick(&timeline, 189_999_999), Some(90_100_000));
        assert_eq!(last_tick(&timeline, 89_999_999), None);
        assert_eq!(last_tick(&[], 7), None);
    }

    #[test]
    fn the_peak_is_whole_though_its_first_tick_was_written_in_the_middle_of_it() {
        let mut writer = Writer::create(Vec::new(), &Header::default()).expect("a Vec");
        let counters = |allocated_bytes, freed_bytes, peak_bytes| Counters {
            allocated_bytes,
            freed_bytes,
            peak_bytes,
            ..Counters::default()
        };
        let totals = |live_bytes| Totals {
            live_bytes,
            peak_bytes: 100,
            ..Totals::default()
        };
        let other = Site {
            domain: Domain::RAW,
            ..ROOT_SITE
        };
        let first = Tick {
            elapsed_ns: SECOND,
            totals: totals(100),
            new_nodes: &[ROOT_NODE],
            new_sites: &[ROOT_SITE],
            changed: &[(0, counters(70, 0, 70))],
            ..Tick::default()
        };
        let second = Tick {
            elapsed_ns: 2 * SECOND,
            totals: totals(30),
            new_sites: &[other],
            changed: &[(0, counters(95, 65, 80)), (1, counters(20, 20, 20))],
            ..Tick::default()
        };
        writer.tick(&first).expect("a Vec");
        writer.tick(&second).expect("a Vec");
        let file = writer
            .finish(&heapsight_capture::End::default())
            .expect("a Vec");
        let capture = Capture::read(&file[..]).expect("readable");
        let (capture, moment) =
            seek(capture, SeekTarget::At(Moment::Peak), &file[..]).expect("readable");
        assert_eq!(moment, Reached::Peak { elapsed_ns: SECOND });
        let live = capture.tables.counters.iter().map(Counters::live_bytes);
        assert_eq!(live.collect::<Vec<u64>>(), [80, 20]);
        assert_eq!(capture.tables.totals.live_bytes, 100);
        let allocated = capture.tables.counters.iter().map(|of| of.allocated_bytes);
        assert_eq!(allocated.collect::<Vec<u64>>(), [80, 20]);
    }

    #[test]
    fn a_span_has_what_was_gained_and_the_peak_within_it() {
        let live = [10, 50, 20, 35, 30];
        let between = |from: u64, to: u64| {
            let at = |second: u64| Moment::At(second * SECOND);
            figures(&live, SeekTarget::Between(at(from), at(to)))
        };
        assert_eq!(between(1, 2), (40, 40, 0, 50));
        assert_eq!(between(2, 3), (0, 0, 30, 20), "memory was lost");
        assert_eq!(
            between(3, 5),
            (10, 15, 5, 35),
            "the peak is that of the span"
        );
        assert_eq!(between(2, 2), (0, 0, 0, 50), "no time, and no other moment");
        let whole = SeekTarget::Between(Moment::Start, Moment::End);
        assert_eq!(figures(&live, whole), (30, 65, 35, 50));
        let to_peak = SeekTarget::Between(Moment::Start, Moment::Peak);
        assert_eq!(figures(&live, to_peak), (50, 50, 0, 50));
    }
}
