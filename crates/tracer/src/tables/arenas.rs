//! pymalloc's arenas that were made since tracing first began, and are there yet.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::memory::lock::{Guarded, Held};

static ARENAS: Guarded<BTreeMap<usize, usize>> = Guarded::new(BTreeMap::new());

/// An arena was made.
pub(crate) fn add(held: &mut Held, start: usize, length: usize) {
    ARENAS.get(held).insert(start, start.saturating_add(length));
}

/// An arena is about to be given back.
pub(crate) fn remove(held: &mut Held, start: usize) {
    ARENAS.get(held).remove(&start);
}

/// All of them.
pub(crate) fn all(held: &mut Held) -> Vec<Range<usize>> {
    ARENAS
        .get(held)
        .iter()
        .map(|(&start, &end)| start..end)
        .collect()
}
