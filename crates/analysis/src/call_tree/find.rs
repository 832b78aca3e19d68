//! Which branches somebody looks for, and where they are.

use foldhash::{HashMap, HashMapExt};
use heapsight_capture::model::{NodeId, ROOT, Tables};

use super::{BranchId, CallTree, Direction, Element, element};
use crate::amount::Amount;

/// What was found in a tree.
#[derive(Clone, Debug)]
pub struct Found {
    /// For each call path, whether its most recent frame is looked for.
    is_hit: Vec<bool>,
    /// For each call path, whether one is found further on: among its callees, or its callers.
    is_before_hit: Vec<bool>,
    /// Memory of the call paths that have such a frame, each counted once.
    pub amount: Amount,
}

impl CallTree {
    /// Looks for the elements that `is_wanted` takes, in branches that were not made yet, too. Each element is asked
    /// for once.
    #[must_use]
    pub fn find(&self, tables: &Tables, is_wanted: impl Fn(Element<'_>) -> bool) -> Found {
        let by_function = self.query.by_function;
        let mut verdicts = HashMap::new();
        let is_hit: Vec<bool> = (0..tables.nodes.len() as NodeId)
            .map(|id| {
                let look = self.look(tables, id);
                let verdict = verdicts.entry(look);
                *verdict.or_insert_with(|| is_wanted(element(tables, id, by_function)))
            })
            .collect();
        // A caller's number is lower than its callees'. The root is no caller; its own memory has no frame.
        let mut on_path = is_hit.clone();
        for (id, node) in tables.nodes.iter().enumerate().skip(1) {
            on_path[id] |= node.parent != ROOT && on_path[node.parent as usize];
        }
        let mut is_before_hit = vec![false; is_hit.len()];
        match self.query.direction {
            Direction::Callers => {
                for (id, node) in tables.nodes.iter().enumerate().skip(1) {
                    is_before_hit[id] = node.parent != ROOT && on_path[node.parent as usize];
                }
            }
            Direction::Callees => {
                for (id, node) in tables.nodes.iter().enumerate().skip(1).rev() {
                    let has_memory = !self.whole[id].is_zero();
                    let leads_on = has_memory && (is_hit[id] || is_before_hit[id]);
                    is_before_hit[node.parent as usize] |= leads_on;
                }
            }
        }
        let found = self
            .own
            .iter()
            .zip(&on_path)
            .filter(|(_, is_found)| **is_found);
        Found {
            amount: found.map(|(amount, _)| *amount).sum(),
            is_hit,
            is_before_hit,
        }
    }

    /// Whether a branch is one that was looked for.
    ///
    /// # Panics
    /// When there is no such branch.
    #[must_use]
    pub fn is_hit(&self, found: &Found, id: BranchId) -> bool {
        found.is_hit[self.branches[id].node as usize]
    }

    /// Whether there is one below it.
    ///
    /// # Panics
    /// When there is no such branch.
    #[must_use]
    pub fn is_before_hit(&self, found: &Found, id: BranchId) -> bool {
        let mut members = self.branches[id].members.iter();
        self.branches[id].has_children()
            && members.any(|(node, _)| found.is_before_hit[*node as usize])
    }
}
