//! A call path in a few lines.

use heapsight_analysis::path::Frame;
use heapsight_analysis::{is_import_system, is_own_code};

use crate::look::{Look, Role};
use crate::place::Place;
use crate::places::Places;
use crate::text::width;

/// Lines shown before the rest is only counted.
const MAX_LINES: usize = 6;

/// Consecutive frames that are shown as one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run<'t> {
    /// One frame, entered this many times in a row.
    Recursion(Frame<'t>, usize),
    /// This many frames of the import system, which come in long runs that say nothing.
    Import(usize),
}

impl Run<'_> {
    fn frames(&self) -> usize {
        match self {
            Self::Recursion(_, count) | Self::Import(count) => *count,
        }
    }

    pub(crate) fn is_own_code(&self) -> bool {
        matches!(self, Self::Recursion(frame, _) if is_own_code(frame.filename))
    }
}

/// Lines for a call path (most recent frame first) without its first `skipped` frames, each after `indent` spaces, cut
/// to the width of `look`. Of a long path the beginning is shown, and where in the program's own code it comes from.
pub(crate) fn callers<'t>(
    path: impl Iterator<Item = Frame<'t>>,
    skipped: usize,
    indent: usize,
    places: &Places,
    look: &Look,
) -> Vec<String> {
    let mut path = path.peekable();
    let begins_in_own_code =
        skipped > 0 && path.peek().is_some_and(|frame| is_own_code(frame.filename));
    let runs = runs(path.skip(skipped));
    let margin = " ".repeat(indent);
    let mut lines = Vec::new();
    let mut next = 0;
    for index in shown(&runs, begins_in_own_code) {
        lines.extend(left_out(&runs[next..index], look));
        lines.push(line(
            &runs[index],
            look.width.saturating_sub(indent + 2),
            places,
            look,
        ));
        next = index + 1;
    }
    lines.extend(left_out(&runs[next..], look));
    lines.iter().map(|line| format!("{margin}{line}")).collect()
}

/// The runs that have a line each, in order.
fn shown(runs: &[Run<'_>], begins_in_own_code: bool) -> Vec<usize> {
    // A line that only says "1 more" could as well show it.
    if runs.len() <= MAX_LINES + 1 {
        return (0..runs.len()).collect();
    }
    let own = runs.iter().position(Run::is_own_code);
    match own.filter(|own| *own >= MAX_LINES && !begins_in_own_code) {
        None => (0..MAX_LINES).collect(),
        Some(own) if own == MAX_LINES => (0..=own).collect(),
        Some(own) => (0..MAX_LINES - 1).chain([own]).collect(),
    }
}

/// `← place`, without the margin, in `room` columns after the arrow.
fn line(run: &Run<'_>, room: usize, places: &Places, look: &Look) -> String {
    let arrow = look.paint(Role::Secondary, look.arrow());
    match run {
        Run::Recursion(frame, count) => {
            let times = match count {
                1 => String::new(),
                _ => format!(" {}{count}", look.times()),
            };
            let place = Place::of_frame(frame, places, look);
            let place = place.paint(room.saturating_sub(width(&times)), look);
            format!("{arrow} {place}{}", look.paint(Role::Secondary, times))
        }
        Run::Import(count) => {
            let text = format!("import ({count} frames)");
            format!("{arrow} {}", look.paint(Role::Secondary, text))
        }
    }
}

/// How many frames are not shown, if there are any.
fn left_out(runs: &[Run<'_>], look: &Look) -> Option<String> {
    let hidden: usize = runs.iter().map(Run::frames).sum();
    let noun = if hidden == 1 { "frame" } else { "frames" };
    let text = format!("{} {hidden} more {noun}", look.ellipsis());
    (hidden > 0).then(|| look.paint(Role::Secondary, text).to_string())
}

/// A call path with recursion and the import system in one piece each.
pub(crate) fn runs<'t>(frames: impl Iterator<Item = Frame<'t>>) -> Vec<Run<'t>> {
    let mut runs: Vec<Run<'t>> = Vec::new();
    for frame in frames {
        let is_import = is_import_system(frame.filename);
        match runs.last_mut() {
            Some(Run::Import(count)) if is_import => *count += 1,
            Some(Run::Recursion(last, count)) if *last == frame => *count += 1,
            _ if is_import => runs.push(Run::Import(1)),
            _ => runs.push(Run::Recursion(frame, 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(filename: &str, line: u32) -> Frame<'_> {
        Frame {
            filename,
            line,
            name: "f",
        }
    }

    fn lines(frames: &[Frame<'_>]) -> Vec<String> {
        callers(
            frames.iter().copied(),
            0,
            0,
            &Places::new("", "…"),
            &Look::plain(80),
        )
    }

    #[test]
    fn recursion_takes_one_line() {
        let frames = [
            frame("a.py", 1),
            frame("a.py", 1),
            frame("a.py", 1),
            frame("a.py", 2),
        ];
        assert_eq!(lines(&frames), ["← f a.py:1 ×3", "← f a.py:2"]);
    }

    #[test]
    fn the_import_system_takes_one_line() {
        let import = frame("<frozen importlib._bootstrap>", 1027);
        let frames = [frame("a.py", 1), import, import, frame("b.py", 3)];
        assert_eq!(
            lines(&frames),
            ["← f a.py:1", "← import (2 frames)", "← f b.py:3"]
        );
    }

    #[test]
    fn a_long_path_ends_with_the_number_of_frames_left_out() {
        let frames: Vec<Frame<'_>> = (1..=9).map(|line| frame("a.py", line)).collect();
        let shown = lines(&frames);
        assert_eq!(shown.len(), 7);
        assert_eq!(shown[6], "… 3 more frames");
        assert_eq!(lines(&frames[..7]).len(), 7);
    }

    #[test]
    fn a_long_path_through_a_library_shows_where_the_program_calls_it() {
        let library = |line| frame("/usr/lib/python3.13/site-packages/db/query.py", line);
        let path = |depth: u32| -> Vec<Frame<'_>> {
            let own = [frame("report.py", 43), frame("report.py", 48)];
            (1..=depth).map(library).chain(own).collect()
        };
        let last = |depth: u32| lines(&path(depth))[4..].join(" | ");
        assert_eq!(
            last(9),
            "← f …/db/query.py:5 | … 4 more frames | ← f report.py:43 | … 1 more frame"
        );
        assert_eq!(
            last(6),
            "← f …/db/query.py:5 | ← f …/db/query.py:6 | ← f report.py:43 | … 1 more frame"
        );
        // Who reads that the entry itself is the program's own needs no more of it.
        let frames = [&[frame("report.py", 7)], &path(9)[..]].concat();
        let places = Places::new("", "…");
        let shown = callers(frames.iter().copied(), 1, 0, &places, &Look::plain(80));
        assert_eq!(shown[6], "… 5 more frames");
    }
}
