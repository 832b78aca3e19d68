//! A call path in a few lines.

use heapsight_analysis::path::Frame;

use crate::look::{Look, Role};
use crate::place::Place;
use crate::places::Places;
use crate::text::width;

/// Lines shown before the rest is only counted.
const MAX_LINES: usize = 6;

/// Frames of the import system start like this. They come in long runs that say nothing.
const IMPORT_MACHINERY: &str = "<frozen importlib";

/// Consecutive frames that are shown as one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run<'t> {
    /// One frame, entered this many times in a row.
    Recursion(Frame<'t>, usize),
    /// This many frames of the import system.
    Import(usize),
}

impl Run<'_> {
    fn frames(&self) -> usize {
        match self {
            Self::Recursion(_, count) | Self::Import(count) => *count,
        }
    }
}

/// Lines for `callers` (most recent first), each after `indent` spaces, cut to the width of `look`.
pub(crate) fn callers<'t>(
    callers: impl Iterator<Item = Frame<'t>>,
    indent: usize,
    places: &Places,
    look: &Look,
) -> Vec<String> {
    let runs = runs(callers);
    // A line that only says "1 more" could as well show it.
    let shown = if runs.len() <= MAX_LINES + 1 {
        runs.len()
    } else {
        MAX_LINES
    };
    let margin = " ".repeat(indent);
    let room = look.width.saturating_sub(indent + 2);
    let mut lines: Vec<String> = runs[..shown]
        .iter()
        .map(|run| {
            let arrow = look.paint(Role::Secondary, look.arrow());
            match run {
                Run::Recursion(frame, count) => {
                    let times = match count {
                        1 => String::new(),
                        _ => format!(" {}{count}", look.times()),
                    };
                    let place = Place::of_frame(frame, places, look);
                    let place = place.paint(room.saturating_sub(width(&times)), look);
                    format!(
                        "{margin}{arrow} {place}{}",
                        look.paint(Role::Secondary, times)
                    )
                }
                Run::Import(count) => {
                    let text = format!("import ({count} frames)");
                    format!("{margin}{arrow} {}", look.paint(Role::Secondary, text))
                }
            }
        })
        .collect();
    let hidden: usize = runs[shown..].iter().map(Run::frames).sum();
    if hidden > 0 {
        let text = format!("{} {hidden} more frames", look.ellipsis());
        lines.push(format!("{margin}{}", look.paint(Role::Secondary, text)));
    }
    lines
}

fn runs<'t>(frames: impl Iterator<Item = Frame<'t>>) -> Vec<Run<'t>> {
    let mut runs: Vec<Run<'t>> = Vec::new();
    for frame in frames {
        let is_import = frame.filename.starts_with(IMPORT_MACHINERY);
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
}
