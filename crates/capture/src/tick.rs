//! One tick: what became new or changed since the tick before, as one frame.
//!
//! A tick holds the names that it needs, so any prefix of whole frames is a consistent capture.
//! Tables are stored by column, as differences from what a reader can predict: see docs/format.md.

mod decode;
mod encode;

pub(crate) use decode::{Lengths, Progress, apply, starts_at};
pub(crate) use encode::Encoder;

use crate::model::{Code, Counters, Node, Site, SiteId, Totals};

/// What the recorder hands over at one moment.
///
/// Each `new_…` slice continues the corresponding vector of [`Tables`](crate::model::Tables) from where the last tick
/// that was taken left off; ids are implicit. The first tick's `new_nodes` therefore begins with the root.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tick<'a> {
    /// Nanoseconds since the start of tracing. A value below the last tick's is stored as the last tick's.
    pub elapsed_ns: u64,
    /// Resident memory of the process, in bytes; 0 when unknown.
    pub rss_bytes: u64,
    /// Highest resident memory of the process so far, as the kernel has kept it between ticks too, in bytes; 0 when
    /// unknown.
    pub highest_rss_bytes: u64,
    /// How old, in nanoseconds, the figures of single call paths may be at this tick. 0: `changed` has all that
    /// changed.
    ///
    /// Totals are always those of the moment. A recorder that finds more changed than it can write at once writes the
    /// rest later.
    pub paths_lag_ns: u64,
    /// Totals at this moment.
    pub totals: Totals,
    /// Strings that appeared.
    pub new_strings: &'a [String],
    /// Codes that appeared. They may name strings of this tick.
    pub new_codes: &'a [Code],
    /// Call paths that appeared, parents first.
    pub new_nodes: &'a [Node],
    /// Sites that appeared. Their counters start at zero: list them in `changed` too if they are not.
    pub new_sites: &'a [Site],
    /// Sites whose counters changed, with the counters' values now (not differences), in any order.
    /// Ascending ids compress best.
    pub changed: &'a [(SiteId, Counters)],
    /// The counters that the file has of each of `changed` so far, for a caller who knows: the writer then keeps none.
    /// `None`: the writer knows from the ticks before, which have to be without them too.
    pub before: Option<&'a [Counters]>,
}

/// Which of a site's counters follow. One byte for each changed site.
mod mask {
    pub const ALLOCATED: u8 = 1;
    pub const FREED: u8 = 2;
    pub const TEMPORARY: u8 = 4;
    pub const PEAK: u8 = 8;
    /// The peak counters equal the live ones: nothing follows. This is the common case while a program grows.
    pub const PEAK_IS_LIVE: u8 = 16;
}
