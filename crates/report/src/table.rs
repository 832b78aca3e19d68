//! A top list.

use heapsight_analysis::path::{frames, thread};
use heapsight_analysis::{
    Amount, GroupBy, Grouped, ImportSum, Key, Others, Query, Row, margin_bytes,
};
use heapsight_capture::model::{Mode, NodeId, Tables};

use crate::callers::callers;
use crate::figures::{counted, format_count, format_share, format_size, share};
use crate::look::{Look, Role};
use crate::moment::time;
use crate::place::{Place, file_and_line, printable_file};
use crate::places::Places;
use crate::source::Source;
use crate::text::{keep_start, padding, printable, right, width, wrap};

/// Entries under which callers are shown.
const WITH_CALLERS: usize = 3;

/// Entries under which the source line is shown.
const WITH_SOURCE: usize = 3;

/// From this width on there is an average.
const WIDTH_FOR_AVERAGE: usize = 72;

/// From this width on there is a number of blocks.
const WIDTH_FOR_BLOCKS: usize = 56;

/// From this width on every entry has its source line, at the right.
const WIDTH_FOR_SOURCE: usize = 150;

const BAR_COLUMNS: usize = 10;

/// With less room than this under the place, callers and source start further to the left.
const ROOM_FOR_DETAILS: usize = 60;

/// Width of the rank and the gap after it.
const RANK_COLUMNS: usize = 5;

/// What a table is made from.
pub(crate) struct Content<'a> {
    pub tables: &'a Tables,
    pub mode: Mode,
    pub query: Query,
    pub grouped: &'a Grouped<'a>,
    /// All memory, which the rows and the lines below them add up to.
    pub total: Amount,
    /// How old, in nanoseconds, the figures of call paths may be.
    pub paths_lag_ns: u64,
    /// Entries shown.
    pub count: usize,
}

/// A row turned into text.
struct Line {
    size: String,
    share: String,
    error: String,
    bar: String,
    blocks: String,
    average: String,
    place: Place,
    source: Option<String>,
}

/// Column names, the rows with callers and source lines, and what is left out. Ends with a line break.
pub(crate) fn table(
    content: &Content<'_>,
    places: &Places,
    source: &mut Source,
    look: &Look,
) -> String {
    let (rows, others) = content.grouped.top(content.count);
    if rows.is_empty() {
        let margin = " ".repeat(RANK_COLUMNS);
        return format!("{margin}none\n") + &below_rows(content, others, look);
    }
    let lines: Vec<Line> = rows
        .iter()
        .map(|row| line(row, content, places, source, look))
        .collect();
    let columns = Columns::fitting(&lines, content, look);
    let mut out = columns.names(look);
    for (index, (line, row)) in lines.iter().zip(rows).enumerate() {
        out += &columns.line(index + 1, line, look);
        let has_source_below = index < WITH_SOURCE && columns.source.is_none();
        if let Some(source) = line.source.as_ref().filter(|_| has_source_below) {
            let margin = columns.details;
            let text = keep_start(source, look.width.saturating_sub(margin), look.ellipsis());
            out += &format!(
                "{}{}\n",
                " ".repeat(margin),
                look.paint(Role::Secondary, text)
            );
        }
        if index < WITH_CALLERS || content.query.group_by == GroupBy::Traceback {
            let node = content.tables.sites[row.heaviest as usize].node;
            let part = share(row.heaviest_amount.bytes, row.amount.bytes);
            for line in path_of(
                content.query,
                node,
                Some(part),
                content.tables,
                columns.details,
                places,
                look,
            ) {
                out += &line;
                out.push('\n');
            }
        }
    }
    out + &below_rows(content, others, look)
}

/// What is in no row: other rows, imports, and what the tick does not tell apart.
fn below_rows(content: &Content<'_>, others: Others, look: &Look) -> String {
    let mut lines = Vec::new();
    if others.rows > 0 {
        let by = content.query.group_by;
        let mut text = format!(
            "{} other {}",
            format_count(others.rows as u64),
            noun(by, others.rows as u64),
        );
        // Cumulative rows overlap: their sum would mean nothing.
        if !(content.query.cumulative && by.can_be_cumulative()) {
            let blocks = counted(others.amount.blocks, "block", "blocks");
            text += &format!(": {} in {blocks}", format_size(others.amount.bytes));
        }
        lines.push(text);
    }
    if let Some(imports) = content.grouped.imports {
        lines.extend(imports_line(&imports));
    }
    let untold = content
        .total
        .bytes
        .saturating_sub(content.grouped.total.bytes);
    // Less than a tenth of a per cent is between the digits that are shown.
    if untold > content.total.bytes / 1000 {
        let age = match content.paths_lag_ns {
            0 => String::new(),
            lag_ns => format!(", whose figures are up to {} old", time(lag_ns)),
        };
        let size = format_size(untold);
        lines.push(format!("not told apart by call path{age}: {size}"));
    }
    lines.iter().map(|text| line_below(text, look)).collect()
}

/// A line below the rows, continued on the next if it is too long.
pub(crate) fn line_below(text: &str, look: &Look) -> String {
    let margin = " ".repeat(RANK_COLUMNS);
    let room = look.width.saturating_sub(RANK_COLUMNS);
    let wrapped = wrap(text.split(' '), room, 2);
    let line = |line: &str| {
        let text = format!("{margin}{line}");
        format!("{}\n", look.paint(Role::Secondary, text))
    };
    wrapped.lines().map(line).collect()
}

/// `imports: 41 MiB in 312 modules; --imports to see`, if there is any such memory.
pub(crate) fn imports_line(imports: &ImportSum) -> Option<String> {
    if imports.amount.is_zero() {
        return None;
    }
    let size = format_size(imports.amount.bytes);
    let modules = in_modules(imports.modules);
    Some(format!("imports: {size}{modules}; --imports to see"))
}

/// ` in 312 modules`; nothing where call paths are too short to tell which.
pub(crate) fn in_modules(count: usize) -> String {
    match count {
        0 => String::new(),
        count => format!(" in {}", counted(count as u64, "module", "modules")),
    }
}

/// What one entry is called.
pub(crate) fn noun(by: GroupBy, count: u64) -> &'static str {
    let (one, many) = match by {
        GroupBy::Line => ("call site", "call sites"),
        GroupBy::Function => ("function", "functions"),
        GroupBy::Filename => ("file", "files"),
        GroupBy::Traceback => ("call path", "call paths"),
        GroupBy::Domain => ("allocator domain", "allocator domains"),
        GroupBy::Thread => ("thread", "threads"),
    };
    if count == 1 { one } else { many }
}

fn line(
    row: &Row<'_>,
    content: &Content<'_>,
    places: &Places,
    source: &mut Source,
    look: &Look,
) -> Line {
    let Amount { bytes, blocks } = row.amount;
    let part = share(bytes, content.total.bytes);
    let node = content.tables.sites[row.heaviest as usize].node;
    Line {
        size: format_size(bytes),
        share: format_share(bytes, content.total.bytes),
        error: error(content.mode, bytes, look),
        bar: bar(part, look),
        blocks: format_count(blocks),
        average: format_size(row.amount.average_bytes()),
        place: place(&row.key, node, content.tables, places, look),
        source: source_line(row, content, source, look),
    }
}

/// The margin relative to the figure; empty in exact captures.
fn error(mode: Mode, bytes: u64, look: &Look) -> String {
    let sign = look.plus_minus();
    match margin_bytes(mode, bytes) {
        None => String::new(),
        Some(margin) => {
            let percent = (100.0 * share(margin, bytes)).ceil();
            if bytes == 0 || percent > 999.0 {
                format!("{sign}>999 %")
            } else {
                format!("{sign}{percent} %")
            }
        }
    }
}

fn bar(part: f64, look: &Look) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (part.clamp(0.0, 1.0) * (BAR_COLUMNS * 8) as f64).round() as usize;
    if look.unicode {
        "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
    } else {
        "#".repeat((eighths + 4) / 8)
    }
}

/// The name of a key, with the function where `node`, the call path of a member, tells it.
pub(crate) fn place(
    key: &Key<'_>,
    node: NodeId,
    tables: &Tables,
    places: &Places,
    look: &Look,
) -> Place {
    let unknown = || Place::of_name("<no Python frame>".to_owned());
    match *key {
        Key::Line(None) | Key::Function(None) | Key::Filename(None) => unknown(),
        Key::Line(Some((filename, line))) => {
            // Several functions can share a line; the heaviest member names one of them.
            let function = frames(tables, node)
                .find(|frame| (frame.filename, frame.line) == (filename, line))
                .map_or("", |frame| frame.name);
            Place {
                name: file_and_line(filename, line, places, look),
                function: printable(function, look.unicode),
            }
        }
        Key::Function(Some((filename, name))) => Place {
            name: printable_file(filename, places, look),
            function: printable(name, look.unicode),
        },
        Key::Filename(Some(filename)) => Place::of_name(printable_file(filename, places, look)),
        Key::Traceback(node) => frames(tables, node)
            .next()
            .map_or_else(unknown, |frame| Place::of_frame(&frame, places, look)),
        Key::Domain(domain) => Place::of_name(domain.name()),
        Key::Thread(name) => Place::of_name(match name {
            Some(name) => printable(name, look.unicode),
            None => "<threads were not kept apart>".to_owned(),
        }),
    }
}

fn source_line(
    row: &Row<'_>,
    content: &Content<'_>,
    source: &mut Source,
    look: &Look,
) -> Option<String> {
    let (filename, line) = match row.key {
        Key::Line(known) => known?,
        Key::Traceback(node) => {
            let frame = frames(content.tables, node).next()?;
            (frame.filename, frame.line)
        }
        _ => return None,
    };
    source
        .line(filename, line)
        .map(|text| printable(&text, look.unicode))
}

/// The callers on the heaviest call path of an entry, `node`, through which came `part` of its memory. Under cumulative
/// entries they would be those of a leaf somewhere below, so there are none.
pub(crate) fn path_of(
    query: Query,
    node: NodeId,
    part: Option<f64>,
    tables: &Tables,
    indent: usize,
    places: &Places,
    look: &Look,
) -> Vec<String> {
    let by = query.group_by;
    if query.cumulative || matches!(by, GroupBy::Domain | GroupBy::Thread) {
        return Vec::new();
    }
    // The most recent frame is the entry itself, except where the entry says less than a line.
    let shown = usize::from(matches!(by, GroupBy::Line | GroupBy::Traceback));
    let mut lines = paths(
        callers(frames(tables, node), shown, indent, places, look),
        part.filter(|_| by != GroupBy::Traceback),
        indent,
        look,
    );
    if let Some(name) = thread(tables, node) {
        let text = format!("in thread {}", printable(name, look.unicode));
        lines.push(format!(
            "{}{}",
            " ".repeat(indent),
            look.paint(Role::Secondary, text)
        ));
    }
    lines
}

/// The lines of a call path, after one that says which part of the memory came through it. A path with a small part
/// tells nothing and is left out.
fn paths(lines: Vec<String>, part: Option<f64>, indent: usize, look: &Look) -> Vec<String> {
    /// A path with less than this share of a row is one of many.
    const SMALL_PART: f64 = 0.1;
    let Some(part) = part.filter(|part| *part < 0.995 && !lines.is_empty()) else {
        return lines;
    };
    let is_small = part < SMALL_PART;
    let text = match is_small {
        true => format!(
            "many call paths, none with more than {:.0} %",
            (part * 100.0).ceil()
        ),
        false => format!("{:.0} % of it through this path:", part * 100.0),
    };
    let text = look.paint(Role::Secondary, text);
    let first = format!("{}{text}", " ".repeat(indent));
    match is_small {
        true => vec![first],
        false => [first].into_iter().chain(lines).collect(),
    }
}

/// Widths of the columns.
struct Columns {
    size: usize,
    share: usize,
    error: usize,
    bar: usize,
    blocks: usize,
    average: usize,
    place: usize,
    /// Columns left for the source line at the right, if it has a place there.
    source: Option<usize>,
    /// Columns before what stands below a row.
    details: usize,
}

const GAP: &str = "  ";

impl Columns {
    fn fitting(lines: &[Line], content: &Content<'_>, look: &Look) -> Self {
        let widest = |name: &str, of: fn(&Line) -> &String| {
            let cells = lines.iter().map(|line| width(of(line)));
            cells.max().unwrap_or(0).max(width(name))
        };
        let size = widest("size", |line| &line.size);
        let share = widest("share", |line| &line.share);
        let error = match content.mode {
            Mode::Exact { .. } => 0,
            Mode::Sampled { .. } => widest("", |line| &line.error),
        };
        let unless_narrow = |fewest: usize, columns: usize| match look.width >= fewest {
            true => columns,
            false => 0,
        };
        let bar = if look.is_narrow() { 0 } else { BAR_COLUMNS };
        let blocks = unless_narrow(WIDTH_FOR_BLOCKS, widest("blocks", |line| &line.blocks));
        let average = unless_narrow(WIDTH_FOR_AVERAGE, widest("average", |line| &line.average));
        let before_place = RANK_COLUMNS
            + [size, share, error, bar, blocks, average]
                .into_iter()
                .filter(|width| *width > 0)
                .map(|width| width + GAP.len())
                .sum::<usize>();
        let room = look.width.saturating_sub(before_place);
        let longest = lines
            .iter()
            .map(|line| line.place.width())
            .max()
            .unwrap_or(0);
        let (place, source) = if look.width >= WIDTH_FOR_SOURCE {
            let place = longest.min(room * 3 / 5);
            (place, Some(room.saturating_sub(place + GAP.len())))
        } else {
            (room, None)
        };
        Self {
            size,
            share,
            error,
            bar,
            blocks,
            average,
            place,
            source,
            details: if room < ROOM_FOR_DETAILS {
                RANK_COLUMNS + GAP.len()
            } else {
                before_place
            },
        }
    }

    fn names(&self, look: &Look) -> String {
        let mut line = " ".repeat(RANK_COLUMNS);
        let mut cell = |columns: usize, text: String| {
            if columns > 0 {
                line += &text;
                line += GAP;
            }
        };
        cell(self.size, right("size", self.size));
        cell(self.error, " ".repeat(self.error));
        cell(self.share, right("share", self.share));
        cell(self.bar, " ".repeat(self.bar));
        cell(self.blocks, right("blocks", self.blocks));
        cell(self.average, right("average", self.average));
        line += "where";
        format!("{}\n", look.paint(Role::ColumnName, line))
    }

    fn line(&self, rank: usize, content: &Line, look: &Look) -> String {
        let rank = right(&rank.to_string(), RANK_COLUMNS - GAP.len());
        let mut line = format!("{}{GAP}", look.paint(Role::Secondary, rank));
        let mut cell = |columns: usize, role: Role, text: String| {
            if columns > 0 {
                line += &format!("{}{GAP}", look.paint(role, text));
            }
        };
        cell(self.size, Role::Figure, right(&content.size, self.size));
        cell(
            self.error,
            Role::Secondary,
            right(&content.error, self.error),
        );
        cell(
            self.share,
            Role::Function,
            right(&content.share, self.share),
        );
        let bar = content.bar.clone() + &padding(&content.bar, self.bar);
        cell(self.bar, Role::Bar, bar);
        cell(
            self.blocks,
            Role::Function,
            right(&content.blocks, self.blocks),
        );
        cell(
            self.average,
            Role::Function,
            right(&content.average, self.average),
        );
        line += &content.place.paint(self.place, look);
        if let (Some(room), Some(source)) = (self.source, &content.source) {
            let gap = self.place.saturating_sub(content.place.width()) + GAP.len();
            let source = keep_start(source, room, look.ellipsis());
            line += &format!("{}{}", " ".repeat(gap), look.paint(Role::Secondary, source));
        }
        line.push('\n');
        line
    }
}
