//! Exports a single site, in time proportional to the depth of its call path.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use heapsight_capture::model::{Domain, Node, NodeId, ROOT, Site};

use super::Exporter;
use crate::memory::lock;
use crate::tables::codes::{self, Identity};
use crate::tables::{sites, tree};

impl Exporter {
    /// Into tables that are still empty: appends the tracer's site `id` and what it needs, as site 0. `None` when there
    /// is no such site.
    pub(crate) fn only(&mut self, id: u32) -> Option<()> {
        let (path, domain) = path_of(id)?;
        self.nodes.push(Node {
            parent: ROOT,
            code: 0,
            line: 0,
        });
        let mut codes = HashMap::new();
        for (identity, offset) in path.iter().rev() {
            let parent = (self.nodes.len() - 1) as NodeId;
            let known = codes.get(&Arc::as_ptr(identity)).copied();
            let code = known.unwrap_or_else(|| {
                let code = self.named(identity);
                self.codes.push(code);
                (self.codes.len() - 1) as u32
            });
            codes.insert(Arc::as_ptr(identity), code);
            self.nodes.push(Node {
                parent,
                code,
                line: identity.line_at(*offset),
            });
        }
        self.sites.push(Site {
            node: (self.nodes.len() - 1) as NodeId,
            domain: Domain(domain),
        });
        Some(())
    }
}

/// The code that a frame runs, and the line that it is on or the offset that tells it.
type Step = (Arc<Identity>, u32);

/// What the elements of the site's call path are, innermost first, and where in them; and the site's domain.
fn path_of(id: u32) -> Option<(Vec<Step>, u32)> {
    let mut held = lock::hold();
    if id == 0 || id >= sites::len() {
        return None;
    }
    let site = sites::site(id);
    let mut path = Vec::new();
    let mut at = site.node.load(Ordering::Relaxed);
    while at != tree::ROOT {
        if at >= tree::len() || path.len() > tree::len() as usize {
            return None;
        }
        let node = tree::node(at);
        let identity = codes::identity(&mut held, node.code.load(Ordering::Relaxed))?;
        path.push((identity, node.offset.load(Ordering::Relaxed)));
        at = node.parent.load(Ordering::Relaxed);
    }
    Some((path, site.domain()))
}
