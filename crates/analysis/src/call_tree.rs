//! The tree of call paths with the memory below each branch, opened branch by branch.
//!
//! From the outermost frame inwards it is the tree that the tracer keeps, with paths that look the same as one. From
//! the allocating frame outwards it has as many elements as all call paths together have frames, which may be very
//! many: so branches are made when somebody looks at them.

mod find;

use foldhash::{HashMap, HashMapExt};
use heapsight_capture::model::{CodeKind, NodeId, ROOT, Tables};

use crate::amount::{Amount, Metric};
use crate::imports::{ImportSum, Imports, Separator};
use crate::path::{Frame, frame};

pub use find::Found;

/// Number of a branch of one [`CallTree`].
pub type BranchId = usize;

/// Which way a tree grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the outermost frame to the one that allocated: below a branch is what it calls.
    #[default]
    Callees,
    /// From the frame that allocated to the outermost: below a branch is who calls it.
    Callers,
}

/// What a tree is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeQuery {
    /// Which memory.
    pub metric: Metric,
    /// Which way it grows.
    pub direction: Direction,
    /// Whether the lines of a function are one branch.
    pub by_function: bool,
    /// Whether memory of imported code is a sum of its own.
    pub imports: Imports,
}

/// What a branch stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Element<'t> {
    /// Memory that no Python frame asked for.
    NoFrame,
    /// A thread, by its name.
    Thread(&'t str),
    /// A frame; line 0 if it is unknown or stands for all lines.
    Frame(Frame<'t>),
}

/// One branch.
#[derive(Clone, Debug)]
pub struct Branch {
    /// The branch that it is on; `None` for those that the tree begins with.
    pub parent: Option<BranchId>,
    /// Memory of it and of all that is below it.
    pub amount: Amount,
    /// Memory of it that is in no branch below it: what it allocated itself, or what has no further caller.
    pub own: Amount,
    /// A call path that ends with its frame.
    node: NodeId,
    /// All such call paths, each with its part of the amount.
    members: Vec<(NodeId, Amount)>,
    children: Option<Vec<BranchId>>,
}

impl Branch {
    /// Whether there is anything below it.
    #[must_use]
    pub fn has_children(&self) -> bool {
        self.amount != self.own
    }
}

/// A tree whose branches are made when they are asked for.
#[derive(Clone, Debug)]
pub struct CallTree {
    query: TreeQuery,
    /// Memory of each call path itself.
    own: Vec<Amount>,
    /// With all that its callees have.
    whole: Vec<Amount>,
    callees: Callees,
    branches: Vec<Branch>,
    first: Vec<BranchId>,
    total: Amount,
    imports: Option<ImportSum>,
}

impl CallTree {
    /// The tree of `tables`, with the branches that it begins with. Linear in the number of call paths.
    ///
    /// # Panics
    /// When an id in `tables` is out of range.
    #[must_use]
    pub fn new(tables: &Tables, query: TreeQuery) -> Self {
        let mut amounts: Vec<Amount> = tables
            .counters
            .iter()
            .map(|counters| query.metric.of(counters))
            .collect();
        let total = amounts.iter().copied().sum();
        let separator = Separator::new(tables, query.imports);
        let imports = separator.map(|separator| separator.take(tables, &mut amounts));
        let mut own = vec![Amount::default(); tables.nodes.len()];
        for (site, amount) in tables.sites.iter().zip(amounts) {
            own[site.node as usize] += amount;
        }
        // A caller's number is lower than its callees'.
        let mut whole = own.clone();
        for (id, node) in tables.nodes.iter().enumerate().skip(1).rev() {
            let amount = whole[id];
            whole[node.parent as usize] += amount;
        }
        let mut tree = Self {
            query,
            own,
            whole,
            callees: Callees::default(),
            branches: Vec::new(),
            first: Vec::new(),
            total,
            imports,
        };
        let members = match query.direction {
            Direction::Callees => {
                tree.callees = Callees::new(tables);
                let mut members = tree.called_by(ROOT);
                members.push((ROOT, tree.own.first().copied().unwrap_or_default()));
                members
            }
            Direction::Callers => (0..).zip(tree.own.iter().copied()).collect(),
        };
        tree.first = tree.grow(tables, None, members);
        tree
    }

    /// What was asked for.
    #[must_use]
    pub fn query(&self) -> TreeQuery {
        self.query
    }

    /// The branches that the tree begins with, the largest first.
    #[must_use]
    pub fn first(&self) -> &[BranchId] {
        &self.first
    }

    /// A branch.
    ///
    /// # Panics
    /// When there is no such branch.
    #[must_use]
    pub fn branch(&self, id: BranchId) -> &Branch {
        &self.branches[id]
    }

    /// Memory of all sites, imports included.
    #[must_use]
    pub fn total(&self) -> Amount {
        self.total
    }

    /// Memory of imported code, if that is a sum of its own and in no branch.
    #[must_use]
    pub fn imports(&self) -> Option<ImportSum> {
        self.imports
    }

    /// What a branch stands for. `tables` are those that the tree was made of.
    ///
    /// # Panics
    /// When there is no such branch.
    #[must_use]
    pub fn element<'t>(&self, tables: &'t Tables, id: BranchId) -> Element<'t> {
        element(tables, self.branches[id].node, self.query.by_function)
    }

    /// The branches below a branch, the largest first. `tables` are those that the tree was made of.
    ///
    /// # Panics
    /// When there is no such branch.
    pub fn children(&mut self, tables: &Tables, id: BranchId) -> &[BranchId] {
        if self.branches[id].children.is_none() {
            let members = self.below(tables, id);
            let children = self.grow(tables, Some(id), members);
            self.branches[id].children = Some(children);
        }
        self.branches[id].children.as_deref().unwrap_or_default()
    }

    /// Follows a recursion: from a branch to the last one that looks like it, as long as each is alone on the one
    /// before, which has no memory of its own. Gives that one, and how many there are.
    ///
    /// # Panics
    /// When there is no such branch.
    pub fn last_of_recursion(&mut self, tables: &Tables, id: BranchId) -> (BranchId, usize) {
        let (mut last, mut count) = (id, 1);
        while self.branches[last].own.is_zero()
            && let [only] = *self.children(tables, last)
            && self.element(tables, only) == self.element(tables, last)
        {
            (last, count) = (only, count + 1);
        }
        (last, count)
    }

    /// The members of all branches below a branch.
    fn below(&self, tables: &Tables, id: BranchId) -> Vec<(NodeId, Amount)> {
        let members = &self.branches[id].members;
        match self.query.direction {
            // Memory without a frame is a branch beside the callers that come from the same place.
            Direction::Callees if self.branches[id].node == ROOT => Vec::new(),
            Direction::Callees => members
                .iter()
                .flat_map(|(node, _)| self.called_by(*node))
                .collect(),
            Direction::Callers => members
                .iter()
                .map(|(node, amount)| (tables.nodes[*node as usize].parent, *amount))
                .filter(|(caller, _)| *caller != ROOT)
                .collect(),
        }
    }

    fn called_by(&self, node: NodeId) -> Vec<(NodeId, Amount)> {
        let callees = self.callees.of(node).iter();
        callees
            .map(|callee| (*callee, self.whole[*callee as usize]))
            .collect()
    }

    /// Makes branches of members: one of all that look the same.
    fn grow(
        &mut self,
        tables: &Tables,
        parent: Option<BranchId>,
        mut members: Vec<(NodeId, Amount)>,
    ) -> Vec<BranchId> {
        members.retain(|(_, amount)| !amount.is_zero());
        members.sort_unstable_by_key(|(node, _)| *node);
        members.dedup_by(|(node, amount), (kept, sum)| {
            let is_same = node == kept;
            if is_same {
                *sum += *amount;
            }
            is_same
        });
        let first_new = self.branches.len();
        let mut known: HashMap<Look, BranchId> = HashMap::new();
        for (node, amount) in members {
            let id = *known.entry(self.look(tables, node)).or_insert_with(|| {
                self.branches.push(Branch {
                    parent,
                    amount: Amount::default(),
                    own: Amount::default(),
                    node,
                    members: Vec::new(),
                    children: None,
                });
                self.branches.len() - 1
            });
            let own = match self.query.direction {
                Direction::Callees => self.own[node as usize],
                Direction::Callers if tables.nodes[node as usize].parent == ROOT => amount,
                Direction::Callers => Amount::default(),
            };
            let branch = &mut self.branches[id];
            branch.amount += amount;
            branch.own += own;
            branch.members.push((node, amount));
        }
        let mut ids: Vec<BranchId> = (first_new..self.branches.len()).collect();
        ids.sort_unstable_by(|a, b| {
            let size = |id: &BranchId| {
                let amount = self.branches[*id].amount;
                (amount.bytes, amount.blocks)
            };
            let element = |id: &BranchId| self.element(tables, *id);
            size(b)
                .cmp(&size(a))
                .then_with(|| element(a).cmp(&element(b)))
        });
        ids
    }

    fn look(&self, tables: &Tables, node: NodeId) -> Look {
        if node == ROOT {
            return None;
        }
        let of = tables.nodes[node as usize];
        let code = &tables.codes[of.code as usize];
        let is_thread = code.kind == CodeKind::Thread;
        let line = if self.query.by_function { 0 } else { of.line };
        Some((is_thread, code.filename, code.name, line))
    }
}

/// What tells branches apart: the texts that people see, by their numbers.
type Look = Option<(bool, u32, u32, u32)>;

fn element(tables: &Tables, node: NodeId, by_function: bool) -> Element<'_> {
    match frame(tables, node) {
        Some(of) => Element::Frame(Frame {
            line: if by_function { 0 } else { of.line },
            ..of
        }),
        None if node == ROOT => Element::NoFrame,
        None => {
            let code = &tables.codes[tables.nodes[node as usize].code as usize];
            Element::Thread(&tables.strings[code.name as usize])
        }
    }
}

/// The callees of each call path, one after the other.
#[derive(Clone, Debug, Default)]
struct Callees {
    /// Where those of each begin; one more than there are call paths.
    begin: Vec<u32>,
    nodes: Vec<NodeId>,
}

impl Callees {
    fn new(tables: &Tables) -> Self {
        let mut begin = vec![0_u32; tables.nodes.len() + 1];
        for node in tables.nodes.iter().skip(1) {
            begin[node.parent as usize + 1] += 1;
        }
        for at in 1..begin.len() {
            begin[at] += begin[at - 1];
        }
        let mut next = begin.clone();
        let mut nodes = vec![ROOT; tables.nodes.len().saturating_sub(1)];
        for (id, node) in (0..).zip(&tables.nodes).skip(1) {
            let place = &mut next[node.parent as usize];
            nodes[*place as usize] = id;
            *place += 1;
        }
        Self { begin, nodes }
    }

    fn of(&self, node: NodeId) -> &[NodeId] {
        let at = node as usize;
        match (self.begin.get(at), self.begin.get(at + 1)) {
            (Some(from), Some(to)) => &self.nodes[*from as usize..*to as usize],
            _ => &[],
        }
    }
}
