//! Which moment of a recording figures are of.

use std::time::Duration;

use heapsight_analysis::Metric;
use heapsight_analysis::recording::Reached;
use heapsight_capture::{Capture, Exit};

use crate::figures::format_duration;

/// `at exit`, `at 2.5 s`.
pub(crate) fn when(moment: Reached, capture: &Capture) -> String {
    match moment {
        Reached::End => match capture.end.map(|end| end.exit) {
            _ if is_snapshot(capture) => "in the snapshot".to_owned(),
            None => "at the last tick".to_owned(),
            Some(Exit::Stopped) => "when tracing was switched off".to_owned(),
            Some(_) => "at exit".to_owned(),
        },
        Reached::Start => match capture.timeline.first() {
            None => "at the start".to_owned(),
            Some(first) => format!(
                "at the start, before the first tick ({})",
                exact_time(first.elapsed_ns)
            ),
        },
        Reached::Peak { .. } if capture.knows_ends_only() => "at the peak".to_owned(),
        Reached::Peak { elapsed_ns } => format!("at the peak ({})", time(elapsed_ns)),
        Reached::At {
            elapsed_ns,
            asked_ns,
        } => format!("at {}", tick(elapsed_ns, asked_ns)),
        Reached::Between { to_ns, .. } => at_boundary(to_ns, capture),
    }
}

/// `at 2.5 s`, a moment that a span begins or ends at.
fn at_boundary(elapsed_ns: u64, capture: &Capture) -> String {
    match elapsed_ns {
        0 => "at the start".to_owned(),
        _ => format!("at {}", boundary(elapsed_ns, capture)),
    }
}

/// A moment that a span begins or ends at. Between two ticks nothing is known but how high the peak was, so a span to
/// the peak is one to the tick after it.
pub(crate) fn boundary(elapsed_ns: u64, capture: &Capture) -> String {
    if elapsed_ns == 0 {
        return "the start".to_owned();
    }
    let is_after_peak = capture.peak().is_some_and(|(peak_ns, peak_bytes)| {
        let mut ticks = capture.timeline.iter();
        let tick = ticks.find(|tick| tick.elapsed_ns == elapsed_ns);
        peak_ns == elapsed_ns && tick.is_some_and(|tick| tick.live_bytes < peak_bytes)
    });
    let which = if is_after_peak {
        ", the tick after the peak,"
    } else {
        ""
    };
    exact_time(elapsed_ns) + which
}

/// The time of a tick, and the time that was asked for if that is another.
fn tick(elapsed_ns: u64, asked_ns: u64) -> String {
    let (at, asked) = (exact_time(elapsed_ns), exact_time(asked_ns));
    match at == asked {
        true => at,
        false => format!("{at}, the last tick before {asked}"),
    }
}

/// What a metric's figures are, in words.
#[must_use]
pub fn describe(moment: Reached, metric: Metric, capture: &Capture) -> String {
    let what = match metric {
        Metric::Live => match moment {
            Reached::Between { .. } => "memory gained",
            _ => return format!("live memory {}", when(moment, capture)),
        },
        Metric::Peak => "live memory at the peak",
        Metric::Allocated => "memory ever allocated",
        Metric::Freed => "memory ever freed",
        Metric::Temporary => "memory freed before anything else was allocated",
    };
    match moment {
        Reached::End => what.to_owned(),
        Reached::Start => format!("{what}, before the first tick"),
        Reached::Between { from_ns, to_ns } => {
            let what = what.replace(" ever ", " ");
            let (from, to) = (boundary(from_ns, capture), boundary(to_ns, capture));
            let to = to.trim_end_matches(',');
            format!("{what} between {from} and {to}")
        }
        Reached::Peak { elapsed_ns } => format!("{what}, up to {}", time(elapsed_ns)),
        Reached::At {
            elapsed_ns,
            asked_ns,
        } => format!("{what}, up to {}", tick(elapsed_ns, asked_ns)),
    }
}

/// Whether a span has no time in it: both of its moments are the same tick, or before the first.
pub(crate) fn is_empty_span(moment: Reached) -> bool {
    matches!(moment, Reached::Between { from_ns, to_ns } if from_ns == to_ns)
}

/// Whether a file holds one moment only, as a program's own snapshots do.
#[must_use]
pub fn is_snapshot(capture: &Capture) -> bool {
    capture.header.tick_ms == 0 && capture.timeline.len() == 1
}

/// The highest traced memory, and the time at which it was known, if that means anything.
pub(crate) fn peak(capture: &Capture) -> Option<(Option<u64>, u64)> {
    let (elapsed_ns, bytes) = capture.peak()?;
    // A snapshot knows how high it was, but not when: its one moment is its own.
    let has_time = !capture.knows_ends_only() && !is_snapshot(capture);
    Some((has_time.then_some(elapsed_ns), bytes))
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

/// A time to the millisecond: what leads back to the same tick when somebody asks for it.
#[must_use]
pub fn exact_time(elapsed_ns: u64) -> String {
    let millis = elapsed_ns / 1_000_000;
    let (seconds, rest) = (millis / 1000, millis % 1000);
    match (millis, rest) {
        (0..1000, _) => format!("{millis} ms"),
        (1000..60_000, 0) => format!("{seconds}.0 s"),
        (1000..60_000, _) => {
            let digits = format!("{rest:03}");
            format!("{seconds}.{} s", digits.trim_end_matches('0'))
        }
        _ => time(elapsed_ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heapsight_capture::TickSummary;

    #[test]
    fn every_metric_says_of_which_time_it_is() {
        let capture = Capture::default();
        let second = 1_000_000_000;
        let between = Reached::Between {
            from_ns: second,
            to_ns: 3 * second,
        };
        let at = |asked_ns| Reached::At {
            elapsed_ns: 2 * second,
            asked_ns,
        };
        let since_start = Reached::Between {
            from_ns: 0,
            to_ns: 3 * second,
        };
        for (moment, metric, text) in [
            (at(2 * second), Metric::Live, "live memory at 2.0 s"),
            (
                at(5 * second / 2),
                Metric::Live,
                "live memory at 2.0 s, the last tick before 2.5 s",
            ),
            (
                at(2 * second),
                Metric::Allocated,
                "memory ever allocated, up to 2.0 s",
            ),
            (Reached::Start, Metric::Live, "live memory at the start"),
            (
                between,
                Metric::Live,
                "memory gained between 1.0 s and 3.0 s",
            ),
            (
                since_start,
                Metric::Live,
                "memory gained between the start and 3.0 s",
            ),
            (
                between,
                Metric::Freed,
                "memory freed between 1.0 s and 3.0 s",
            ),
            (Reached::End, Metric::Peak, "live memory at the peak"),
        ] {
            assert_eq!(describe(moment, metric, &capture), text);
        }
    }

    #[test]
    fn a_span_to_the_peak_says_that_it_ends_at_the_tick_after_it() {
        let second = 1_000_000_000;
        let tick = |seconds: u64, live_bytes, peak_bytes| TickSummary {
            elapsed_ns: seconds * second,
            live_bytes,
            peak_bytes,
            ..TickSummary::default()
        };
        let capture = |live_bytes| Capture {
            timeline: vec![tick(1, 10, 10), tick(2, live_bytes, 90), tick(3, 5, 90)],
            ..Capture::default()
        };
        let text = |from, to, live_bytes| {
            let moment = Reached::Between {
                from_ns: from * second,
                to_ns: to * second,
            };
            describe(moment, Metric::Live, &capture(live_bytes))
        };
        assert_eq!(
            text(0, 2, 70),
            "memory gained between the start and 2.0 s, the tick after the peak"
        );
        assert_eq!(
            text(2, 3, 70),
            "memory gained between 2.0 s, the tick after the peak, and 3.0 s"
        );
        assert_eq!(text(0, 2, 90), "memory gained between the start and 2.0 s");
        assert_eq!(text(1, 3, 70), "memory gained between 1.0 s and 3.0 s");
    }
}
