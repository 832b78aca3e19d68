//! From the tracer's tables to those of [`heapsight_capture::model`]: names, lines and ids that stay valid while the tracer goes on.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use heapsight_capture::model::{Code, CodeKind, Counters, Domain, Node, NodeId, Site, SiteId, StringId};
use heapsight_cpython::line_table::LineTable;

use crate::codes::{self, Identity};
use crate::{config, lock, sites, totals, tree};

/// Tables that grow as the tracer's do. Each call to [`Self::update`] appends what is new; nothing that was appended changes.
#[derive(Default)]
pub(crate) struct Exporter {
    pub(crate) strings: Vec<String>,
    pub(crate) codes: Vec<Code>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) sites: Vec<Site>,
    string_ids: HashMap<String, StringId>,
    identities: Vec<Arc<Identity>>,
    /// The tracer's site behind each exported one.
    site_of: Vec<u32>,
    /// The exported id of each of the tracer's nodes.
    node_ids: Vec<NodeId>,
    seen_sites: u32,
}

impl Exporter {
    /// Appends codes, nodes and sites that the tracer has made since the last call.
    pub(crate) fn update(&mut self) {
        if self.nodes.is_empty() {
            self.nodes.push(Node { parent: 0, code: 0, line: 0 });
            self.node_ids.push(0);
        }
        // Sites first: the nodes they refer to, and the codes those refer to, are there already.
        let sites = sites::len();
        let nodes = tree::len();
        let fresh = codes::identities_from(&mut lock::hold(), self.identities.len());
        for identity in fresh {
            let code = self.export_identity(&identity);
            self.codes.push(code);
            self.identities.push(identity);
        }
        for id in self.node_ids.len() as u32..nodes {
            let exported = self.export_node(id);
            self.node_ids.push(exported);
        }
        for id in self.seen_sites.max(1)..sites {
            let site = sites::site(id);
            let node = self.node_ids.get(site.node.load(Ordering::Relaxed) as usize).copied().unwrap_or(0);
            self.sites.push(Site { node, domain: Domain(site.domain()) });
            self.site_of.push(id);
        }
        self.seen_sites = sites;
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
        self.nodes.push(Node { parent: 0, code: 0, line: 0 });
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
                self.identities.push(identity);
                code_ids.insert(code, exported);
                exported
            };
            let line = line_of(&self.identities[exported as usize], node.offset.load(Ordering::Relaxed));
            self.nodes.push(Node { parent, code: exported, line });
            parent = (self.nodes.len() - 1) as NodeId;
        }
        self.sites.push(Site { node: parent, domain: Domain(site.domain()) });
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
            Identity::Thread(name) => {
                Code { kind: CodeKind::Thread, filename: self.intern(""), name: self.intern(name), first_line: 0 }
            }
        }
    }

    fn export_node(&mut self, id: u32) -> NodeId {
        let node = tree::node(id);
        let parent = self.node_ids.get(node.parent.load(Ordering::Relaxed) as usize).copied().unwrap_or(0);
        let code = node.code.load(Ordering::Relaxed);
        let offset = node.offset.load(Ordering::Relaxed);
        let line = self.identities.get(code as usize).map_or(0, |identity| line_of(identity, offset));
        self.nodes.push(Node { parent, code, line });
        (self.nodes.len() - 1) as NodeId
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

    /// The present counters of every exported site.
    pub(crate) fn counters(&self) -> impl Iterator<Item = (SiteId, Counters)> + '_ {
        let epoch = totals::epoch();
        let at_peak = totals::at_peak();
        self.site_of
            .iter()
            .enumerate()
            .map(move |(id, &site)| (id as SiteId, sites::counters(site, epoch, at_peak)))
    }

    /// The exported id of the tracer's site, `None` when it is newer than the last [`Self::update`].
    pub(crate) fn site_id(&self, site: u32) -> Option<SiteId> {
        let id = self.site_of.binary_search(&site).ok()?;
        Some(id as SiteId)
    }
}

/// The line that a frame of `identity` at byte `offset` of its bytecode is on; 0 when there is none.
fn line_of(identity: &Identity, offset: u32) -> u32 {
    match identity {
        Identity::Python(code) => {
            LineTable::new(config::line_table_format(), &code.line_table, code.first_line)
                .line_at(offset)
                .unwrap_or(0)
        }
        Identity::Thread(_) => 0,
    }
}
