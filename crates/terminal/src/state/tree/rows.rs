//! The rows of the tree that are open, and going through them.

use std::cmp::Reverse;
use std::hash::{DefaultHasher, Hash, Hasher};

use heapsight_analysis::call_tree::{BranchId, Element};

use super::{LONGEST_CHAIN, MOST_OPENED, Sort, TreeState};

/// One branch on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub branch: BranchId,
    /// Stands for the branch and all that it is on, in any tree of any moment.
    pub way: u64,
    /// How far it is to the right: one for each fork before it.
    pub level: usize,
    /// How many times in a row its function calls itself.
    pub times: usize,
    /// Whether it is the only branch on the one above.
    pub is_chained: bool,
    pub is_open: bool,
    pub has_children: bool,
}

/// A number for the elements from the beginning to here.
fn way(before: u64, element: Element<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (before, element).hash(&mut hasher);
    hasher.finish()
}

impl TreeState {
    /// Lists the rows anew.
    pub(super) fn list(&mut self) {
        let mut rows = Vec::new();
        // (branch, way before it, level, whether it is chained), the next one last.
        let mut waiting: Vec<(BranchId, u64, usize, bool)> = Vec::new();
        let first = self.sorted(None);
        waiting.extend(first.into_iter().rev().map(|id| (id, 0, 0, false)));
        while let Some((branch, before, level, is_chained)) = waiting.pop() {
            let (branch, way, times) = self.folded(branch, before);
            let has_children = self.tree.branch(branch).has_children();
            let is_open = has_children && self.open.contains(&way);
            rows.push(Row {
                branch,
                way,
                level,
                times,
                is_chained,
                is_open,
                has_children,
            });
            if is_open {
                let children = self.sorted(Some(branch));
                let is_chain = children.len() == 1;
                let level = if is_chain { level } else { level + 1 };
                let children = children.into_iter().rev();
                waiting.extend(children.map(|id| (id, way, level, is_chain)));
            }
        }
        self.rows = rows;
        self.select(self.selected);
    }

    /// A recursion is one row: gives its last branch, the way there, and how many they are.
    fn folded(&mut self, id: BranchId, before: u64) -> (BranchId, u64, usize) {
        let tables = &self.capture.tables;
        let (last, times) = self.tree.last_of_recursion(tables, id);
        let element = self.tree.element(tables, id);
        let way = (0..times).fold(before, |before, _| way(before, element));
        (last, way, times)
    }

    /// The branches on a branch, or those that the tree begins with, in the order in which they are shown.
    pub(super) fn sorted(&mut self, of: Option<BranchId>) -> Vec<BranchId> {
        let tables = &self.capture.tables;
        let mut ids = match of {
            Some(id) => self.tree.children(tables, id).to_vec(),
            None => self.tree.first().to_vec(),
        };
        let by_blocks = self.settings.by_blocks;
        let branch = |id: &BranchId| self.tree.branch(*id);
        // They come by bytes, and sorting keeps the order of equals.
        match self.sort {
            Sort::Size if by_blocks => ids.sort_by_key(|id| Reverse(branch(id).amount.blocks)),
            Sort::Size => {}
            Sort::Own if by_blocks => ids.sort_by_key(|id| Reverse(branch(id).own.blocks)),
            Sort::Own => ids.sort_by_key(|id| Reverse(branch(id).own.bytes)),
            Sort::Name => {
                let element = |id: &BranchId| self.tree.element(tables, *id);
                ids.sort_by(|a, b| element(a).cmp(&element(b)));
            }
        }
        ids
    }

    /// Selects a row, or the last one if there are not as many.
    pub(super) fn select(&mut self, row: usize) {
        self.selected = row.min(self.rows.len().saturating_sub(1));
        self.top = self.top.min(self.selected);
        self.top = self.top.max((self.selected + 1).saturating_sub(self.page));
    }

    /// So many rows are on the screen.
    pub(crate) fn fit(&mut self, page: usize) {
        self.page = page.max(1);
        self.top = self.top.min(self.rows.len().saturating_sub(self.page));
        self.select(self.selected);
    }

    /// Moves the rows under the eye; the selection comes along where it would leave the screen.
    pub(super) fn scroll(&mut self, rows: isize) {
        let last = self.rows.len().saturating_sub(self.page);
        self.top = self.top.saturating_add_signed(rows).min(last);
        let last_shown = self.top + self.page.saturating_sub(1);
        self.select(self.selected.clamp(self.top, last_shown));
    }

    /// Opens the selected branch; of one that is open the first below it is selected.
    pub(super) fn open_selected(&mut self) {
        match self.rows.get(self.selected) {
            Some(row) if row.is_open => self.select(self.selected + 1),
            Some(row) if row.has_children => {
                let row = *row;
                self.open_chain(row);
                self.list();
            }
            _ => {}
        }
    }

    /// Opens a branch, and what follows it without a fork: there is nothing to decide.
    pub(super) fn open_chain(&mut self, row: Row) {
        let (mut id, mut at) = (row.branch, row.way);
        for _ in 0..LONGEST_CHAIN {
            self.open.insert(at);
            let [only] = self.tree.children(&self.capture.tables, id) else {
                return;
            };
            let only = *only;
            (id, at, _) = self.folded(only, at);
            if !self.tree.branch(id).has_children() {
                return;
            }
        }
    }

    /// Closes the selected branch, or goes to the one that it is on.
    pub(super) fn close_selected(&mut self) {
        let Some(row) = self.rows.get(self.selected).copied() else {
            return;
        };
        if row.is_open {
            self.open.remove(&row.way);
            self.list();
            return;
        }
        let parent = self.tree.branch(row.branch).parent;
        let mut above = self.rows[..self.selected].iter();
        if let Some(at) = above.rposition(|row| Some(row.branch) == parent) {
            self.select(at);
        }
    }

    /// Opens what is below the selected branch, as far as it is worth looking at.
    pub(super) fn open_below(&mut self) {
        let Some(row) = self.rows.get(self.selected).copied() else {
            return;
        };
        let worth = self.shown(self.total()) / 200;
        let mut waiting = vec![(row.branch, row.way)];
        let mut opened = 0;
        while let Some((id, at)) = waiting.pop() {
            let branch = self.tree.branch(id);
            if !branch.has_children() || self.shown(branch.amount) < worth {
                continue;
            }
            opened += 1;
            if opened > MOST_OPENED {
                self.message = Some(format!("only {MOST_OPENED} branches were opened"));
                break;
            }
            self.open.insert(at);
            for child in self.tree.children(&self.capture.tables, id).to_vec() {
                let (child, at, _) = self.folded(child, at);
                waiting.push((child, at));
            }
        }
        self.list();
    }

    /// Opens the largest branch down to where no branch has nearly all of it.
    pub(super) fn open_first(&mut self) {
        let mut next = self.rows.first().copied();
        while let Some(row) = next.filter(|row| row.has_children && !row.is_open) {
            self.open_chain(row);
            self.list();
            let amount = |row: &Row| self.shown(self.tree.branch(row.branch).amount);
            let nearly_all = self.shown(self.tree.branch(row.branch).amount) / 10 * 9;
            let below = self
                .rows
                .iter()
                .skip_while(|other| other.way != row.way)
                .skip(1);
            let mut closed = below.filter(|row| row.has_children && !row.is_open);
            next = closed
                .next()
                .filter(|row| amount(row) >= nearly_all)
                .copied();
        }
    }

    /// Opens all that a branch is on, and selects it.
    pub(super) fn reveal(&mut self, id: BranchId) {
        let mut line = Vec::new();
        let mut at = Some(id);
        while let Some(branch) = at {
            line.push(branch);
            at = self.tree.branch(branch).parent;
        }
        let mut before = 0;
        for branch in line.into_iter().rev() {
            before = way(before, self.tree.element(&self.capture.tables, branch));
            if branch != id {
                // The branches within a recursion are no rows, and do no harm.
                self.open.insert(before);
            }
        }
        self.list();
        if let Some(row) = self.rows.iter().position(|row| row.branch == id) {
            self.select(row);
        }
    }
}
