//! Which group each site and each call path belongs to, in numbers.

use foldhash::{HashMap, HashMapExt};
use heapsight_capture::model::{CodeKind, NodeId, ROOT, Tables};

use crate::key::{GroupBy, Key};
use crate::path::{frame, is_frame};

/// Number of a group: an index into [`Groups::keys`].
pub(crate) type GroupId = u32;

/// The groups of one table, and the members of each.
#[derive(Debug)]
pub(crate) struct Groups<'t> {
    pub keys: Vec<Key<'t>>,
    /// The group of each site.
    pub of_site: Vec<GroupId>,
    /// For groupings that [can be cumulative](GroupBy::can_be_cumulative): the group of each call path's most recent
    /// frame, `None` where it has no frame. Empty otherwise.
    pub of_node: Vec<Option<GroupId>>,
}

impl<'t> Groups<'t> {
    pub(crate) fn new(tables: &'t Tables, by: GroupBy) -> Self {
        match by {
            GroupBy::Line | GroupBy::Function | GroupBy::Filename => by_frame(tables, by),
            GroupBy::Traceback => by_traceback(tables),
            GroupBy::Domain => {
                let mut ids = Ids::default();
                let of_site = tables
                    .sites
                    .iter()
                    .map(|site| ids.id(site.domain, || Key::Domain(site.domain)))
                    .collect();
                Self {
                    keys: ids.keys,
                    of_site,
                    of_node: Vec::new(),
                }
            }
            GroupBy::Thread => by_thread(tables),
        }
    }
}

/// Numbers distinct values in order of appearance.
struct Ids<'t, V> {
    numbers: HashMap<V, GroupId>,
    keys: Vec<Key<'t>>,
}

impl<V> Default for Ids<'_, V> {
    fn default() -> Self {
        Self {
            numbers: HashMap::new(),
            keys: Vec::new(),
        }
    }
}

impl<'t, V: std::hash::Hash + Eq> Ids<'t, V> {
    fn id(&mut self, value: V, key: impl FnOnce() -> Key<'t>) -> GroupId {
        *self.numbers.entry(value).or_insert_with(|| {
            self.keys.push(key());
            (self.keys.len() - 1) as GroupId
        })
    }
}

fn by_frame(tables: &Tables, by: GroupBy) -> Groups<'_> {
    let mut ids = Ids::default();
    let of_node: Vec<Option<GroupId>> = (0..tables.nodes.len() as NodeId)
        .map(|id| {
            let known = frame(tables, id)?;
            let node = tables.nodes[id as usize];
            let code = &tables.codes[node.code as usize];
            let (second, key) = match by {
                GroupBy::Line => (node.line, Key::Line(Some((known.filename, node.line)))),
                GroupBy::Function => (code.name, Key::Function(Some((known.filename, known.name)))),
                _ => (0, Key::Filename(Some(known.filename))),
            };
            Some(ids.id(Some((code.filename, second)), || key))
        })
        .collect();
    let unknown = match by {
        GroupBy::Line => Key::Line(None),
        GroupBy::Function => Key::Function(None),
        _ => Key::Filename(None),
    };
    let of_site = tables
        .sites
        .iter()
        .map(|site| of_node[site.node as usize].unwrap_or_else(|| ids.id(None, || unknown)))
        .collect();
    Groups {
        keys: ids.keys,
        of_site,
        of_node,
    }
}

/// Two nodes are one call path when their frames look the same: the tracer also tells apart instructions of one line,
/// code objects of one function, and threads.
fn by_traceback(tables: &Tables) -> Groups<'_> {
    let (keys, of_site) = by_look(tables, false);
    Groups {
        keys,
        of_site,
        of_node: Vec::new(),
    }
}

/// A number for the call path of each site: the same for paths that look the same and are of the same thread.
pub(crate) fn path_of_each_site(tables: &Tables) -> Vec<GroupId> {
    by_look(tables, true).1
}

fn by_look(tables: &Tables, by_thread: bool) -> (Vec<Key<'_>>, Vec<GroupId>) {
    let mut ids = Ids::default();
    let empty = ids.id(None, || Key::Traceback(ROOT));
    let mut of_node: Vec<GroupId> = Vec::with_capacity(tables.nodes.len());
    for (id, node) in (0..).zip(&tables.nodes) {
        let group = if id == ROOT {
            empty
        } else if by_thread || is_frame(tables, id) {
            let code = &tables.codes[node.code as usize];
            let caller = of_node[node.parent as usize];
            let look = (caller, code.filename, code.name, node.line);
            ids.id(Some(look), || Key::Traceback(id))
        } else {
            of_node[node.parent as usize]
        };
        of_node.push(group);
    }
    let of_site = tables
        .sites
        .iter()
        .map(|site| of_node[site.node as usize])
        .collect();
    (ids.keys, of_site)
}

fn by_thread(tables: &Tables) -> Groups<'_> {
    let mut ids = Ids::default();
    let mut of_node: Vec<GroupId> = Vec::with_capacity(tables.nodes.len());
    let unknown = ids.id(None, || Key::Thread(None));
    for (id, node) in (0..).zip(&tables.nodes) {
        let group = if id == ROOT {
            unknown
        } else {
            let code = &tables.codes[node.code as usize];
            match code.kind {
                CodeKind::Thread => ids.id(Some(code.name), || {
                    Key::Thread(Some(&tables.strings[code.name as usize]))
                }),
                _ => of_node[node.parent as usize],
            }
        };
        of_node.push(group);
    }
    let of_site = tables
        .sites
        .iter()
        .map(|site| of_node[site.node as usize])
        .collect();
    Groups {
        keys: ids.keys,
        of_site,
        of_node: Vec::new(),
    }
}
