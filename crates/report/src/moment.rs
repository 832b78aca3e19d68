//! Which moment of a recording figures are of.

use std::time::Duration;

use heapsight_analysis::Metric;
use heapsight_analysis::recording::Moment;
use heapsight_capture::Capture;

use crate::figures::format_duration;

/// `at exit`, `at 2.5 s`.
pub(crate) fn when(moment: Moment, capture: &Capture) -> String {
    match moment {
        Moment::End if is_snapshot(capture) => "in the snapshot".to_owned(),
        Moment::End if capture.end.is_some() => "at exit".to_owned(),
        Moment::End => "at the last tick".to_owned(),
        Moment::Peak { .. } if capture.knows_ends_only() => "at the peak".to_owned(),
        Moment::Peak { elapsed_ns } => format!("at the peak ({})", time(elapsed_ns)),
        Moment::At { elapsed_ns } => format!("at {}", time(elapsed_ns)),
        Moment::Between { to_ns, .. } => format!("at {}", time(to_ns)),
    }
}

/// What a metric's figures are, in words.
pub(crate) fn describe(moment: Moment, metric: Metric, capture: &Capture) -> String {
    let what = match metric {
        Metric::Live => match moment {
            Moment::Between { .. } => "memory gained",
            _ => return format!("live memory {}", when(moment, capture)),
        },
        Metric::Peak => "live memory at the peak",
        Metric::Allocated => "memory ever allocated",
        Metric::Freed => "memory ever freed",
        Metric::Temporary => "memory freed before anything else was allocated",
    };
    match moment {
        Moment::End => what.to_owned(),
        Moment::Between { from_ns, to_ns } => {
            let what = what.replace(" ever ", " ");
            format!("{what} between {} and {}", time(from_ns), time(to_ns))
        }
        Moment::Peak { elapsed_ns } | Moment::At { elapsed_ns } => {
            format!("{what}, up to {}", time(elapsed_ns))
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
            assert_eq!(describe(moment, metric, &capture), text);
        }
    }
}
