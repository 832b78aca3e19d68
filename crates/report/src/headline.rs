//! What was traced, in one sentence: without it no figure means anything.

use std::time::Duration;

use heapsight_capture::model::{Bounds, Mode};
use heapsight_capture::{Capture, Header};

use crate::figures::{counted, format_duration, format_size};
use crate::look::{Look, Role};
use crate::moment::{exact_time, is_snapshot};
use crate::process::{has_native, is_of_memray};
use crate::text::{printable, width, wrap};

/// The sentence, wrapped, and a warning for each thing that limits what the figures can tell.
pub(crate) fn headline(capture: &Capture, look: &Look) -> String {
    let phrases = facts(capture, look);
    let last = phrases.len() - 1;
    let pieces: Vec<String> = phrases
        .iter()
        .enumerate()
        .map(|(index, phrase)| {
            if index < last {
                format!("{phrase},")
            } else {
                phrase.clone()
            }
        })
        .collect();
    // A phrase stays on one line if it fits on one.
    let words: Vec<&str> = match pieces.iter().all(|piece| width(piece) + 2 <= look.width) {
        true => pieces.iter().map(String::as_str).collect(),
        false => pieces.iter().flat_map(|piece| piece.split(' ')).collect(),
    };
    let sentence = wrap(words, look.width, 2);
    let mut out = painted_lines(&sentence, Role::Heading, look);
    for warning in warnings_of(capture) {
        let text = format!("Warning: {warning}");
        out += &painted_lines(&wrap(text.split(' '), look.width, 2), Role::Warning, look);
    }
    out
}

/// What was traced, phrase by phrase.
pub(crate) fn facts(capture: &Capture, look: &Look) -> Vec<String> {
    let header = &capture.header;
    let last_tick = capture.timeline.last().copied().unwrap_or_default();
    let end = capture.end.unwrap_or_default();
    let elapsed = Duration::from_nanos(last_tick.elapsed_ns.max(end.elapsed_ns));
    let mut phrases = vec![program(header, look), python(header, look)];
    let has_time = !capture.timeline.is_empty() || capture.end.is_some();
    if has_time && !is_snapshot(capture) {
        phrases.push(format_duration(elapsed));
    }
    if capture.knows_ends_only() {
        phrases.push("only live memory and its peak known".to_owned());
    } else if !capture.timeline.is_empty() {
        let blocks = counted(last_tick.allocated_blocks, "block", "blocks");
        phrases.push(format!("{blocks} allocated"));
    }
    phrases.extend(accuracy(capture, lost_events(capture), look));
    phrases
}

/// What limits what the figures can tell, a sentence each.
pub(crate) fn warnings_of(capture: &Capture) -> Vec<String> {
    warnings(capture, lost_events(capture))
}

fn lost_events(capture: &Capture) -> u64 {
    let last_tick = capture.timeline.last().copied().unwrap_or_default();
    let end = capture.end.unwrap_or_default();
    last_tick.lost_events.max(end.totals.lost_events)
}

/// Every line between escape sequences of its own, so that no pager carries a colour over.
fn painted_lines(text: &str, role: Role, look: &Look) -> String {
    text.lines()
        .map(|line| format!("{}\n", look.paint(role, line)))
        .collect()
}

fn python(header: &Header, look: &Look) -> String {
    match header.python_version.as_str() {
        "" => "an unknown Python".to_owned(),
        version => format!("Python {}", printable(version, look.unicode)),
    }
}

fn program(header: &Header, look: &Look) -> String {
    match header.program.as_str() {
        "" => "a program without a name".to_owned(),
        program => printable(program, look.unicode),
    }
}

/// How far the figures can be trusted, and of what they are. Nothing is called whole that is not.
fn accuracy(capture: &Capture, lost: u64, look: &Look) -> Vec<String> {
    if is_of_memray(capture) {
        return vec!["as memray recorded it".to_owned()];
    }
    let whose = match has_native(capture) {
        true => "Python's allocators and native memory",
        false => "Python's allocators",
    };
    let (of, blocks) = match capture.header.mode {
        Mode::Exact { frame_limit: None } => (
            match last_bounds(capture).cuts {
                0 => format!("exact for {whose} with full call paths"),
                _ => format!("exact for {whose} with call paths as far as they are known"),
            },
            "none of their blocks lost",
        ),
        Mode::Exact {
            frame_limit: Some(limit),
        } => {
            let frames = counted(u64::from(limit), "frame", "frames");
            (
                format!("exact for {whose} with {frames}"),
                "none of their blocks lost",
            )
        }
        Mode::Sampled { mean_bytes } => (
            format!(
                "a sample of {whose} every {} ({} = 95 %; peaks are estimates from above)",
                format_size(mean_bytes),
                look.plus_minus()
            ),
            "no sample lost",
        ),
    };
    let is_whole = capture.end.is_some() && capture.truncation.is_none();
    let losses = match lost {
        0 => is_whole.then(|| blocks.to_owned()),
        _ => Some(format!("{} lost", counted(lost, "event", "events"))),
    };
    [of].into_iter().chain(losses).collect()
}

/// What keeping within the tracer's budget had cost at the last tick.
pub(crate) fn last_bounds(capture: &Capture) -> Bounds {
    let of_tick = capture.timeline.last().map(|point| point.bounds);
    of_tick.unwrap_or_default()
}

/// What that means for the figures.
fn bounds(bounds: &Bounds) -> Vec<String> {
    let mut warnings = Vec::new();
    if bounds.cuts > 0 {
        warnings.push(format!(
            "call paths were cut {}: paths with live blocks filled heapsight's budget, so blocks of new paths count \
             where these leave the known ones (--budget gives more room)",
            counted(bounds.cuts, "time", "times"),
        ));
    }
    if bounds.folded_bytes > 0 {
        warnings.push(format!(
            "of {} allocated and freed again, only the nearest caller is known: see [folded paths] (--budget gives \
             more room)",
            format_size(bounds.folded_bytes),
        ));
    }
    warnings
}

fn warnings(capture: &Capture, lost: u64) -> Vec<String> {
    let mut warnings = Vec::new();
    if lost > 0 {
        warnings.push(
            "the figures are incomplete: heapsight had no memory for those events, or another tool \
             had taken its hooks away for a while"
                .to_owned(),
        );
    }
    warnings.extend(bounds(&last_bounds(capture)));
    warnings.extend(what_is_missing(capture));
    warnings
}

/// Why and how much of a recording is missing, as a sentence without an end; `None` of a whole one.
#[must_use]
pub fn what_is_missing(capture: &Capture) -> Option<String> {
    let missing = capture.missing()?;
    let until = missing.totals_until_ns;
    let mut known = if is_snapshot(capture) {
        "what follows may be a part".to_owned()
    } else if capture.timeline.is_empty() {
        "not one tick was written, so nothing is known of its memory".to_owned()
    } else {
        let until = exact_time(until);
        format!("what is told is true up to the last complete tick, at {until}")
    };
    if missing.paths_until_ns < until {
        let paths = exact_time(missing.paths_until_ns);
        known += &format!(", of single call paths up to {paths}");
    }
    if let Some(tick) = missing.longest_tick_ns {
        let tick = exact_time(tick);
        known += &format!("; ticks came at most {tick} apart: a kill took about that much at most");
    }
    Some(match capture.truncation {
        Some(truncation) => format!("{truncation}; {known}"),
        None => format!(
            "the recording has no end (the program was killed, left through os._exit, or still runs); {known}"
        ),
    })
}
