//! Shorter call paths: what a capture with a lower frame limit would have held.

use heapsight_capture::Capture;
use heapsight_capture::model::{Mode, Node, NodeId, ROOT, Site, SiteId, Tables};

use crate::builder::Builder;
use crate::path::{ancestors, is_frame};

/// The same memory with every call path cut to its `limit` most recent frames; paths that become equal are merged.
///
/// Threads stay apart. Call paths without a site are dropped. Time: sites × `limit`.
#[must_use]
pub fn truncate(tables: &Tables, limit: u32) -> Tables {
    truncate_with_sites(tables, limit).0
}

/// As [`truncate`], with the new id of each site of `tables`.
#[must_use]
pub fn truncate_with_sites(tables: &Tables, limit: u32) -> (Tables, Vec<SiteId>) {
    let mut builder = Builder::new();
    builder.set_totals(tables);
    let codes = builder.codes(tables);
    let threads = threads(tables);
    let mut ids = Vec::with_capacity(tables.sites.len());
    for (site, counters) in tables.sites.iter().zip(&tables.counters) {
        let kept: Vec<NodeId> = ancestors(tables, site.node)
            .take_while(|node| is_frame(tables, *node))
            .take(limit as usize)
            .collect();
        let mut parent = ROOT;
        for old in kept.into_iter().chain(threads[site.node as usize]).rev() {
            let Node { code, line, .. } = tables.nodes[old as usize];
            parent = builder.node(Node {
                parent,
                code: codes[code as usize],
                line,
            });
        }
        let id = builder.site(Site {
            node: parent,
            domain: site.domain,
        });
        builder.add(id, counters);
        ids.push(id);
    }
    (builder.finish(), ids)
}

/// Cuts the call paths of a capture to the frame limit that it was recorded with.
///
/// The file holds whole paths whatever the limit (but for a limit of 1): they are recorded at the same cost. Gives the
/// new id of each site, if there is a limit.
pub fn apply_frame_limit(capture: &mut Capture) -> Option<Vec<SiteId>> {
    let Mode::Exact {
        frame_limit: Some(limit),
    } = capture.header.mode
    else {
        return None;
    };
    let (tables, ids) = truncate_with_sites(&capture.tables, limit);
    for block in capture.blocks.iter_mut().flatten() {
        block.site = ids[block.site as usize];
    }
    capture.tables = tables;
    Some(ids)
}

/// The thread of each call path, if threads are kept apart.
fn threads(tables: &Tables) -> Vec<Option<NodeId>> {
    let mut threads: Vec<Option<NodeId>> = Vec::with_capacity(tables.nodes.len());
    for (id, node) in (0..).zip(&tables.nodes) {
        let thread = match id {
            ROOT => None,
            _ if is_frame(tables, id) => threads[node.parent as usize],
            _ => Some(id),
        };
        threads.push(thread);
    }
    threads
}
