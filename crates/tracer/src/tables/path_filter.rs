//! Which call paths are traced at all. Asked once for each new call path and domain, never for each block.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::memory::lock::{Guarded, Held};
use crate::tables::{sites, tree};

/// Tells whether blocks allocated on a path are traced. The path is given as (file name, line; 0 when unknown), most
/// recent frame first, empty when no Python code was running. Runs inside an allocator hook: it must not allocate
/// through Python nor call it.
pub type PathFilter = Arc<dyn Fn(&[(&str, u32)]) -> bool + Send + Sync>;

/// The filter and how many of the most recent frames it is shown.
static FILTER: Guarded<Option<(PathFilter, usize)>> = Guarded::new(None);
/// That of the recording that goes on, if one does.
static OF_RECORDING: Guarded<Option<(PathFilter, usize)>> = Guarded::new(None);

/// Sets the filter (`None`: everything is traced) and how many of the most recent frames it is shown: the fewer, the
/// cheaper is each new path, which in a deep recursion matters. Paths that were decided already are decided again at
/// their next allocation, once threads have forgotten them; blocks traced before stay.
pub(crate) fn set(held: &mut Held, filter: Option<PathFilter>, frames: usize) {
    *FILTER.get(held) = filter.map(|filter| (filter, frames));
    sites::reapply_filter(held);
}

/// Does the filter keep the path `node`?
pub(crate) fn keeps(held: &mut Held, node: u32) -> bool {
    let filter = FILTER.get(held).clone();
    matches(filter, held, node)
}

/// A recording begins: the filter of now is that of the recording, whatever the program sets later.
pub(crate) fn recording_begins(held: &mut Held) {
    let filter = FILTER.get(held).clone();
    *OF_RECORDING.get(held) = filter;
}

/// Does the recording's filter keep the path `node`?
pub(crate) fn keeps_in_recording(held: &mut Held, node: u32) -> bool {
    let filter = OF_RECORDING.get(held).clone();
    matches(filter, held, node)
}

fn matches(filter: Option<(PathFilter, usize)>, held: &mut Held, node: u32) -> bool {
    let Some((filter, most_frames)) = filter else {
        return true;
    };
    let mut path = Vec::new();
    let mut at = node;
    while at != tree::ROOT && path.len() < most_frames {
        let step = tree::node(at);
        if let Some(identity) =
            crate::tables::codes::identity(held, step.code.load(Ordering::Relaxed))
        {
            let line = identity.line_at(step.offset.load(Ordering::Relaxed));
            path.push((identity, line));
        }
        at = step.parent.load(Ordering::Relaxed);
    }
    let frames: Vec<(&str, u32)> = path
        .iter()
        .filter_map(|(identity, line)| Some((identity.filename()?, *line)))
        .collect();
    filter(&frames)
}
