//! What a recording that was cut short may lack.

use super::{Capture, TickSummary};
use crate::error::Damage;

/// What is known of a recording whose end is missing: its program was killed, or runs on, or the file is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Until when the totals are known, in nanoseconds since the start of tracing. 0: not one tick was read.
    pub totals_until_ns: u64,
    /// Until when the figures of single call paths are known. No later than the totals.
    pub paths_until_ns: u64,
    /// The longest time from one tick to the next, in nanoseconds: what is missing of a killed program is about that
    /// much at most. `None` when more than what comes after the last tick may be missing, for the file was altered.
    pub longest_tick_ns: Option<u64>,
}

impl Capture {
    /// What is missing, unless the recording was read to its end.
    #[must_use]
    pub fn missing(&self) -> Option<Missing> {
        let damage = self.truncation.map(|truncation| truncation.damage);
        if self.end.is_some() && damage.is_none() {
            return None;
        }
        let was_cut = damage.is_none_or(|damage| damage == Damage::CutShort);
        Some(Missing {
            totals_until_ns: self.totals_until_ns(),
            paths_until_ns: self.paths_until_ns(),
            longest_tick_ns: was_cut.then(|| self.longest_tick_ns()).flatten(),
        })
    }

    fn longest_tick_ns(&self) -> Option<u64> {
        let times = || self.timeline.iter().map(|point| point.elapsed_ns);
        let before = [0].into_iter().chain(times());
        let longest = times().zip(before).map(|(now, before)| now - before).max();
        longest.filter(|_| self.header.tick_ms > 0)
    }

    /// Until when the totals are known: the time of the last tick, in nanoseconds since the start of tracing. 0 without
    /// ticks.
    #[must_use]
    pub fn totals_until_ns(&self) -> u64 {
        self.timeline.last().map_or(0, |point| point.elapsed_ns)
    }

    /// Until when the figures of single call paths are known, in nanoseconds since the start of tracing: earlier than
    /// [`Self::totals_until_ns`] when the recording of a busy program was cut short. 0 without ticks.
    #[must_use]
    pub fn paths_until_ns(&self) -> u64 {
        self.timeline.last().map_or(0, TickSummary::paths_until_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{End, Header, Truncation};

    fn cut(damage: Option<Damage>) -> Capture {
        let tick = |elapsed_ns, paths_lag_ns| TickSummary {
            elapsed_ns,
            paths_lag_ns,
            ..TickSummary::default()
        };
        Capture {
            header: Header {
                tick_ms: 100,
                ..Header::default()
            },
            timeline: vec![tick(90, 0), tick(300, 120), tick(400, 70)],
            truncation: damage.map(|damage| Truncation { offset: 1, damage }),
            ..Capture::default()
        }
    }

    #[test]
    fn a_recording_without_an_end_lacks_what_came_after_its_last_tick() {
        for damage in [None, Some(Damage::CutShort)] {
            let missing = Missing {
                totals_until_ns: 400,
                paths_until_ns: 330,
                longest_tick_ns: Some(210),
            };
            assert_eq!(cut(damage).missing(), Some(missing));
        }
    }

    #[test]
    fn of_a_file_that_was_altered_nobody_knows_how_much_is_missing() {
        let missing = cut(Some(Damage::Checksum)).missing().expect("it is");
        assert_eq!(missing.longest_tick_ns, None);
        let ended = Capture {
            end: Some(End::default()),
            ..cut(Some(Damage::Checksum))
        };
        assert!(ended.missing().is_some(), "something comes after the end");
    }

    #[test]
    fn nothing_is_missing_of_what_was_read_to_its_end() {
        let whole = Capture {
            end: Some(End::default()),
            ..cut(None)
        };
        assert_eq!(whole.missing(), None);
        let empty = Capture::default().missing().expect("it has no end");
        assert_eq!((empty.totals_until_ns, empty.longest_tick_ns), (0, None));
    }
}
