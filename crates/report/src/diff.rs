//! What changed from one moment to another.

use heapsight_analysis::path::frames;
use heapsight_analysis::recording::Reached;
use heapsight_analysis::{Amount, Change, Difference, GroupBy, Metric, Query};
use heapsight_capture::Capture;

use crate::figures::{counted, format_count, format_size, format_size_change, share};
use crate::headline::headline;
use crate::look::{Look, Role};
use crate::moment::{describe, time};
use crate::places::Places;
use crate::process::{error, known_at, labelled, per_minute};
use crate::summary::total;
use crate::table::{in_modules, line_below, noun, path_of, place};
use crate::text::{printable, right, width};

/// One side of a difference.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// How it is called: usually the file.
    pub name: &'a str,
    /// Its tables.
    pub capture: &'a Capture,
    /// The moment that they are of.
    pub moment: Reached,
}

/// What a difference shows.
#[derive(Clone, Copy, Debug)]
pub struct DiffSelection {
    /// Which memory, by what.
    pub query: Query,
    /// Entries shown.
    pub count: usize,
    /// Whether filters were applied to both sides.
    pub is_filtered: bool,
}

/// Entries under which callers are shown.
const WITH_CALLERS: usize = 3;

/// From this width on there is a number of blocks.
const WIDTH_FOR_BLOCKS: usize = 100;

/// From this width on there is the old size.
const WIDTH_FOR_OLD: usize = 72;

/// Shorter spans say nothing of a minute.
pub(crate) const SHORTEST_SPAN_NS: u64 = 1_000_000_000;

/// The groups that changed most from `old` to `new`, as text ending with a line break.
#[must_use]
pub fn diff(old: Side<'_>, new: Side<'_>, selection: &DiffSelection, look: &Look) -> String {
    let query = selection.query;
    let difference = Difference::new(&old.capture.tables, &new.capture.tables, query);
    let changes: Vec<Change<'_>> = difference
        .changes()
        .into_iter()
        .filter(|change| change.gained() != (0, 0))
        .collect();
    let span_ns = span_ns((old.capture, old.moment), (new.capture, new.moment));
    let totals = {
        let (before, after) = difference.totals();
        let total = |side: Side<'_>, of_sites| {
            let is_filtered = selection.is_filtered;
            total(
                side.capture,
                query.metric,
                side.moment,
                is_filtered,
                of_sites,
            )
        };
        (total(old, before), total(new, after))
    };
    let mut out = headlines(old, new, look);
    out.push('\n');
    out += &sides(old, new, totals, selection, look);
    let change = totals.1.change_from(totals.0);
    let (label, rate) = match query.metric {
        Metric::Live | Metric::Peak => ("Growth", rate(change.0, span_ns)),
        _ => ("Change", rate(change.0, span_ns)),
    };
    let within = span_ns.map_or_else(String::new, |span_ns| format!(" within {}", time(span_ns)));
    let rate = rate.map_or_else(String::new, |rate| format!(": {rate} per minute"));
    let text = format!(" in {}{within}{rate}", blocks_gained(change.1));
    out += &labelled(label, &format_size_change(change.0), &text, look);

    let shown = &changes[..selection.count.min(changes.len())];
    let nouns = noun(query.group_by, changes.len() as u64);
    let title = match (shown.len(), changes.len()) {
        (0, _) => format!("Changed {nouns}"),
        (shown, all) if shown == all => {
            format!("All {} {nouns} that changed", format_count(all as u64))
        }
        (shown, all) => format!(
            "Top {} of {} {nouns} that changed",
            format_count(shown as u64),
            format_count(all as u64)
        ),
    };
    out += &format!("\n{}\n", look.paint(Role::Heading, title));
    out += &table(&difference, shown, new.capture, query, span_ns, look);
    out += &below_rows(&difference, &changes[shown.len()..], totals, query, look);
    out
}

/// What was recorded: once, or once for each of two recordings.
fn headlines(old: Side<'_>, new: Side<'_>, look: &Look) -> String {
    let is_one = |a: &Capture, b: &Capture| {
        a.header == b.header && a.timeline == b.timeline && a.end == b.end
    };
    if is_one(old.capture, new.capture) {
        headline(new.capture, look)
    } else {
        headline(old.capture, look) + &headline(new.capture, look)
    }
}

/// The two lines on what is compared.
fn sides(
    old: Side<'_>,
    new: Side<'_>,
    totals: (Amount, Amount),
    selection: &DiffSelection,
    look: &Look,
) -> String {
    let line = |label: &str, side: Side<'_>, amount: Amount| {
        let name = printable(side.name, look.unicode);
        let what = describe(side.moment, selection.query.metric, side.capture);
        let blocks = counted(amount.blocks, "block", "blocks");
        let kept = match selection.is_filtered {
            true => " kept by the filters",
            false => "",
        };
        let margin = error(side.capture.header.mode, amount.bytes, look);
        let text = format!("{margin} in {blocks}{kept}, {what} ({name})");
        labelled(label, &format_size(amount.bytes), &text, look)
    };
    line("Old", old, totals.0) + &line("New", new, totals.1)
}

/// Time between two moments of one process; `None` if they are of different ones, or out of order.
pub(crate) fn span_ns(old: (&Capture, Reached), new: (&Capture, Reached)) -> Option<u64> {
    let pid = old.0.header.pid;
    if pid != new.0.header.pid || pid == 0 {
        return None;
    }
    let at = |(capture, moment): (&Capture, Reached)| {
        let elapsed_ns = known_at(capture, moment).map_or(0, |point| point.elapsed_ns);
        capture.header.start_unix_ns.saturating_add(elapsed_ns)
    };
    at(new).checked_sub(at(old)).filter(|span_ns| *span_ns > 0)
}

/// A change in bytes within a span as text for a minute, if the span is long enough to speak of one.
fn rate(bytes: i64, span_ns: Option<u64>) -> Option<String> {
    let span_ns = span_ns.filter(|span_ns| *span_ns >= SHORTEST_SPAN_NS)?;
    per_minute(bytes, span_ns).map(format_size_change)
}

fn blocks_gained(count: i64) -> String {
    let noun = if count.unsigned_abs() == 1 {
        "block"
    } else {
        "blocks"
    };
    format!("{} {noun}", signed_count(count))
}

fn signed_count(count: i64) -> String {
    let sign = if count < 0 { '-' } else { '+' };
    format!("{sign}{}", format_count(count.unsigned_abs()))
}

/// A column: its name, its cells, and from which width on it is there.
struct Column {
    name: &'static str,
    cells: Vec<String>,
}

impl Column {
    fn width(&self) -> usize {
        let cells = self.cells.iter().map(|cell| width(cell));
        cells.max().unwrap_or(0).max(width(self.name))
    }
}

fn columns(changes: &[Change<'_>], span_ns: Option<u64>, look: &Look) -> Vec<Column> {
    let cells = |text: fn(&Change<'_>) -> String| changes.iter().map(text).collect();
    let mut columns = vec![Column {
        name: "change",
        cells: cells(|change| format_size_change(change.gained().0)),
    }];
    if rate(0, span_ns).is_some() {
        let of_change = |change: &Change<'_>| rate(change.gained().0, span_ns).unwrap_or_default();
        columns.push(Column {
            name: "per minute",
            cells: changes.iter().map(of_change).collect(),
        });
    }
    if look.width >= WIDTH_FOR_OLD {
        columns.push(Column {
            name: "old",
            cells: cells(|change| format_size(change.old.bytes)),
        });
    }
    columns.push(Column {
        name: "new",
        cells: cells(|change| format_size(change.new.bytes)),
    });
    if look.width >= WIDTH_FOR_BLOCKS {
        columns.push(Column {
            name: "blocks",
            cells: cells(|change| signed_count(change.gained().1)),
        });
    }
    columns
}

fn table(
    difference: &Difference,
    changes: &[Change<'_>],
    capture: &Capture,
    query: Query,
    span_ns: Option<u64>,
    look: &Look,
) -> String {
    if changes.is_empty() {
        return "     none\n".to_owned();
    }
    let tables = difference.tables();
    let node = |change: &Change<'_>| tables.sites[change.heaviest as usize].node;
    let mut places = Places::new(&capture.header.working_directory, look.ellipsis());
    for change in changes {
        for frame in frames(tables, node(change)) {
            places.add(frame.filename);
        }
    }
    let columns = columns(changes, span_ns, look);
    let used = 5 + columns
        .iter()
        .map(|column| column.width() + 2)
        .sum::<usize>();
    let room = look.width.saturating_sub(used);
    let names: String = columns
        .iter()
        .map(|column| right(column.name, column.width()) + "  ")
        .collect();
    let mut out = format!(
        "{}\n",
        look.paint(Role::ColumnName, format!("     {names}where"))
    );
    for (index, change) in changes.iter().enumerate() {
        let cells: String = columns
            .iter()
            .map(|column| right(&column.cells[index], column.width()) + "  ")
            .collect();
        let rank = right(&(index + 1).to_string(), 3);
        let rank = look.paint(Role::Secondary, rank);
        let place = place(&change.key, node(change), tables, &places, look);
        out += &format!("{rank}  {cells}{}\n", place.paint(room, look));
        if index < WITH_CALLERS || query.group_by == GroupBy::Traceback {
            let gained = change.heaviest_gained;
            let part = share(gained.unsigned_abs(), change.gained().0.unsigned_abs());
            // Others went the other way: then no share of the sum means anything.
            let part = Some(part).filter(|part| *part < 1.0);
            let indent = if room < 60 { 7 } else { used };
            for line in path_of(query, node(change), part, tables, indent, &places, look) {
                out += &format!("{line}\n");
            }
        }
    }
    out
}

/// What is in no row.
fn below_rows(
    difference: &Difference,
    hidden: &[Change<'_>],
    totals: (Amount, Amount),
    query: Query,
    look: &Look,
) -> String {
    let gained = |(bytes, blocks): (i64, i64)| {
        format!("{} in {}", format_size_change(bytes), blocks_gained(blocks))
    };
    let mut lines = Vec::new();
    if !hidden.is_empty() {
        let count = hidden.len() as u64;
        let mut text = format!(
            "{} other {}",
            format_count(count),
            noun(query.group_by, count)
        );
        // Cumulative rows overlap: their sum would mean nothing.
        if !(query.cumulative && query.group_by.can_be_cumulative()) {
            let sum = |side: fn(&Change<'_>) -> Amount| hidden.iter().map(side).sum::<Amount>();
            let change = sum(|change| change.new).change_from(sum(|change| change.old));
            text += &format!(": {}", gained(change));
        }
        lines.push(text);
    }
    if let Some((old, new)) = difference.imports() {
        let (bytes, blocks) = new.amount.change_from(old.amount);
        if (bytes, blocks) != (0, 0) {
            let modules = in_modules(new.modules.max(old.modules));
            lines.push(format!(
                "imports: {} to {}{modules}; --imports to see",
                format_size_change(bytes),
                format_size(new.amount.bytes)
            ));
        }
    }
    let (before, after) = difference.totals();
    let told = after.change_from(before).0;
    let untold = totals.1.change_from(totals.0).0.saturating_sub(told);
    if untold.unsigned_abs() > totals.0.bytes.max(totals.1.bytes) / 1000 {
        let size = format_size_change(untold);
        lines.push(format!("not told apart by call path: {size}"));
    }
    lines.iter().map(|text| line_below(text, look)).collect()
}
