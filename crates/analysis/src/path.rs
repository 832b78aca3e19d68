//! Call paths as people read them.

use heapsight_capture::model::{CodeKind, NodeId, ROOT, Tables};

/// One Python frame of a call path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Frame<'t> {
    /// `co_filename`.
    pub filename: &'t str,
    /// Line being executed; 0 when unknown.
    pub line: u32,
    /// Qualified name of the function.
    pub name: &'t str,
}

/// True when `node` is a frame: neither the root nor a thread.
#[must_use]
pub fn is_frame(tables: &Tables, node: NodeId) -> bool {
    node != ROOT && kind(tables, node) != CodeKind::Thread
}

/// The frame that `node` adds to its caller's path; `None` for the root and for threads.
#[must_use]
pub fn frame(tables: &Tables, node: NodeId) -> Option<Frame<'_>> {
    if !is_frame(tables, node) {
        return None;
    }
    let node = tables.nodes[node as usize];
    let code = &tables.codes[node.code as usize];
    Some(Frame {
        filename: &tables.strings[code.filename as usize],
        line: node.line,
        name: &tables.strings[code.name as usize],
    })
}

/// The frames of the call path `node`, most recent first.
pub fn frames(tables: &Tables, node: NodeId) -> impl Iterator<Item = Frame<'_>> {
    ancestors(tables, node).filter_map(|node| frame(tables, node))
}

/// The thread that the call path `node` belongs to, when threads were kept apart.
#[must_use]
pub fn thread(tables: &Tables, node: NodeId) -> Option<&str> {
    ancestors(tables, node)
        .find(|node| kind(tables, *node) == CodeKind::Thread)
        .map(|node| {
            let code = &tables.codes[tables.nodes[node as usize].code as usize];
            &*tables.strings[code.name as usize]
        })
}

/// `node` and its callers, the root excluded.
pub(crate) fn ancestors(tables: &Tables, node: NodeId) -> impl Iterator<Item = NodeId> {
    let step = |node: NodeId| (node != ROOT).then_some(node);
    std::iter::successors(step(node), move |node| {
        step(tables.nodes[*node as usize].parent)
    })
}

fn kind(tables: &Tables, node: NodeId) -> CodeKind {
    tables.codes[tables.nodes[node as usize].code as usize].kind
}
