//! Puts tables together from parts of others, matching everything by content.

use foldhash::{HashMap, HashMapExt};
use heapsight_capture::model::{
    Code, CodeId, Counters, Node, NodeId, ROOT, Site, SiteId, StringId, Tables,
};

use crate::amount::add_counters;

/// Tables in which every string, code, call path and site occurs once.
#[derive(Debug)]
pub(crate) struct Builder {
    tables: Tables,
    strings: HashMap<String, StringId>,
    codes: HashMap<Code, CodeId>,
    nodes: HashMap<Node, NodeId>,
    sites: HashMap<Site, SiteId>,
}

impl Builder {
    /// Only the root.
    pub(crate) fn new() -> Self {
        Self {
            tables: Tables {
                nodes: vec![Node {
                    parent: ROOT,
                    code: 0,
                    line: 0,
                }],
                ..Tables::default()
            },
            strings: HashMap::new(),
            codes: HashMap::new(),
            nodes: HashMap::new(),
            sites: HashMap::new(),
        }
    }

    pub(crate) fn finish(self) -> Tables {
        self.tables
    }

    /// The ids here of all codes of `from`.
    pub(crate) fn codes(&mut self, from: &Tables) -> Vec<CodeId> {
        let strings: Vec<StringId> = from
            .strings
            .iter()
            .map(|string| self.string(string))
            .collect();
        from.codes
            .iter()
            .map(|code| {
                self.code(Code {
                    filename: strings[code.filename as usize],
                    name: strings[code.name as usize],
                    ..*code
                })
            })
            .collect()
    }

    /// The id here of a string.
    pub(crate) fn string(&mut self, string: &str) -> StringId {
        if let Some(id) = self.strings.get(string) {
            return *id;
        }
        let id = self.tables.strings.len() as StringId;
        self.tables.strings.push(string.to_owned());
        self.strings.insert(string.to_owned(), id);
        id
    }

    /// The id here of a code. All ids are ids here.
    pub(crate) fn code(&mut self, code: Code) -> CodeId {
        let codes = &mut self.tables.codes;
        *self.codes.entry(code).or_insert_with_key(|code| {
            codes.push(code.clone());
            (codes.len() - 1) as CodeId
        })
    }

    /// The call path that continues `node.parent`. All ids are ids here.
    pub(crate) fn node(&mut self, node: Node) -> NodeId {
        let nodes = &mut self.tables.nodes;
        *self.nodes.entry(node).or_insert_with(|| {
            nodes.push(node);
            (nodes.len() - 1) as NodeId
        })
    }

    /// The site with these ids (ids here), with counters that start at zero.
    pub(crate) fn site(&mut self, site: Site) -> SiteId {
        let tables = &mut self.tables;
        *self.sites.entry(site).or_insert_with(|| {
            tables.sites.push(site);
            tables.counters.push(Counters::default());
            (tables.sites.len() - 1) as SiteId
        })
    }

    /// Adds to a site's counters.
    pub(crate) fn add(&mut self, site: SiteId, counters: &Counters) {
        add_counters(&mut self.tables.counters[site as usize], counters);
    }

    /// Takes over the totals of another table.
    pub(crate) fn set_totals(&mut self, from: &Tables) {
        self.tables.totals = from.totals;
    }

    /// The tables so far.
    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The counters of a site.
    pub(crate) fn counters_mut(&mut self, site: SiteId) -> &mut Counters {
        &mut self.tables.counters[site as usize]
    }

    /// Makes sure that every call path and site of `from` is here; gives the id here of each of its sites.
    pub(crate) fn merge(&mut self, from: &Tables) -> Vec<SiteId> {
        let mut ids = Translation::default();
        ids.extend(self, from);
        ids.sites
    }
}

/// The ids that the entries of some tables have in a [`Builder`]. Follows tables that grow.
#[derive(Debug, Default)]
pub(crate) struct Translation {
    strings: Vec<StringId>,
    codes: Vec<CodeId>,
    nodes: Vec<NodeId>,
    sites: Vec<SiteId>,
}

impl Translation {
    /// Brings into `builder` what `from` has beyond what it had at the last call.
    pub(crate) fn extend(&mut self, builder: &mut Builder, from: &Tables) {
        for string in &from.strings[self.strings.len()..] {
            self.strings.push(builder.string(string));
        }
        for code in &from.codes[self.codes.len()..] {
            self.codes.push(builder.code(Code {
                filename: self.strings[code.filename as usize],
                name: self.strings[code.name as usize],
                ..*code
            }));
        }
        for (id, node) in (0..).zip(&from.nodes).skip(self.nodes.len()) {
            let here = if id == ROOT {
                ROOT
            } else {
                builder.node(Node {
                    parent: self.nodes[node.parent as usize],
                    code: self.codes[node.code as usize],
                    line: node.line,
                })
            };
            self.nodes.push(here);
        }
        for site in &from.sites[self.sites.len()..] {
            self.sites.push(builder.site(Site {
                node: self.nodes[site.node as usize],
                domain: site.domain,
            }));
        }
    }

    /// The id there of each site.
    pub(crate) fn sites(&self) -> &[SiteId] {
        &self.sites
    }
}
