//! What was traced, in one sentence: without it no figure means anything.

use std::time::Duration;

use heapsight_capture::model::Mode;
use heapsight_capture::{Capture, Header};

use crate::figures::{counted, format_duration, format_size};
use crate::look::{Look, Role};
use crate::text::{printable, wrap};

/// The sentence, wrapped, and a warning for each thing that limits what the figures can tell.
pub(crate) fn headline(capture: &Capture, look: &Look) -> String {
    let header = &capture.header;
    let last_tick = capture.timeline.last().copied().unwrap_or_default();
    let end = capture.end.unwrap_or_default();
    let elapsed = Duration::from_nanos(last_tick.elapsed_ns.max(end.elapsed_ns));
    let lost = last_tick.lost_events.max(end.totals.lost_events);
    let phrases = [
        program(header, look),
        python(header, look),
        format_duration(elapsed),
        match capture.knows_ends_only() {
            true => "only live memory and its peak known".to_owned(),
            false => {
                let blocks = counted(last_tick.allocated_blocks, "block", "blocks");
                format!("{blocks} allocated")
            }
        },
        mode(header.mode, look),
        match lost {
            0 => "nothing lost".to_owned(),
            _ => format!("{} lost", counted(lost, "event", "events")),
        },
    ];
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
    let sentence = wrap(pieces.iter().map(String::as_str), look.width, 2);
    let mut out = painted_lines(&sentence, Role::Heading, look);
    for warning in warnings(capture, lost) {
        let text = format!("Warning: {warning}");
        out += &painted_lines(&wrap(text.split(' '), look.width, 2), Role::Warning, look);
    }
    out
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

fn mode(mode: Mode, look: &Look) -> String {
    match mode {
        Mode::Exact { frame_limit: None } => "exact with full call paths".to_owned(),
        Mode::Exact {
            frame_limit: Some(limit),
        } => {
            format!(
                "exact with {}",
                counted(u64::from(limit), "frame", "frames")
            )
        }
        Mode::Sampled { mean_bytes } => format!(
            "sampled every {} ({} = 95 %; peaks are estimates from above)",
            format_size(mean_bytes),
            look.plus_minus()
        ),
    }
}

fn warnings(capture: &Capture, lost: u64) -> Vec<String> {
    let mut warnings = Vec::new();
    if lost > 0 {
        warnings
            .push("heapsight itself ran out of memory, so the figures are incomplete".to_owned());
    }
    let cut = "what follows is true up to the last complete tick";
    match (capture.truncation, capture.end) {
        (Some(truncation), _) => warnings.push(format!("{truncation}; {cut}")),
        (None, None) => warnings.push(format!(
            "the recording has no end (the program was killed, left through os._exit, or still runs); {cut}"
        )),
        (None, Some(_)) => {}
    }
    warnings
}
