//! A capture as rows of a table: one for each site (call path and domain), or for each key of a grouping.

use heapsight_analysis::path::{frames, is_frame};
use heapsight_analysis::{GroupBy, Key, group_counters};
use heapsight_capture::model::{CodeKind, Counters, Domain, NodeId, ROOT, StringId, Tables};

/// One row. What does not apply to a grouping, or is not known, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row<'t> {
    /// Qualified name of the most recent function.
    pub function: Option<&'t str>,
    /// Its file.
    pub filename: Option<&'t str>,
    /// The line in it.
    pub line: Option<u32>,
    /// The allocator domain.
    pub domain: Option<Domain>,
    /// The thread.
    pub thread: Option<&'t str>,
    /// The call path.
    pub node: Option<NodeId>,
    /// The figures.
    pub counters: Counters,
}

/// A counted column: its name, and its value.
pub(super) type Figure = (&'static str, fn(&Counters) -> u64);

/// The counted columns, in order: name and value. All are never negative, live ones being what was allocated and not
/// freed.
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

/// The rows of `tables`, one after the other: there may be hundreds of thousands.
pub(super) fn rows<'t>(
    tables: &'t Tables,
    group_by: Option<GroupBy>,
) -> Box<dyn Iterator<Item = Row<'t>> + 't> {
    match group_by {
        None => Box::new(by_site(tables)),
        Some(by) => Box::new(by_key(tables, by)),
    }
}

/// The call paths that have no row of their own but that others continue: each has a row without figures, so that every
/// caller is in the table.
pub(super) fn callers<'t>(
    tables: &'t Tables,
    group_by: Option<GroupBy>,
) -> impl Iterator<Item = Row<'t>> + use<'t> {
    let mut is_needed = vec![false; tables.nodes.len()];
    let mut has_row = vec![false; tables.nodes.len()];
    if matches!(group_by, None | Some(GroupBy::Traceback)) {
        for site in &tables.sites {
            has_row[site.node as usize] = true;
            is_needed[site.node as usize] = true;
        }
    }
    // A caller's number is lower than that of the paths that continue it.
    for id in (1..tables.nodes.len()).rev() {
        if is_needed[id] {
            is_needed[tables.nodes[id].parent as usize] = true;
        }
    }
    let threads = threads(tables);
    (1..tables.nodes.len() as NodeId)
        .filter(move |id| {
            let index = *id as usize;
            is_needed[index] && !has_row[index] && is_frame(tables, *id)
        })
        .map(move |id| Row {
            thread: thread(tables, &threads, id),
            node: Some(id),
            ..most_recent(tables, id)
        })
}

/// The call path that `node` continues; `None` if its frame is the outermost one.
pub(super) fn caller(tables: &Tables, node: NodeId) -> Option<NodeId> {
    let parent = tables.nodes[node as usize].parent;
    (node != ROOT && is_frame(tables, parent)).then_some(parent)
}

fn by_site<'t>(tables: &'t Tables) -> impl Iterator<Item = Row<'t>> + use<'t> {
    let threads = threads(tables);
    let sites = tables.sites.iter().zip(&tables.counters);
    sites.map(move |(site, counters)| Row {
        domain: Some(site.domain),
        thread: thread(tables, &threads, site.node),
        node: Some(site.node),
        counters: *counters,
        ..most_recent(tables, site.node)
    })
}

fn most_recent(tables: &Tables, node: NodeId) -> Row<'_> {
    let Some(frame) = frames(tables, node).next() else {
        return Row::default();
    };
    Row {
        function: Some(frame.name),
        filename: Some(frame.filename),
        line: Some(frame.line).filter(|line| *line > 0),
        ..Row::default()
    }
}

/// The name of each call path's thread; empty if threads were not kept apart.
pub(super) fn threads(tables: &Tables) -> Vec<Option<StringId>> {
    let is_thread = |code: u32| {
        let code = tables.codes.get(code as usize);
        code.filter(|code| code.kind == CodeKind::Thread)
    };
    if !tables
        .codes
        .iter()
        .any(|code| code.kind == CodeKind::Thread)
    {
        return Vec::new();
    }
    let mut threads: Vec<Option<StringId>> = Vec::with_capacity(tables.nodes.len());
    for (id, node) in (0..).zip(&tables.nodes) {
        let inherited = threads.get(node.parent as usize).copied().flatten();
        let own = is_thread(node.code).filter(|_| id != ROOT);
        threads.push(own.map(|code| code.name).or(inherited));
    }
    threads
}

fn thread<'t>(tables: &'t Tables, threads: &[Option<StringId>], node: NodeId) -> Option<&'t str> {
    let name = threads.get(node as usize).copied().flatten()?;
    Some(&tables.strings[name as usize])
}

fn by_key<'t>(tables: &'t Tables, by: GroupBy) -> impl Iterator<Item = Row<'t>> + use<'t> {
    let row = |key: Key<'t>| match key {
        Key::Line(known) => Row {
            filename: known.map(|(filename, _)| filename),
            line: known.map(|(_, line)| line).filter(|line| *line > 0),
            ..Row::default()
        },
        Key::Function(known) => Row {
            filename: known.map(|(filename, _)| filename),
            function: known.map(|(_, name)| name),
            ..Row::default()
        },
        Key::Filename(filename) => Row {
            filename,
            ..Row::default()
        },
        Key::Traceback(node) => Row {
            node: Some(node),
            ..most_recent(tables, node)
        },
        Key::Domain(domain) => Row {
            domain: Some(domain),
            ..Row::default()
        },
        Key::Thread(thread) => Row {
            thread,
            ..Row::default()
        },
    };
    let group_counters = group_counters(tables, by).into_iter();
    group_counters.map(move |(key, counters)| Row {
        counters,
        ..row(key)
    })
}
