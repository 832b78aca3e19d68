//! Marks on paths; marking a path marks its callers too.

use std::sync::atomic::Ordering;

use crate::tables::tree;

/// A block on it, or on a path that hangs from it, is live or was at the peak.
pub(super) const NEEDED: u8 = 1;
/// It was used lately, or a path that hangs from it was.
pub(super) const STAYS: u8 = 2;
/// A path that cannot end yet hangs from it, or it is one.
pub(super) const CARRIES: u8 = 4;

/// A byte for each path.
pub(super) struct Marks(Vec<u8>);

impl Marks {
    pub(super) fn new(paths: u32) -> Self {
        Self(vec![0; paths as usize])
    }

    pub(super) fn has(&self, path: u32, mark: u8) -> bool {
        self.0
            .get(path as usize)
            .is_some_and(|marks| marks & mark != 0)
    }

    /// Marks the path and its callers.
    pub(super) fn mark(&mut self, path: u32, mark: u8) {
        let mut at = path;
        while at != tree::ROOT
            && let Some(marks) = self.0.get_mut(at as usize)
            && *marks & mark == 0
        {
            *marks |= mark;
            at = tree::node(at).parent.load(Ordering::Relaxed);
        }
    }
}
