//! The top of a snapshot in plain lines, compared with an earlier one: `heapsight top` on several files.

use chrono::{DateTime, Local};
use heapsight_analysis::recording::Reached;
use heapsight_analysis::{
    AddressJoin, Amount, Difference, ImportSum, Imports, Query, group, import_sites,
};
use heapsight_capture::Capture;
use serde::Deserialize;

use crate::display::{
    DisplayFigures, DisplayKey, DisplayMetric, DisplayOptions, DisplayTop, MetricFormat,
    display_top, grouping_title,
};
use crate::figures::counted;
use crate::look::Look;
use crate::process::{known_at, resident_lines};

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
    /// Whether to tell growth per minute, where the files are of one process.
    pub show_growth: bool,
    /// What a line shows.
    pub display: DisplayOptions,
}

/// A capture, and the moment that its tables are of.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'c> {
    /// The capture.
    pub capture: &'c Capture,
    /// The moment.
    pub moment: Reached,
}

impl Shown<'_> {
    /// When the tick of the moment was: nanoseconds since 1970-01-01 UTC. 0 when unknown.
    #[must_use]
    pub fn unix_ns(self) -> u64 {
        let elapsed_ns = known_at(self.capture, self.moment).map_or(0, |point| point.elapsed_ns);
        match self.capture.header.start_unix_ns {
            0 => 0,
            start => start.saturating_add(elapsed_ns),
        }
    }
}

/// The top of `new`, compared with `old`, as text ending with a line break.
#[must_use]
pub fn lines(new: Shown<'_>, old: Option<Shown<'_>>, lines: &Lines, look: &Look) -> String {
    let span_ns = old.and_then(|old| span_ns(old, new));
    let (new_side, old_side) = (new, old);
    let (new, old) = (new.capture, old.map(|old| old.capture));
    let (shown, others, imports, total) = if lines.by_address {
        by_address(new, old, lines.count, lines.query.imports)
    } else {
        let (rows, imports, total) = by_key(new, old, lines.query);
        let mut rows = rows.into_iter();
        let shown: Vec<_> = rows.by_ref().take(lines.count).collect();
        let mut others = (0, DisplayFigures::default());
        for (_, figures) in rows {
            others.0 += 1;
            others.1 += figures;
        }
        (shown, others, imports, total)
    };
    let grouping = if lines.by_address {
        "address"
    } else {
        grouping_title(lines.query.group_by)
    };
    let top = DisplayTop {
        timestamp: timestamp(new_side),
        compared_to: old_side.map(timestamp),
        grouping: grouping.to_owned(),
        cumulative: lines.query.cumulative && !lines.by_address,
        rows: shown,
        others,
        imports,
        total,
        metrics: if lines.show_metrics {
            metrics(new_side, old_side)
        } else {
            Vec::new()
        },
    };
    let options = DisplayOptions {
        growth_span_ns: span_ns.filter(|_| lines.show_growth),
        ..lines.display
    };
    let mut out = display_top(&top, &options);
    if lines.show_metrics {
        // Lines are as long as they need to be.
        let look = Look {
            width: usize::MAX,
            ..*look
        };
        out += &resident_lines(new, new_side.moment, 0, &look);
    }
    out
}

/// Time between two moments of one process, if it is long enough to speak of minutes.
fn span_ns(old: Shown<'_>, new: Shown<'_>) -> Option<u64> {
    crate::diff::span_ns((old.capture, old.moment), (new.capture, new.moment))
        .filter(|span_ns| *span_ns >= crate::diff::SHORTEST_SPAN_NS)
}

/// Imports with what is said of them, if they are a sum of their own.
type ImportLine = Option<(DisplayFigures, String)>;

/// Places with their figures, in the order in which they are shown, imports, and the sum.
type Rows = (
    Vec<(DisplayKey, DisplayFigures)>,
    ImportLine,
    DisplayFigures,
);

/// What is said of imports; nothing where there are none.
fn import_line(sums: Option<(ImportSum, ImportSum)>) -> ImportLine {
    let (old, new) = sums?;
    if old.amount.is_zero() && new.amount.is_zero() {
        return None;
    }
    let modules = match new.modules.max(old.modules) {
        0 => String::new(),
        count => format!("{}; ", counted(count as u64, "module", "modules")),
    };
    let note = format!(" ({modules}--imports to see)");
    Some((changed(old.amount, new.amount), note))
}

fn by_key(new: &Capture, old: Option<&Capture>, query: Query) -> Rows {
    match old {
        None => {
            let grouped = group(&new.tables, query);
            let rows = grouped.rows.iter().map(|row| {
                let key = DisplayKey::of_group(&row.key, &new.tables);
                (key, unchanged(row.amount))
            });
            let imports = import_line(grouped.imports.map(|imports| (imports, imports)));
            (rows.collect(), imports, unchanged(grouped.total))
        }
        Some(old) => {
            let difference = Difference::new(&old.tables, &new.tables, query);
            let rows = difference.changes().into_iter().map(|change| {
                let key = DisplayKey::of_group(&change.key, difference.tables());
                (key, changed(change.old, change.new))
            });
            let rows = rows.collect();
            let (before, after) = difference.totals();
            let imports = import_line(difference.imports());
            (rows, imports, changed(before, after))
        }
    }
}

/// Rows, the others' number and sum, imports, and the sum of all.
type ByAddress = (
    Vec<(DisplayKey, DisplayFigures)>,
    (usize, DisplayFigures),
    ImportLine,
    DisplayFigures,
);

/// The blocks that changed most.
fn by_address(new: &Capture, old: Option<&Capture>, count: usize, imports: Imports) -> ByAddress {
    let (old, old_imports) = sizes(old.unwrap_or(new), imports);
    let (new, new_imports) = sizes(new, imports);
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
    let of_imports = |amount| ImportSum { amount, modules: 0 };
    let line = import_line(Some((of_imports(old_imports), of_imports(new_imports))));
    let total = |rows: Amount, imports: Amount| [rows, imports].into_iter().sum();
    let total = changed(
        total(biggest.old, old_imports),
        total(biggest.new, new_imports),
    );
    (shown, (others, changed(rest.0, rest.1)), line, total)
}

/// (address, size) of every block, by address: files have them so, but nothing says that they must. Those of imports
/// are only added up, if they are a sum of their own.
fn sizes(capture: &Capture, imports: Imports) -> (Vec<(u64, u64)>, Amount) {
    let is_import = import_sites(&capture.tables, imports);
    let mut of_imports = Amount::default();
    let mut sizes: Vec<(u64, u64)> = Vec::new();
    for block in capture.blocks.iter().flatten() {
        if is_import[block.site as usize] {
            of_imports += Amount {
                bytes: block.size,
                blocks: 1,
            };
        } else {
            sizes.push((block.address, block.size));
        }
    }
    if !sizes.is_sorted() {
        sizes.sort_unstable();
    }
    (sizes, of_imports)
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

/// When the tick that is shown was, in local time; nothing when unknown.
fn timestamp(shown: Shown<'_>) -> Option<String> {
    let unix_ns = shown.unix_ns();
    let time = DateTime::from_timestamp_nanos(i64::try_from(unix_ns).ok()?);
    let local = time.with_timezone(&Local);
    (unix_ns > 0).then(|| local.format("%Y-%m-%d %H:%M:%S").to_string())
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

/// The process's figures and the program's own, in order. A note that makes no sense is passed over: somebody else may
/// have written it.
fn figures(shown: Shown<'_>) -> Vec<(String, f64, MetricFormat)> {
    let note = shown
        .capture
        .notes
        .iter()
        .rev()
        .find(|note| note.name == NOTE);
    let extras: Extras = note
        .and_then(|note| serde_json::from_str(&note.text).ok())
        .unwrap_or_default();
    let last = known_at(shown.capture, shown.moment).map_or(0, |point| point.rss_bytes);
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

fn metrics(new: Shown<'_>, old: Option<Shown<'_>>) -> Vec<DisplayMetric> {
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
