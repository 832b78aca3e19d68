//! Converts the tracer's tables to those of [`heapsight_capture::model`]: names, lines, and ids that stay valid while
//! tracing continues.
//!
//! A call path is exported when somebody asks for a site on it, so nothing here iterates over all paths. The export has
//! two steps. Under the table lock ([`Exporter::site`]) it copies numbers only, which cannot be reused for other paths
//! meanwhile. Afterwards ([`Exporter::name`]) it copies names and looks up lines without the lock, so that the program
//! does not have to wait.
//!
//! Exported ids are valid within one generation of the tables ([`crate::session`]): [`Exporter::forget_paths`] begins a
//! new one.

mod needed;
mod one;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use heapsight_capture::model::{
    Code, CodeId, CodeKind, Domain, Node, NodeId, ROOT, Site, SiteId, StringId,
};

use crate::memory::lock::Held;
use crate::tables::codes::{self, Identity};
use crate::tables::{recycle, sites, tree};

/// Tables that grow as the tracer's do; nothing that was appended changes.
///
/// The tracer may use an id again for another path ([`crate::tables::recycle`]); that path then gets a new id here.
#[derive(Default)]
pub(crate) struct Exporter {
    // What was appended since the last `forget_exported`.
    pub(crate) strings: Vec<String>,
    pub(crate) codes: Vec<Code>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) sites: Vec<Site>,
    /// How many there were before.
    handed_over: Lengths,
    string_ids: HashMap<String, StringId>,
    /// What each of the tracer's identity ids means, and its exported id.
    identities: Vec<Option<(Arc<Identity>, CodeId)>>,
    node_ids: Vec<Known>,
    site_ids: Vec<Known>,
    /// What [`recycle::sweeps`] said when `identities` were last compared with the tracer's.
    sweeps: u32,
    /// The tracer's ids of identities that have an exported id and no code yet, in its order.
    unnamed: Vec<u32>,
    /// Nodes that have no line yet.
    without_line: Vec<WithoutLine>,
    /// Sites whose path the tracer has given up, by its own number and by the exported one. They have no counters any
    /// more.
    ended: Vec<(u32, SiteId)>,
    /// The part of a call path that is not exported yet; kept for its memory.
    missing: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lengths {
    strings: usize,
    codes: usize,
    nodes: usize,
    sites: usize,
}

/// The exported id behind one of the tracer's, if there is one.
#[derive(Clone, Copy)]
struct Known {
    /// How often the tracer's id had been used again.
    reuse_count: u32,
    id: u32,
}

/// Ordered by what has to be read to find its line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct WithoutLine {
    identity: u32,
    offset: u32,
    /// Index into [`Exporter::nodes`].
    node: u32,
}

/// Stands for "not exported".
const NONE: u32 = u32::MAX;

impl Known {
    const NOT: Self = Self {
        reuse_count: 0,
        id: NONE,
    };
}

fn known(ids: &[Known], id: u32) -> Known {
    ids.get(id as usize).copied().unwrap_or(Known::NOT)
}

fn set_known(ids: &mut Vec<Known>, id: u32, what: Known) {
    let index = id as usize;
    if index >= ids.len() {
        let more = index + 1 - ids.len();
        // Not twice as much as is needed.
        ids.reserve_exact(more.max(ids.len() / 8));
        ids.resize(index + 1, Known::NOT);
    }
    ids[index] = what;
}

impl Exporter {
    /// The exported id of the tracer's site `id`, which is appended with its path if it is new. `None` when the site is
    /// not in use.
    ///
    /// [`Self::name`] has to be called before anything that was appended is read.
    pub(crate) fn site(&mut self, held: &mut Held, id: u32) -> Option<SiteId> {
        self.compare_identities(held);
        if id == 0 || id >= sites::len() {
            return None;
        }
        let (reuse_count, is_used) = (sites::reuse_count(id), sites::is_used(id));
        let before = known(&self.site_ids, id);
        if before.id != NONE {
            if is_used && before.reuse_count == reuse_count {
                return Some(before.id);
            }
            self.ended.push((id, before.id));
            self.site_ids[id as usize] = Known::NOT;
        }
        if !is_used {
            return None;
        }
        let site = sites::site(id);
        let node = self.node(held, site.node.load(Ordering::Relaxed))?;
        let exported = (self.handed_over.sites + self.sites.len()) as SiteId;
        self.sites.push(Site {
            node,
            domain: Domain(site.domain()),
        });
        let what = Known {
            reuse_count,
            id: exported,
        };
        set_known(&mut self.site_ids, id, what);
        Some(exported)
    }

    /// The exported id of the tracer's node `id`, which is appended after its callers if it is new. `None` when there
    /// is no such path.
    fn node(&mut self, held: &mut Held, id: u32) -> Option<NodeId> {
        if self.handed_over.nodes + self.nodes.len() == 0 {
            self.nodes.push(Node {
                parent: ROOT,
                code: 0,
                line: 0,
            });
        }
        let mut missing = std::mem::take(&mut self.missing);
        missing.clear();
        let above = self.nearest_known(id, &mut missing);
        let exported = above.and_then(|mut parent| {
            for &id in missing.iter().rev() {
                parent = self.append(held, id, parent)?;
            }
            Some(parent)
        });
        self.missing = missing;
        exported
    }

    /// The exported id of the nearest of the node and its callers that is known; the others go to `missing`, innermost
    /// first.
    fn nearest_known(&self, id: u32, missing: &mut Vec<u32>) -> Option<NodeId> {
        let nodes = tree::len();
        let mut at = id;
        // No path has more elements than there are nodes.
        for _ in 0..=nodes {
            if at == tree::ROOT {
                return Some(ROOT);
            }
            if at >= nodes {
                return None;
            }
            let node = tree::node(at);
            let above = known(&self.node_ids, at);
            if above.id != NONE && above.reuse_count == node.reuse_count() {
                return Some(above.id);
            }
            missing.push(at);
            at = node.parent.load(Ordering::Relaxed);
        }
        None
    }

    fn append(&mut self, held: &mut Held, id: u32, parent: NodeId) -> Option<NodeId> {
        let node = tree::node(id);
        let identity = node.code.load(Ordering::Relaxed);
        let code = self.code(held, identity)?;
        let index = self.nodes.len();
        self.without_line.push(WithoutLine {
            identity,
            offset: node.offset.load(Ordering::Relaxed),
            node: index as u32,
        });
        self.nodes.push(Node {
            parent,
            code,
            line: 0,
        });
        let exported = (self.handed_over.nodes + index) as NodeId;
        let what = Known {
            reuse_count: node.reuse_count(),
            id: exported,
        };
        set_known(&mut self.node_ids, id, what);
        Some(exported)
    }

    /// The exported id of the tracer's identity `id`.
    fn code(&mut self, held: &mut Held, id: u32) -> Option<CodeId> {
        let index = id as usize;
        if let Some(Some((_, code))) = self.identities.get(index) {
            return Some(*code);
        }
        let identity = codes::identity(held, id)?;
        let code = self.handed_over.codes + self.codes.len() + self.unnamed.len();
        if index >= self.identities.len() {
            self.identities.resize(index + 1, None);
        }
        self.identities[index] = Some((identity, code as CodeId));
        self.unnamed.push(id);
        Some(code as CodeId)
    }

    /// Forgets identity ids that mean something else by now. They are used again by sweeps only.
    fn compare_identities(&mut self, held: &mut Held) {
        let sweeps = recycle::sweeps();
        if std::mem::replace(&mut self.sweeps, sweeps) == sweeps {
            return;
        }
        self.name();
        for (id, known) in (0..).zip(&mut self.identities) {
            let is_same = |known: &(Arc<Identity>, CodeId)| {
                codes::identity(held, id).is_some_and(|now| Arc::ptr_eq(&now, &known.0))
            };
            if !known.as_ref().is_some_and(is_same) {
                *known = None;
            }
        }
        self.forget_unused_strings();
    }

    /// Forgets texts that only identities used that are gone: should one come back, it is appended once more.
    fn forget_unused_strings(&mut self) {
        let known = self.identities.iter().flatten().count();
        if self.string_ids.len() < 4 * known + USUAL {
            return;
        }
        let mut used = HashSet::new();
        for (identity, _) in self.identities.iter().flatten() {
            match &**identity {
                Identity::Python(code) => used.extend([code.filename.as_str(), &code.name]),
                Identity::Thread(name) => used.extend([name.as_str()]),
                Identity::Folded | Identity::Free => {}
            }
        }
        self.string_ids
            .retain(|text, _| used.contains(text.as_str()));
        self.string_ids.shrink_to_fit();
    }

    /// Copies the names and looks up the lines of all that was appended. The more at once the better: each line table
    /// is read once.
    pub(crate) fn name(&mut self) {
        for id in std::mem::take(&mut self.unnamed) {
            if let Some(Some((identity, _))) = self.identities.get(id as usize) {
                let identity = Arc::clone(identity);
                let code = self.named(&identity);
                self.codes.push(code);
            }
        }
        self.without_line.sort_unstable();
        for of_code in self.without_line.chunk_by(|a, b| a.identity == b.identity) {
            let identity = self.identities.get(of_code[0].identity as usize);
            if let Some(Some((identity, _))) = identity {
                let offsets = of_code.iter().map(|node| node.offset);
                for (node, line) in of_code.iter().zip(identity.lines_at(offsets)) {
                    self.nodes[node.node as usize].line = line;
                }
            }
        }
        self.without_line.clear();
        self.without_line.shrink_to(USUAL);
    }

    fn named(&mut self, identity: &Identity) -> Code {
        match identity {
            Identity::Python(code) => Code {
                kind: CodeKind::Python,
                filename: self.intern(&code.filename),
                name: self.intern(&code.name),
                first_line: code.first_line,
            },
            Identity::Thread(name) => Code {
                kind: CodeKind::Thread,
                filename: self.intern(""),
                name: self.intern(name),
                first_line: 0,
            },
            Identity::Folded | Identity::Free => Code {
                kind: CodeKind::Folded,
                filename: self.intern(""),
                name: self.intern("[folded paths]"),
                first_line: 0,
            },
        }
    }

    fn intern(&mut self, text: &str) -> StringId {
        if let Some(&id) = self.string_ids.get(text) {
            return id;
        }
        let id = (self.handed_over.strings + self.strings.len()) as StringId;
        self.strings.push(text.to_owned());
        self.string_ids.insert(text.to_owned(), id);
        id
    }

    /// The exported id of the tracer's site, `None` when it was never appended. Says nothing of whether it means the
    /// same today.
    pub(crate) fn site_id(&self, site: u32) -> Option<SiteId> {
        let id = known(&self.site_ids, site).id;
        (id != NONE).then_some(id)
    }

    /// Exported sites that have ended since they were last taken from here.
    pub(crate) fn ended(&mut self) -> &mut Vec<(u32, SiteId)> {
        &mut self.ended
    }

    /// The tracer's site `id` has left memory: its number means nothing any more. What was exported stays true.
    pub(crate) fn leave(&mut self, id: u32) {
        if let Some(known) = self.site_ids.get_mut(id as usize) {
            *known = Known::NOT;
        }
    }

    /// The sites that have an exported id: the tracer's and that one.
    pub(crate) fn known_sites(&self) -> impl Iterator<Item = (u32, SiteId)> + '_ {
        let all = (0..).zip(&self.site_ids);
        all.filter(|(_, known)| known.id != NONE)
            .map(|(id, known)| (id, known.id))
    }

    /// Drops what was appended: somebody else keeps it. Ids go on from there.
    pub(crate) fn forget_exported(&mut self) {
        fn clear<T>(list: &mut Vec<T>, count: &mut usize) {
            *count += list.len();
            list.clear();
            list.shrink_to(USUAL);
        }
        clear(&mut self.strings, &mut self.handed_over.strings);
        clear(&mut self.codes, &mut self.handed_over.codes);
        clear(&mut self.nodes, &mut self.handed_over.nodes);
        clear(&mut self.sites, &mut self.handed_over.sites);
    }

    /// A new generation: none of the tracer's ids means what it did. What was appended stays.
    pub(crate) fn forget_paths(&mut self) {
        self.identities = Vec::new();
        self.node_ids = Vec::new();
        self.site_ids = Vec::new();
    }

    /// Bytes on the heap, but for the identities, which are those of the tracer.
    pub(crate) fn held_bytes(&self) -> usize {
        fn of<T>(list: &Vec<T>) -> usize {
            list.capacity() * size_of::<T>()
        }
        let texts = |texts: usize, key: usize| texts + self.string_ids.capacity() * 8 / 7 * key;
        of(&self.strings)
            + self.strings.iter().map(String::capacity).sum::<usize>()
            + texts(
                self.string_ids.keys().map(String::capacity).sum(),
                size_of::<(String, StringId)>() + 1,
            )
            + of(&self.codes)
            + of(&self.nodes)
            + of(&self.sites)
            + of(&self.identities)
            + of(&self.node_ids)
            + of(&self.site_ids)
            + of(&self.without_line)
    }
}

/// Entries of a list that are kept from one [`Exporter::forget_exported`] to the next.
const USUAL: usize = 1 << 10;
