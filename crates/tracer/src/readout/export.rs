//! From the tracer's tables to those of [`heapsight_capture::model`]: names, lines and ids that stay valid while the tracer goes on.

mod needed;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use heapsight_capture::model::{
    Code, CodeKind, Counters, Domain, Node, NodeId, Site, SiteId, StringId,
};

use crate::memory::lock;
use crate::tables::codes::{self, Identity};
use crate::tables::{recycle, sites, totals, tree};

/// Tables that grow as the tracer's do. Each call to [`Self::update`] appends what is new; nothing that was appended changes.
///
/// The tracer may use an id again for another path ([`crate::tables::recycle`]); that path then gets a new id here.
#[derive(Default)]
pub(crate) struct Exporter {
    pub(crate) strings: Vec<String>,
    pub(crate) codes: Vec<Code>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) sites: Vec<Site>,
    string_ids: HashMap<String, StringId>,
    /// What each of the tracer's identity ids meant at the last update, and its exported id.
    identities: Vec<(Arc<Identity>, u32)>,
    /// How often each of the tracer's node ids had been used again at the last update, and its exported id.
    node_ids: Vec<(u32, NodeId)>,
    /// The exported id of each of the tracer's sites.
    site_ids: Vec<SiteId>,
    /// The tracer's site behind each exported one; 0 when that is used for another by now.
    site_of: Vec<u32>,
    sweeps: u32,
    /// Lines found so far, by the tracer's identity id and the instruction's offset: many paths share an instruction.
    lines: HashMap<(u32, u32), u32>,
}

/// How much of the tracer's tables is looked at.
struct Lengths {
    sites: u32,
    nodes: u32,
    /// Whether ids may mean something else than at the last update.
    reused: bool,
}

/// Stands for "not exported".
const NONE: u32 = u32::MAX;

impl Exporter {
    /// Bytes on the heap, but for the identities, which are those of the tracer.
    pub(crate) fn held_bytes(&self) -> usize {
        fn of<T>(list: &Vec<T>) -> usize {
            list.capacity() * size_of::<T>()
        }
        // Each text is there twice: in the list, and as a key.
        let texts: usize = self.strings.iter().map(String::capacity).sum();
        let keys = self.string_ids.capacity() * (size_of::<(String, StringId)>() + 1);
        let lines = self.lines.capacity() * (size_of::<((u32, u32), u32)>() + 1);
        of(&self.strings)
            + 2 * texts
            + (keys + lines) * 8 / 7
            + of(&self.codes)
            + of(&self.nodes)
            + of(&self.sites)
            + of(&self.identities)
            + of(&self.node_ids)
            + of(&self.site_ids)
            + of(&self.site_of)
    }

    /// Appends codes that the tracer has made since the last call, and the root of the tree.
    fn update_codes(&mut self) -> Lengths {
        if self.nodes.is_empty() {
            self.nodes.push(Node {
                parent: 0,
                code: 0,
                line: 0,
            });
            self.node_ids.push((0, 0));
            self.site_ids.push(NONE);
        }
        let mut held = lock::hold();
        let sweeps = recycle::sweeps();
        let reused = std::mem::replace(&mut self.sweeps, sweeps) != sweeps;
        // Sites before nodes: the node of every site below that length is below the other.
        let (sites, nodes) = (sites::len(), tree::len());
        let first_identity = if reused { 0 } else { self.identities.len() };
        for (id, identity) in
            (first_identity..).zip(codes::identities_from(&mut held, first_identity))
        {
            if self
                .identities
                .get(id)
                .is_some_and(|(known, _)| Arc::ptr_eq(known, &identity))
            {
                continue;
            }
            let code = self.export_identity(&identity);
            self.codes.push(code);
            let exported = (identity, (self.codes.len() - 1) as u32);
            if id < self.identities.len() {
                self.identities[id] = exported;
            } else {
                self.identities.push(exported);
            }
        }
        Lengths {
            sites,
            nodes,
            reused,
        }
    }

    /// Appends codes, nodes and sites that the tracer has made since the last call.
    pub(crate) fn update(&mut self) {
        let Lengths {
            sites,
            nodes,
            reused,
        } = self.update_codes();
        // From here on without the lock, for the sake of the program that may wait for it. Entries below the lengths are whole; should one
        // be swept and used again meanwhile, its `born` will tell at the next update.
        if reused {
            self.lines.clear();
            for id in 1..self.node_ids.len() as u32 {
                if self.node_ids[id as usize].0 != tree::node(id).born() {
                    self.node_ids[id as usize] = (0, NONE);
                }
            }
        }
        let first_node = if reused {
            1
        } else {
            self.node_ids.len() as u32
        };
        self.node_ids.resize(nodes as usize, (0, NONE));
        for id in first_node..nodes {
            if tree::node(id).state() != tree::FREE {
                self.export_node(id);
            }
        }
        let first_site = if reused {
            1
        } else {
            self.site_ids.len() as u32
        };
        self.site_ids.resize(sites as usize, NONE);
        for id in first_site..sites {
            self.export_site(id);
        }
    }

    fn export_site(&mut self, id: u32) {
        let site = sites::site(id);
        let known = self.site_ids[id as usize];
        let node = self
            .node_ids
            .get(site.node.load(Ordering::Relaxed) as usize)
            .map_or(NONE, |&(_, node)| node);
        let exported = Site {
            node,
            domain: Domain(site.domain()),
        };
        let used = sites::is_used(id) && node != NONE;
        if known != NONE {
            if used && self.sites[known as usize] == exported {
                return;
            }
            self.site_of[known as usize] = 0;
            self.site_ids[id as usize] = NONE;
        }
        if used {
            self.site_ids[id as usize] = self.sites.len() as SiteId;
            self.sites.push(exported);
            self.site_of.push(id);
        }
    }

    /// Appends the site `id` and what it needs, into tables that are still empty.
    pub(crate) fn export_one(&mut self, id: u32) -> Option<SiteId> {
        if id == 0 || id >= sites::len() {
            return None;
        }
        let site = sites::site(id);
        let mut path = Vec::new();
        let mut at = site.node.load(Ordering::Relaxed);
        while at != tree::ROOT {
            path.push(at);
            at = tree::node(at).parent.load(Ordering::Relaxed);
        }
        self.nodes.push(Node {
            parent: 0,
            code: 0,
            line: 0,
        });
        let mut code_ids = HashMap::new();
        let mut parent = 0;
        for &id in path.iter().rev() {
            let node = tree::node(id);
            let code = node.code.load(Ordering::Relaxed);
            let known = code_ids.get(&code).copied();
            let exported = if let Some(exported) = known {
                exported
            } else {
                let identity = codes::identity(&mut lock::hold(), code)?;
                let exported = self.codes.len() as u32;
                let entry = self.export_identity(&identity);
                self.codes.push(entry);
                self.identities.push((identity, exported));
                code_ids.insert(code, exported);
                exported
            };
            let line = self.identities[exported as usize]
                .0
                .line_at(node.offset.load(Ordering::Relaxed));
            self.nodes.push(Node {
                parent,
                code: exported,
                line,
            });
            parent = (self.nodes.len() - 1) as NodeId;
        }
        self.sites.push(Site {
            node: parent,
            domain: Domain(site.domain()),
        });
        self.site_of.push(id);
        Some(0)
    }

    fn export_identity(&mut self, identity: &Identity) -> Code {
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

    /// Appends the node `id` if it is not there, after its callers.
    fn export_node(&mut self, id: u32) -> NodeId {
        let mut missing = Vec::new();
        let mut at = id;
        while self.node_ids[at as usize].1 == NONE {
            missing.push(at);
            at = tree::node(at).parent.load(Ordering::Relaxed);
        }
        let mut parent = self.node_ids[at as usize].1;
        for &id in missing.iter().rev() {
            let node = tree::node(id);
            let born = node.born();
            let offset = node.offset.load(Ordering::Relaxed);
            let identity = node.code.load(Ordering::Relaxed);
            let (code, line) = match self.identities.get(identity as usize) {
                Some((what, code)) => (
                    *code,
                    *self
                        .lines
                        .entry((identity, offset))
                        .or_insert_with(|| what.line_at(offset)),
                ),
                None => (0, 0),
            };
            self.nodes.push(Node { parent, code, line });
            parent = (self.nodes.len() - 1) as NodeId;
            self.node_ids[id as usize] = (born, parent);
        }
        parent
    }

    fn intern(&mut self, text: &str) -> StringId {
        if let Some(&id) = self.string_ids.get(text) {
            return id;
        }
        let id = self.strings.len() as StringId;
        self.strings.push(text.to_owned());
        self.string_ids.insert(text.to_owned(), id);
        id
    }

    /// The present counters of every exported site; zero for those that are used for another path by now.
    pub(crate) fn counters(&self) -> impl Iterator<Item = (SiteId, Counters)> + '_ {
        let epoch = totals::epoch();
        let at_peak = totals::at_peak();
        (0..).zip(&self.site_of).map(move |(id, &site)| {
            (
                id,
                if site == 0 {
                    Counters::default()
                } else {
                    sites::counters(site, epoch, at_peak)
                },
            )
        })
    }

    /// The exported id of the tracer's site, `None` when it is newer than the last [`Self::update`].
    pub(crate) fn site_id(&self, site: u32) -> Option<SiteId> {
        self.site_ids
            .get(site as usize)
            .copied()
            .filter(|&id| id != NONE)
    }
}
