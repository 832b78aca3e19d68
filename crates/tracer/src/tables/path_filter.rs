//! Which call paths are traced at all. Asked once for each new call path and domain, never for each block.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::memory::lock::{Guarded, Held};
use crate::tables::{sites, tree};

/// Tells whether blocks allocated on a path are traced. The path is given as (file name, line; 0 when unknown), most
/// recent frame first, empty when no Python code was running. Runs inside an allocator hook: it must not allocate
/// through Python nor call it.
pub type PathFilter = Arc<dyn Fn(&[(&str, u32)]) -> bool + Send + Sync>;

/// How much of a call path a filter looks at: the less, the cheaper is each new path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The most recent frames that it is shown.
    pub frames: usize,
    /// Whether it looks at lines; else those that it is shown may be 0.
    pub lines: bool,
}

/// A filter in force.
#[derive(Clone)]
struct InForce {
    filter: PathFilter,
    sight: Sight,
    /// What it said of each code, by id, if it looks at nothing but the file of the most recent frame.
    of_code: Vec<Option<bool>>,
}

static FILTER: Guarded<Option<InForce>> = Guarded::new(None);
/// That of the recording that goes on, if one does.
static OF_RECORDING: Guarded<Option<InForce>> = Guarded::new(None);

/// Sets the filter (`None`: everything is traced). Paths that were decided already are decided again at their next
/// allocation, once threads have forgotten them; blocks traced before stay.
pub(crate) fn set(held: &mut Held, filter: Option<PathFilter>, sight: Sight) {
    *FILTER.get(held) = filter.map(|filter| InForce {
        filter,
        sight,
        of_code: Vec::new(),
    });
    sites::reapply_filter(held);
}

/// Does the filter keep the path `node`?
pub(crate) fn keeps(held: &mut Held, node: u32) -> bool {
    decide(held, &FILTER, node)
}

/// A recording begins: the filter of now is that of the recording, whatever the program sets later.
pub(crate) fn recording_begins(held: &mut Held) {
    let filter = FILTER.get(held).clone();
    *OF_RECORDING.get(held) = filter;
}

/// Does the recording's filter keep the path `node`?
pub(crate) fn keeps_in_recording(held: &mut Held, node: u32) -> bool {
    decide(held, &OF_RECORDING, node)
}

/// Numbers of code are given to other code from now on.
pub(crate) fn forget_codes(held: &mut Held) {
    for filter in [&FILTER, &OF_RECORDING] {
        if let Some(filter) = filter.get(held) {
            filter.of_code.clear();
        }
    }
}

fn decide(held: &mut Held, filter: &'static Guarded<Option<InForce>>, node: u32) -> bool {
    let Some(InForce { sight, of_code, .. }) = filter.get(held) else {
        return true;
    };
    let sight = *sight;
    let by_code = sight.frames == 1 && !sight.lines && node != tree::ROOT;
    let code = tree::node(node).code.load(Ordering::Relaxed) as usize;
    if by_code && let Some(&Some(verdict)) = of_code.get(code) {
        return verdict;
    }
    let verdict = matches(held, filter, sight, node);
    if by_code && let Some(InForce { of_code, .. }) = filter.get(held) {
        if of_code.len() <= code {
            of_code.resize(code + 1, None);
        }
        of_code[code] = Some(verdict);
    }
    verdict
}

fn matches(
    held: &mut Held,
    filter: &'static Guarded<Option<InForce>>,
    sight: Sight,
    node: u32,
) -> bool {
    let mut path = Vec::new();
    let mut at = node;
    while at != tree::ROOT && path.len() < sight.frames {
        let step = tree::node(at);
        if let Some(identity) =
            crate::tables::codes::identity(held, step.code.load(Ordering::Relaxed))
        {
            let line = if sight.lines {
                identity.line_at(step.offset.load(Ordering::Relaxed))
            } else {
                0
            };
            path.push((identity, line));
        }
        at = step.parent.load(Ordering::Relaxed);
    }
    let frames: Vec<(&str, u32)> = path
        .iter()
        .filter_map(|(identity, line)| Some((identity.filename()?, *line)))
        .collect();
    filter
        .get(held)
        .as_ref()
        .is_none_or(|filter| (filter.filter)(&frames))
}
