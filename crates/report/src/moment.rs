//! Which moment of a recording figures are of.

use std::time::Duration;

use heapsight_analysis::Metric;
use heapsight_capture::Capture;

use crate::figures::format_duration;

/// The moment, or span of time, that the tables of a capture were brought to before they were handed to a report.
/// The capture's timeline stays that of the whole recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Moment {
    /// The end of the recording.
    #[default]
    End,
    /// The highest traced memory of the whole recording.
    Peak {
        /// Nanoseconds since the start of tracing.
        elapsed_ns: u64,
    },
    /// A time.
    At {
        /// Nanoseconds since the start of tracing.
        elapsed_ns: u64,
    },
    /// What happened between two times; live memory is what was gained.
    Between {
        /// Nanoseconds since the start of tracing.
        from_ns: u64,
        /// Nanoseconds since the start of tracing.
        to_ns: u64,
    },
}

impl Moment {
    /// The time at which live figures hold; `None` at the end.
    pub(crate) fn elapsed_ns(self) -> Option<u64> {
        match self {
            Self::End => None,
            Self::Peak { elapsed_ns } | Self::At { elapsed_ns } => Some(elapsed_ns),
            Self::Between { to_ns, .. } => Some(to_ns),
        }
    }

    /// `at exit`, `at 2.5 s`.
    pub(crate) fn when(self, capture: &Capture) -> String {
        match self {
            Self::End if is_snapshot(capture) => "in the snapshot".to_owned(),
            Self::End if capture.end.is_some() => "at exit".to_owned(),
            Self::End => "at the last tick".to_owned(),
            Self::Peak { .. } if capture.knows_ends_only() => "at the peak".to_owned(),
            Self::Peak { elapsed_ns } => format!("at the peak ({})", time(elapsed_ns)),
            Self::At { elapsed_ns } => format!("at {}", time(elapsed_ns)),
            Self::Between { to_ns, .. } => format!("at {}", time(to_ns)),
        }
    }

    /// What a metric's figures are, in words.
    pub(crate) fn describe(self, metric: Metric, capture: &Capture) -> String {
        let what = match metric {
            Metric::Live => match self {
                Self::Between { .. } => "memory gained",
                _ => return format!("live memory {}", self.when(capture)),
            },
            Metric::Peak => "live memory at the peak",
            Metric::Allocated => "memory ever allocated",
            Metric::Freed => "memory ever freed",
            Metric::Temporary => "memory freed before anything else was allocated",
        };
        match self {
            Self::End => what.to_owned(),
            Self::Between { from_ns, to_ns } => {
                let what = what.replace(" ever ", " ");
                format!("{what} between {} and {}", time(from_ns), time(to_ns))
            }
            Self::Peak { elapsed_ns } | Self::At { elapsed_ns } => {
                format!("{what}, up to {}", time(elapsed_ns))
            }
        }
    }
}

/// Whether a file holds one moment only, as a program's own snapshots do.
#[must_use]
pub fn is_snapshot(capture: &Capture) -> bool {
    capture.header.tick_ms == 0 && capture.timeline.len() == 1
}

/// The highest traced memory, and the time at which it was known, if that means anything.
pub(crate) fn peak(capture: &Capture) -> Option<(Option<u64>, u64)> {
    let (elapsed_ns, bytes) = capture.peak()?;
    Some(((!capture.knows_ends_only()).then_some(elapsed_ns), bytes))
}

/// ` at 2.5 s`, if the time is known.
pub(crate) fn at(elapsed_ns: Option<u64>) -> String {
    elapsed_ns.map_or_else(String::new, |elapsed_ns| {
        format!(" at {}", time(elapsed_ns))
    })
}

/// A time as text.
pub(crate) fn time(elapsed_ns: u64) -> String {
    format_duration(Duration::from_nanos(elapsed_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_says_of_which_time_it_is() {
        let capture = Capture::default();
        let second = 1_000_000_000;
        let between = Moment::Between {
            from_ns: second,
            to_ns: 3 * second,
        };
        let at = Moment::At {
            elapsed_ns: 2 * second,
        };
        for (moment, metric, text) in [
            (at, Metric::Live, "live memory at 2.0 s"),
            (at, Metric::Allocated, "memory ever allocated, up to 2.0 s"),
            (
                between,
                Metric::Live,
                "memory gained between 1.0 s and 3.0 s",
            ),
            (
                between,
                Metric::Freed,
                "memory freed between 1.0 s and 3.0 s",
            ),
            (Moment::End, Metric::Peak, "live memory at the peak"),
        ] {
            assert_eq!(moment.describe(metric, &capture), text);
        }
    }
}
