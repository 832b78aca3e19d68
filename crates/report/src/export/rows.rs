//! A capture as rows of a table: one for each site (call path and domain), or for each key of a grouping.

use heapsight_analysis::path::{frames, thread};
use heapsight_analysis::{GroupBy, Key, ledger};
use heapsight_capture::model::{Counters, NodeId, Tables};

use super::stacks::{LEFT_OUT, MOST_FRAMES};

/// One row. What does not apply to a grouping, or is not known, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// Qualified name of the most recent function.
    pub function: Option<String>,
    /// Its file.
    pub filename: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
    /// The allocator domain.
    pub domain: Option<String>,
    /// The thread.
    pub thread: Option<String>,
    /// The call path; its frames are [`frame_texts`].
    pub node: Option<NodeId>,
    /// The figures.
    pub counters: Counters,
}

/// A counted column: its name, and its value.
pub(super) type Figure = (&'static str, fn(&Counters) -> u64);

/// The counted columns, in order: name and value. All are never negative, live ones being what was allocated and not freed.
pub(super) const FIGURES: [Figure; 10] = [
    ("live_bytes", Counters::live_bytes),
    ("live_blocks", Counters::live_blocks),
    ("allocated_bytes", |counters| counters.allocated_bytes),
    ("allocated_blocks", |counters| counters.allocated_blocks),
    ("freed_bytes", |counters| counters.freed_bytes),
    ("freed_blocks", |counters| counters.freed_blocks),
    ("temporary_bytes", |counters| counters.temporary_bytes),
    ("temporary_blocks", |counters| counters.temporary_blocks),
    ("peak_bytes", |counters| counters.peak_bytes),
    ("peak_blocks", |counters| counters.peak_blocks),
];

/// `function (file:line)` of each frame, most recent first: at most [`MOST_FRAMES`], and [`LEFT_OUT`].
pub(super) fn frame_texts(tables: &Tables, node: NodeId) -> impl Iterator<Item = String> {
    let beyond = frames(tables, node).nth(MOST_FRAMES);
    frames(tables, node)
        .take(MOST_FRAMES)
        .map(|frame| match frame.line {
            0 => format!("{} ({})", frame.name, frame.filename),
            line => format!("{} ({}:{line})", frame.name, frame.filename),
        })
        .chain(beyond.map(|_| LEFT_OUT.to_owned()))
}

/// The rows of `tables`.
pub(super) fn rows(tables: &Tables, group_by: Option<GroupBy>) -> Vec<Row> {
    match group_by {
        None => by_site(tables),
        Some(by) => by_key(tables, by),
    }
}

fn by_site(tables: &Tables) -> Vec<Row> {
    let sites = tables.sites.iter().zip(&tables.counters);
    sites
        .map(|(site, counters)| Row {
            domain: Some(site.domain.name()),
            thread: thread(tables, site.node).map(str::to_owned),
            node: Some(site.node),
            counters: *counters,
            ..most_recent(tables, site.node)
        })
        .collect()
}

fn most_recent(tables: &Tables, node: NodeId) -> Row {
    let Some(frame) = frames(tables, node).next() else {
        return Row::default();
    };
    Row {
        function: Some(frame.name.to_owned()),
        filename: Some(frame.filename.to_owned()),
        line: Some(frame.line).filter(|line| *line > 0),
        ..Row::default()
    }
}

fn by_key(tables: &Tables, by: GroupBy) -> Vec<Row> {
    let row = |key: Key<'_>| match key {
        Key::Line(known) => Row {
            filename: known.map(|(filename, _)| filename.to_owned()),
            line: known.map(|(_, line)| line).filter(|line| *line > 0),
            ..Row::default()
        },
        Key::Function(known) => Row {
            filename: known.map(|(filename, _)| filename.to_owned()),
            function: known.map(|(_, name)| name.to_owned()),
            ..Row::default()
        },
        Key::Filename(filename) => Row {
            filename: filename.map(str::to_owned),
            ..Row::default()
        },
        Key::Traceback(node) => Row {
            node: Some(node),
            ..most_recent(tables, node)
        },
        Key::Domain(domain) => Row {
            domain: Some(domain.name()),
            ..Row::default()
        },
        Key::Thread(name) => Row {
            thread: name.map(str::to_owned),
            ..Row::default()
        },
    };
    let ledger = ledger(tables, by).into_iter();
    ledger
        .map(|(key, counters)| Row {
            counters,
            ..row(key)
        })
        .collect()
}
