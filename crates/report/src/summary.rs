//! The report of one capture: what was traced, the picture, the tables.

use std::collections::HashMap;

use heapsight_analysis::path::frames;
use heapsight_analysis::recording::{Half, Reached};
use heapsight_analysis::{Amount, GroupBy, Grouped, Imports, Key, Metric, Query, group};
use heapsight_capture::Capture;

use crate::chart::chart;
use crate::figures::format_size;
use crate::finding::finding;
use crate::headline::headline;
use crate::look::{Look, Role};
use crate::moment::{at, describe, is_empty_span, peak};
use crate::places::Places;
use crate::process::{Traced, figures, known_at, live_bytes_at};
use crate::source::Source;
use crate::table::{Content, noun, table};
use crate::text::wrap;

/// What a report shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Entries in each table.
    pub count: usize,
    /// By what memory is grouped.
    pub group_by: GroupBy,
    /// Whether a block counts under every key of its call path.
    pub cumulative: bool,
    /// One table for each.
    pub metrics: Vec<Metric>,
    /// The moment that the tables of the capture are of.
    pub moment: Reached,
    /// Whether memory of imported code is in the tables, or one line below each.
    pub imports: Imports,
    /// Whether filters were applied: then the tables have a part of the traced memory.
    pub is_filtered: bool,
}

impl Default for Selection {
    /// Ten lines, live at the end and at the peak, and imports below them.
    fn default() -> Self {
        Self {
            count: 10,
            group_by: GroupBy::Line,
            cumulative: false,
            metrics: vec![Metric::Live, Metric::Peak],
            moment: Reached::End,
            imports: Imports::Apart {
                paths_are_cut: false,
            },
            is_filtered: false,
        }
    }
}

/// One table: what is asked, and the answer.
struct Table<'c> {
    query: Query,
    grouped: Grouped<'c>,
    /// All memory of the metric: what the rows and the lines below them add up to.
    total: Amount,
}

/// The report as text, ending with a line break. At the end of a recording, with all its memory, it begins with the
/// sentence that its page begins with, which `half` is for.
#[must_use]
pub fn summary(
    capture: &Capture,
    selection: &Selection,
    half: Option<&Half>,
    look: &Look,
) -> String {
    let mut tables: Vec<Table<'_>> = selection
        .metrics
        .iter()
        .map(|metric| {
            let query = Query {
                metric: *metric,
                group_by: selection.group_by,
                cumulative: selection.cumulative,
                imports: selection.imports,
            };
            let grouped = group(&capture.tables, query);
            let total = total(
                capture,
                *metric,
                selection.moment,
                selection.is_filtered,
                grouped.total,
            );
            Table {
                query,
                grouped,
                total,
            }
        })
        .collect();
    let peak_is = drop_peak_that_equals_exit(&mut tables, selection);
    put_peak_before_little(&mut tables, selection);
    let places = places(capture, selection, &tables, look);
    let mut source = Source::of(capture);

    let mut out = headline(capture, look);
    if capture.timeline.is_empty() {
        return out;
    }
    if selection.moment == Reached::End
        && !selection.is_filtered
        && let Some(sentence) = finding(capture, half, look)
    {
        out.push('\n');
        for line in wrap(sentence.split(' '), look.width, 2).lines() {
            out += &format!("{}\n", look.paint(Role::Heading, line));
        }
    }
    out.push('\n');
    out += &figures(capture, selection.moment, traced(capture, selection), look);
    if !selection.is_filtered {
        let chart = chart(&capture.timeline, look);
        if !chart.is_empty() {
            out.push('\n');
            out += &chart;
        }
    }
    if is_empty_span(selection.moment) {
        let text =
            "No tick lies between the two moments, so nothing is known of what happened there.";
        return out + "\n" + &wrap(text.split(' '), look.width, 2) + "\n";
    }
    for table_of in &tables {
        out.push('\n');
        let title = title(capture, table_of, peak_is, selection);
        let title = wrap(title.split(' '), look.width, 2);
        for line in title.lines() {
            out += &format!("{}\n", look.paint(Role::Heading, line));
        }
        let content = Content {
            tables: &capture.tables,
            mode: capture.header.mode,
            query: table_of.query,
            grouped: &table_of.grouped,
            total: table_of.total,
            paths_lag_ns: known_at(capture, selection.moment).map_or(0, |at| at.paths_lag_ns),
            count: selection.count,
        };
        out += &table(&content, &places, &mut source, look);
    }
    out
}

/// All memory of a metric. A tick knows the totals of the moment and the call paths that it had the time to write:
/// where the total says more, that is the truth. What filters keep has no other total than its own.
pub(crate) fn total(
    capture: &Capture,
    metric: Metric,
    moment: Reached,
    is_filtered: bool,
    of_sites: Amount,
) -> Amount {
    let totals = capture.tables.totals;
    let known = match metric {
        _ if is_filtered || matches!(moment, Reached::Between { .. }) => 0,
        Metric::Live => totals.live_bytes,
        Metric::Peak => totals.peak_bytes,
        Metric::Allocated | Metric::Freed | Metric::Temporary => 0,
    };
    let blocks = match (known, metric) {
        (1.., Metric::Live) => totals.live_blocks,
        _ => 0,
    };
    Amount {
        bytes: known.max(of_sites.bytes),
        blocks: blocks.max(of_sites.blocks),
    }
}

/// The traced memory of the moment, as the tables add it up.
fn traced(capture: &Capture, selection: &Selection) -> Traced {
    let of_sites = capture.tables.counters.iter();
    let of_sites: Amount = of_sites.map(|counters| Metric::Live.of(counters)).sum();
    let totals = capture.tables.totals;
    let all = Amount {
        bytes: totals.live_bytes,
        blocks: totals.live_blocks,
    };
    match selection.moment {
        // The tables have what was gained.
        Reached::Between { .. } => Traced { all, kept: None },
        _ if selection.is_filtered => Traced {
            all,
            kept: Some(of_sites),
        },
        moment => Traced {
            all: total(capture, Metric::Live, moment, false, of_sites),
            kept: None,
        },
    }
}

/// How much the peak differs from the exit, where it differs too little for a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Similarity {
    Same,
    /// No entry differs by more than one per cent of the whole.
    Nearly,
}

/// Drops the table of the peak where it would show what that of the exit shows, and tells how alike the two are.
fn drop_peak_that_equals_exit(
    tables: &mut Vec<Table<'_>>,
    selection: &Selection,
) -> Option<Similarity> {
    let at = |metric: Metric| tables.iter().position(|table| table.query.metric == metric);
    let (live, peak) = (at(Metric::Live)?, at(Metric::Peak)?);
    let similarity = match selection.moment {
        Reached::End => similarity(&tables[live], &tables[peak])?,
        _ => return None,
    };
    tables.remove(peak);
    Some(similarity)
}

/// Puts the table of the peak first if almost nothing is left at the exit of what the program held: the first
/// entry is what people read.
fn put_peak_before_little(tables: &mut [Table<'_>], selection: &Selection) {
    /// So many times as much at the peak.
    const TIMES: u64 = 10;
    let [live, peak] = tables else { return };
    let metrics = (live.query.metric, peak.query.metric);
    if selection.moment != Reached::End || metrics != (Metric::Live, Metric::Peak) {
        return;
    }
    let besides_imports = |table: &Table<'_>| {
        let imports = table.grouped.imports.unwrap_or_default().amount;
        table.grouped.total.bytes.saturating_sub(imports.bytes)
    };
    if besides_imports(live).saturating_mul(TIMES) < besides_imports(peak) {
        tables.swap(0, 1);
    }
}

/// How alike two tables of one grouping are; `None` if they are not.
fn similarity<'c>(one: &Table<'c>, other: &Table<'c>) -> Option<Similarity> {
    let amounts = |table: &Table<'c>| -> HashMap<Key<'c>, Amount> {
        let rows = table.grouped.rows.iter();
        rows.map(|row| (row.key, row.amount)).collect()
    };
    let (ones, others) = (amounts(one), amounts(other));
    if ones == others && one.total == other.total {
        return Some(Similarity::Same);
    }
    let small = one.total.bytes.max(other.total.bytes) / 100;
    let is_near = |a: Amount, b: Amount| a.bytes.abs_diff(b.bytes) <= small;
    let is_within = |mine: &HashMap<Key<'c>, Amount>, theirs: &HashMap<Key<'c>, Amount>| {
        let near = |(key, amount): (&Key<'c>, &Amount)| {
            is_near(*amount, theirs.get(key).copied().unwrap_or_default())
        };
        mine.iter().all(near)
    };
    let imports = |table: &Table<'c>| table.grouped.imports.unwrap_or_default().amount;
    let is_like = is_near(one.total, other.total)
        && is_near(imports(one), imports(other))
        && is_within(&ones, &others)
        && is_within(&others, &ones);
    is_like.then_some(Similarity::Nearly)
}

/// Every file that a table or a call path will name, so that short names are unambiguous.
fn places(capture: &Capture, selection: &Selection, tables: &[Table<'_>], look: &Look) -> Places {
    let mut places = Places::new(&capture.header.working_directory, look.ellipsis());
    for table in tables {
        for row in table.grouped.top(selection.count).0 {
            let node = capture.tables.sites[row.heaviest as usize].node;
            for frame in frames(&capture.tables, node) {
                places.add(frame.filename);
            }
        }
    }
    places
}

fn title(
    capture: &Capture,
    table: &Table<'_>,
    peak_is: Option<Similarity>,
    selection: &Selection,
) -> String {
    let query = table.query;
    let what = describe(selection.moment, query.metric, capture);
    let total = format_size(table.total.bytes);
    let total = match (query.metric, selection.moment, peak(capture)) {
        (Metric::Peak, Reached::End, Some((elapsed_ns, _))) => {
            let kept = if selection.is_filtered {
                " kept by the filters"
            } else {
                ""
            };
            total + kept + &at(elapsed_ns)
        }
        (Metric::Live, Reached::Between { from_ns, to_ns }, _) if !selection.is_filtered => {
            total + &lost_elsewhere(capture, table, from_ns, to_ns)
        }
        _ if selection.is_filtered => total + " kept by the filters",
        _ => total,
    };
    let shown = selection.count.min(table.grouped.rows.len()) as u64;
    let nouns = noun(query.group_by, shown);
    let cumulative = if query.cumulative && query.group_by.can_be_cumulative() {
        ", callees included"
    } else {
        ""
    };
    let shown = if shown == 0 {
        String::new()
    } else {
        format!(" {shown}")
    };
    let also = match peak_is.filter(|_| query.metric == Metric::Live) {
        None => "",
        Some(Similarity::Same) => ", and at the peak",
        Some(Similarity::Nearly) => "; at the peak the same within 1 %",
    };
    format!("Top{shown} {nouns} by {what}{also}{cumulative} ({total})")
}

/// What other call paths lost while those in the table gained: the difference is how live memory changed.
fn lost_elsewhere(capture: &Capture, table: &Table<'_>, from_ns: u64, to_ns: u64) -> String {
    let (before, after) = (
        live_bytes_at(capture, from_ns),
        live_bytes_at(capture, to_ns),
    );
    let gained = table.total.bytes;
    let lost = before.saturating_add(gained).saturating_sub(after);
    match lost {
        0 => String::new(),
        _ => format!(" gained, {} lost elsewhere", format_size(lost)),
    }
}
