//! The in-process recorder: allocator hooks, live map, call-path tree, exact peak, sampling, capture thread.
//!
//! ```text
//! allocator call ─▶ hooks ─▶ live_map (address → site, size)
//!                     │ ▲
//!       path (frames) ┘ └ sites (counters of call path × domain), totals (peak)
//! ```
//!
//! Nothing here allocates through Python or waits for the GIL, and no panic crosses a hook. A hook takes no lock on the way
//! of a call path that is known; the one lock (`lock`) guards insertions. When the tracer gets no memory it counts the loss, which
//! every report shows, and the program goes on.
//!
//! **Duties of the caller.** [`start`], [`stop`], [`clear`] and [`snapshot()`] are called with the GIL held.

mod arena;
mod attached_state;
mod chunked;
mod codes;
mod config;
pub mod descriptor;
mod export;
mod extension;
pub mod extension_calls;
mod hooks;
mod id_table;
mod install;
mod live_map;
mod lock;
mod mapping;
#[cfg(test)]
mod model_tests;
pub mod objects;
mod original;
mod path;
mod path_filter;
pub mod recorder;
mod recycle;
pub mod reserve;
mod sampling;
mod shared_total;
mod side_table;
mod sites;
mod size_counts;
mod snapshot;
mod thread;
mod thread_slot;
pub mod timer;
mod totals;
mod tree;

pub use heapsight_cpython::api::{RunningVersion, running_version};

pub use extension::{track, untrack};

pub use config::{Config, FrameLimit};
pub use install::{StartError, clear, start, stop};
pub use size_counts::{SizeCount, snapshot_with_sizes};

pub use path_filter::{PathFilter, set_path_filter};
pub use snapshot::{
    LiveBlock, LiveBlocks, snapshot, snapshot_with_blocks, totals, trace_of, traced_memory,
    tracer_bytes,
};

/// Are blocks being traced?
#[must_use]
pub fn is_tracing() -> bool {
    config::tracing()
}

/// The configuration that tracing was started with last.
#[must_use]
pub fn configuration() -> Config {
    config::get()
}

/// Makes the present the highest point: the peak is from now on the highest traced memory since this call.
pub fn reset_peak() {
    totals::reset_peak();
}

/// Bytes of a memory page.
#[must_use]
pub fn page_bytes() -> usize {
    mapping::page_size()
}

/// Sets how many call paths there may be before idle ones are folded together. For tests: the default suits every program.
#[doc(hidden)]
pub fn set_path_limit(paths: u32) {
    recycle::set_limit(paths);
}
