//! Traced memory over time as a small picture.

use std::fmt::Write;
use std::time::Duration;

use heapsight_capture::TickSummary;

use crate::figures::{format_duration, format_size};
use crate::look::{Look, Role};
use crate::text::{padding, right, width};

/// Lines of the picture.
const ROWS: usize = 4;

/// Columns of the picture at most: more would show noise.
const MAX_COLUMNS: usize = 100;

/// Part of a character cell, from empty to full.
const BLOCKS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const ASCII: [&str; 4] = [" ", ".", ":", "#"];

/// Draws `timeline`, with the highest value and the time written beside it. Empty without at least two ticks, or
/// without memory.
pub(crate) fn chart(timeline: &[TickSummary], look: &Look) -> String {
    let highest = timeline
        .iter()
        .map(|point| point.peak_bytes.max(point.live_bytes))
        .max();
    let (Some(highest @ 1..), Some(last), 2..) = (highest, timeline.last(), timeline.len()) else {
        return String::new();
    };
    let label = format_size(highest);
    let left = width(&label).max(3);
    let (tick, corner, line) = if look.unicode {
        ("┤", "└", "─")
    } else {
        ("|", "+", "-")
    };
    let columns = look.width.saturating_sub(left + 6).min(MAX_COLUMNS);
    let levels = levels(
        timeline,
        columns,
        |point| point.live_bytes,
        |point| point.peak_bytes,
    );
    let cells: &[&str] = if look.unicode { &BLOCKS } else { &ASCII };
    let steps = cells.len() - 1;

    let mut out = String::new();
    for row in (0..ROWS).rev() {
        let name = if row + 1 == ROWS { label.as_str() } else { "" };
        let picture: String = levels
            .iter()
            .map(|level| {
                // Anything above zero is visible, and only the highest value is at the top.
                let height =
                    (u128::from(*level) * (ROWS * steps) as u128).div_ceil(u128::from(highest));
                cells[(height as usize).saturating_sub(row * steps).min(steps)]
            })
            .collect();
        let axis = look.paint(Role::Secondary, format!("{} {tick}", right(name, left)));
        let _ = writeln!(out, "  {axis}{}", look.paint(Role::Bar, picture.trim_end()));
    }
    let end = format_duration(Duration::from_nanos(last.elapsed_ns));
    let rule = line.repeat(columns.saturating_sub(width(&end) + 1));
    let axis = format!("{} {corner}{rule} {end}", padding("", left));
    let _ = writeln!(out, "  {}", look.paint(Role::Secondary, axis));
    out
}

/// The highest value within each of `columns` equal spans of time, given its value at a tick and the highest so far.
///
/// Between two ticks it is known only as far as a new highest one was reached; otherwise the last tick's value holds
/// on.
#[must_use]
pub fn levels(
    timeline: &[TickSummary],
    columns: usize,
    now: impl Fn(&TickSummary) -> u64,
    highest: impl Fn(&TickSummary) -> u64,
) -> Vec<u64> {
    let duration = timeline.last().map_or(0, |point| point.elapsed_ns).max(1);
    let column_of = |elapsed_ns: u64| {
        let column = u128::from(elapsed_ns) * columns as u128 / u128::from(duration);
        (column as usize).min(columns.saturating_sub(1))
    };
    let mut levels = vec![0; columns];
    let (mut next, mut held_on, mut peak) = (0, 0, 0);
    for point in timeline {
        let column = column_of(point.elapsed_ns);
        for level in &mut levels[next.min(column)..column] {
            *level = held_on.max(*level);
        }
        let reached = if highest(point) > peak {
            highest(point)
        } else {
            0
        };
        let starts_column = column == 0 || column_of(point.elapsed_ns.saturating_sub(1)) < column;
        let held = if starts_column { 0 } else { held_on };
        if let Some(level) = levels.get_mut(column) {
            *level = (*level).max(held).max(now(point)).max(reached);
        }
        (next, held_on, peak) = (column + 1, now(point), highest(point));
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traced(timeline: &[TickSummary], columns: usize) -> Vec<u64> {
        levels(
            timeline,
            columns,
            |point| point.live_bytes,
            |point| point.peak_bytes,
        )
    }

    fn timeline(points: &[(u64, u64, u64)]) -> Vec<TickSummary> {
        let point = |(elapsed_ns, live_bytes, peak_bytes): &(u64, u64, u64)| TickSummary {
            elapsed_ns: *elapsed_ns,
            live_bytes: *live_bytes,
            peak_bytes: *peak_bytes,
            ..TickSummary::default()
        };
        points.iter().map(point).collect()
    }

    #[test]
    fn a_value_holds_until_the_next_tick() {
        let timeline = timeline(&[(0, 10, 10), (60, 50, 50), (100, 20, 50)]);
        assert_eq!(
            traced(&timeline, 10),
            [10, 10, 10, 10, 10, 10, 50, 50, 50, 50]
        );
    }

    #[test]
    fn a_peak_between_ticks_shows_where_it_was_reached_first() {
        let timeline = timeline(&[(0, 10, 10), (50, 20, 90), (100, 20, 90)]);
        assert_eq!(traced(&timeline, 4), [10, 10, 90, 20]);
    }

    #[test]
    fn many_ticks_in_one_column_give_the_highest() {
        let timeline = timeline(&[(0, 1, 1), (1, 7, 7), (2, 3, 7), (99, 2, 7), (100, 4, 7)]);
        assert_eq!(traced(&timeline, 2), [7, 4]);
    }

    #[test]
    fn there_is_no_picture_of_nothing() {
        let look = Look::plain(80);
        assert_eq!(chart(&[], &look), "");
        assert_eq!(chart(&timeline(&[(5, 10, 10)]), &look), "");
        assert_eq!(chart(&timeline(&[(5, 0, 0), (6, 0, 0)]), &look), "");
    }
}
