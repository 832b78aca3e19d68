//! The top of a snapshot in plain lines, compared with an earlier one: `heapsight top` on several files.

use chrono::{DateTime, Local};
use heapsight_analysis::{AddressJoin, Amount, Comparison, Query, group};
use heapsight_capture::Capture;
use serde::Deserialize;

use crate::display::{
    DisplayFigures, DisplayKey, DisplayMetric, DisplayOptions, DisplayTop, MetricFormat,
    display_top, grouping_title,
};

/// What lines are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines {
    /// Which memory, by what.
    pub query: Query,
    /// One line for each block instead; both files then need their table of blocks.
    pub by_address: bool,
    /// Lines shown.
    pub count: usize,
    /// Whether to add the program's own figures and those of the process.
    pub show_metrics: bool,
    /// What a line shows.
    pub display: DisplayOptions,
}

/// The top of `new`, compared with `old`, as text ending with a line break.
#[must_use]
pub fn lines(new: &Capture, old: Option<&Capture>, lines: &Lines) -> String {
    let (shown, others, total) = if lines.by_address {
        by_address(new, old, lines.count)
    } else {
        let (rows, total) = by_key(new, old, lines.query);
        let mut rows = rows.into_iter();
        let shown: Vec<_> = rows.by_ref().take(lines.count).collect();
        let mut others = (0, DisplayFigures::default());
        for (_, figures) in rows {
            others.0 += 1;
            others.1 += figures;
        }
        (shown, others, total)
    };
    let grouping = if lines.by_address {
        "address"
    } else {
        grouping_title(lines.query.group_by)
    };
    let top = DisplayTop {
        timestamp: timestamp(new),
        compared_to: old.map(timestamp),
        grouping: grouping.to_owned(),
        cumulative: lines.query.cumulative && !lines.by_address,
        rows: shown,
        others,
        total,
        metrics: if lines.show_metrics {
            metrics(new, old)
        } else {
            Vec::new()
        },
    };
    display_top(&top, &lines.display)
}

/// Places with their figures, in the order in which they are shown, and the sum.
type Rows = (Vec<(DisplayKey, DisplayFigures)>, DisplayFigures);

fn by_key(new: &Capture, old: Option<&Capture>, query: Query) -> Rows {
    match old {
        None => {
            let grouped = group(&new.tables, query);
            let rows = grouped.rows.iter().map(|row| {
                let key = DisplayKey::of_group(&row.key, &new.tables);
                (key, unchanged(row.amount))
            });
            (rows.collect(), unchanged(grouped.total))
        }
        Some(old) => {
            let comparison = Comparison::new(&old.tables, &new.tables, query);
            let rows = comparison.changes().into_iter().map(|change| {
                let key = DisplayKey::of_group(&change.key, comparison.tables());
                (key, changed(change.old, change.new))
            });
            let rows = rows.collect();
            let (before, after) = comparison.totals();
            (rows, changed(before, after))
        }
    }
}

/// The blocks that changed most, the others' number and sum, and the sum of all.
fn by_address(
    new: &Capture,
    old: Option<&Capture>,
    count: usize,
) -> (
    Vec<(DisplayKey, DisplayFigures)>,
    (usize, DisplayFigures),
    DisplayFigures,
) {
    let old = sizes(old.unwrap_or(new));
    let new = sizes(new);
    let biggest = AddressJoin::new(old.iter().copied(), new.iter().copied()).biggest(count);
    let mut shown = Vec::with_capacity(biggest.changes.len());
    let mut rest = (biggest.old, biggest.new);
    for change in &biggest.changes {
        let (before, after) = change.amounts();
        for (side, part) in [(&mut rest.0, before), (&mut rest.1, after)] {
            side.bytes = side.bytes.saturating_sub(part.bytes);
            side.blocks = side.blocks.saturating_sub(part.blocks);
        }
        shown.push((DisplayKey::Address(change.address), changed(before, after)));
    }
    let others = biggest.count - shown.len();
    let total = changed(biggest.old, biggest.new);
    (shown, (others, changed(rest.0, rest.1)), total)
}

/// (address, size) of every block, by address: files have them so, but nothing says that they must.
fn sizes(capture: &Capture) -> Vec<(u64, u64)> {
    let blocks = capture.blocks.iter().flatten();
    let mut sizes: Vec<(u64, u64)> = blocks.map(|block| (block.address, block.size)).collect();
    if !sizes.is_sorted() {
        sizes.sort_unstable();
    }
    sizes
}

fn unchanged(amount: Amount) -> DisplayFigures {
    changed(amount, amount)
}

fn changed(old: Amount, new: Amount) -> DisplayFigures {
    let (size_change_bytes, count_change) = new.change_from(old);
    DisplayFigures {
        size_bytes: new.bytes,
        size_change_bytes,
        count: new.blocks,
        count_change,
    }
}

/// When the last tick of `capture` was, in local time; nothing when unknown.
fn timestamp(capture: &Capture) -> Option<String> {
    let unix_ns = unix_ns(capture);
    let time = DateTime::from_timestamp_nanos(i64::try_from(unix_ns).ok()?);
    let local = time.with_timezone(&Local);
    (unix_ns > 0).then(|| local.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// When the last tick of `capture` was: nanoseconds since 1970-01-01 UTC. 0 when unknown.
fn unix_ns(capture: &Capture) -> u64 {
    let elapsed_ns = capture.timeline.last().map_or(0, |point| point.elapsed_ns);
    match capture.header.start_unix_ns {
        0 => 0,
        start => start.saturating_add(elapsed_ns),
    }
}

/// What a program's own snapshot knows beside the tables: the note `snapshot` of docs/format.md.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Extras {
    rss: Option<u64>,
    vms: Option<u64>,
    metrics: Vec<Extra>,
}

#[derive(Debug, Deserialize)]
struct Extra {
    name: String,
    value: f64,
    format: String,
}

/// Name of that note.
const NOTE: &str = "snapshot";

/// The process's figures and the program's own, in order. A note that makes no sense is passed over: somebody else may have written it.
fn figures(capture: &Capture) -> Vec<(String, f64, MetricFormat)> {
    let note = capture.notes.iter().rev().find(|note| note.name == NOTE);
    let extras: Extras = note
        .and_then(|note| serde_json::from_str(&note.text).ok())
        .unwrap_or_default();
    let last = capture.timeline.last().map_or(0, |point| point.rss_bytes);
    let rss = extras.rss.or(Some(last).filter(|rss| *rss > 0));
    let process = [("rss", rss), ("vms", extras.vms)]
        .into_iter()
        .filter_map(|(name, bytes)| {
            let name = format!("process_memory.{name}");
            Some((name, bytes? as f64, MetricFormat::Size))
        })
        // The program may have asked for the same figures.
        .filter(|(name, ..)| extras.metrics.iter().all(|extra| extra.name != *name))
        .collect::<Vec<_>>();
    let own = extras.metrics.into_iter().map(|extra| {
        let format = MetricFormat::from_name(&extra.format).unwrap_or(MetricFormat::Int);
        (extra.name, extra.value, format)
    });
    process.into_iter().chain(own).collect()
}

fn metrics(new: &Capture, old: Option<&Capture>) -> Vec<DisplayMetric> {
    let before = old.map(figures).unwrap_or_default();
    let now = figures(new).into_iter();
    now.map(|(name, value, format)| DisplayMetric {
        old: before
            .iter()
            .find(|(known, _, of)| (known, of) == (&name, &format))
            .map(|(_, value, _)| *value),
        name,
        value,
        format,
    })
    .collect()
}
