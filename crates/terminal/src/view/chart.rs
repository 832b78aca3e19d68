//! Memory over time: traced memory filled, resident memory above it.

use std::time::Duration;

use heapsight_capture::TickSummary;
use heapsight_report::{format_duration, format_size, levels};
use ratatui_core::layout::Rect;

use super::canvas::{Canvas, split_bottom};
use crate::theme::Role;

/// Eighths of a cell.
const BLOCKS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const ASCII: [&str; 3] = [" ", ".", "#"];

/// Columns for the highest value, and what stands between it and the picture.
const LABEL: u16 = 11;

/// The part of `area` that stands for time: a click there means a moment.
pub(crate) fn plot(area: Rect) -> Rect {
    let label = if area.width >= 3 * LABEL { LABEL } else { 0 };
    Rect {
        x: area.x + label,
        width: area.width - label,
        ..area
    }
}

/// The nanoseconds since the start that a column of the [`plot`] stands for, in a recording of so many.
pub(crate) fn time_at(plot: Rect, column: u16, last_ns: u64) -> u64 {
    let columns = u128::from(plot.width.saturating_sub(1).max(1));
    let at = u128::from(column.clamp(plot.x, plot.right().saturating_sub(1).max(plot.x)) - plot.x);
    u64::try_from(u128::from(last_ns) * at / columns).unwrap_or(u64::MAX)
}

/// The column of the [`plot`] for a time.
fn column_at(plot: Rect, elapsed_ns: u64, last_ns: u64) -> u16 {
    let columns = u128::from(plot.width.saturating_sub(1));
    let at = u128::from(elapsed_ns.min(last_ns)) * columns / u128::from(last_ns.max(1));
    u16::try_from(at).unwrap_or(0)
}

/// What the picture shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chart<'a> {
    pub timeline: &'a [TickSummary],
    /// Whether resident memory stands above traced memory, or only that is shown.
    pub with_resident: bool,
    /// Moments with their signs.
    pub marks: &'a [(u64, &'static str)],
}

/// Draws the picture in all rows but the last, which is the axis.
pub(crate) fn draw(canvas: &mut Canvas<'_>, area: Rect, chart: Chart<'_>) {
    let timeline = chart.timeline;
    let (axis, picture) = split_bottom(area, 1);
    let plot_of = plot(picture);
    let columns = usize::from(plot_of.width);
    let last_ns = timeline.last().map_or(0, |point| point.elapsed_ns);
    let traced = levels(
        timeline,
        columns,
        |point| point.live_bytes,
        |point| point.peak_bytes,
    );
    let resident = levels(
        timeline,
        columns,
        |point| {
            if chart.with_resident {
                point.rss_bytes
            } else {
                0
            }
        },
        |point| {
            if chart.with_resident {
                point.highest_rss_bytes
            } else {
                0
            }
        },
    );
    let highest = traced.iter().chain(&resident).copied().max().unwrap_or(0);
    if highest > 0 && picture.height > 0 {
        let label = format_size(highest);
        let margin = usize::from(plot_of.x - picture.x).saturating_sub(2);
        if margin > 0 {
            let text = format!("{label:>margin$} ");
            let sign = canvas.theme.sign("┤", "|");
            let piece = canvas.piece(Role::Secondary, text + sign);
            canvas.line(picture, 0, &[piece]);
        }
        let values = traced.iter().zip(&resident);
        for (column, (traced, resident)) in (0..).zip(values) {
            bar(canvas, plot_of, column, [*traced, *resident], highest);
        }
    }
    draw_axis(canvas, axis, last_ns, chart.marks);
}

/// One column of the picture.
fn bar(canvas: &mut Canvas<'_>, plot: Rect, column: u16, values: [u64; 2], highest: u64) {
    let cells: &[&str] = if canvas.theme.look.unicode {
        &BLOCKS
    } else {
        &ASCII
    };
    let steps = cells.len() - 1;
    let rows = usize::from(plot.height);
    let [traced, resident] = values.map(|value| {
        // Anything above zero is visible.
        let height = (u128::from(value) * (rows * steps) as u128).div_ceil(u128::from(highest));
        height as usize
    });
    let shade = canvas.theme.sign("░", ":");
    for row in 0..rows {
        let below = row * steps;
        let filled = traced.saturating_sub(below).min(steps);
        let (text, role) = match filled {
            0 if resident > below => (shade, Role::Resident),
            filled => (cells[filled], Role::Traced),
        };
        let cell = Rect {
            x: plot.x + column,
            y: plot.y + (rows - 1 - row) as u16,
            width: 1,
            height: 1,
        };
        let piece = canvas.piece(role, text);
        canvas.line(cell, 0, &[piece]);
    }
}

/// The axis, with the marks on it and the length of the recording before it.
fn draw_axis(canvas: &mut Canvas<'_>, axis: Rect, last_ns: u64, marks: &[(u64, &'static str)]) {
    let of = plot(axis);
    let line = canvas.theme.sign("─", "-").repeat(usize::from(of.width));
    let piece = canvas.piece(Role::Secondary, line);
    canvas.line(of, 0, &[piece]);
    let margin = usize::from(of.x - axis.x).saturating_sub(2);
    if margin > 0 {
        let length = format_duration(Duration::from_nanos(last_ns));
        let sign = canvas.theme.sign("└", "+");
        let piece = canvas.piece(Role::Secondary, format!("{length:>margin$} {sign}"));
        canvas.line(axis, 0, &[piece]);
    }
    for (elapsed_ns, sign) in marks {
        let at = Rect {
            x: of.x + column_at(of, *elapsed_ns, last_ns),
            width: 1,
            ..of
        };
        let piece = canvas.piece(Role::Warning, *sign);
        canvas.line(at, 0, &[piece]);
    }
}
