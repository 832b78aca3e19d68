//! The in-process recorder: allocator hooks, live map, call-path tree, exact peak, sampling, capture thread.
//!
//! ```text
//! allocator call ─▶ hooks ─▶ live_map (address → site, size)
//!                     │ ▲
//!       path (frames) ┘ └ sites (counters of call path × domain), totals (peak)
//! ```
//!
//! Nothing here allocates through Python or waits for the GIL, and no panic crosses a hook. A hook takes no lock for a
//! call path that is known; the one lock (`lock`) guards insertions. If the tracer gets no memory, it counts the loss,
//! every report shows it, and the program continues.
//!
//! **Duties of the caller.** Call [`start`], [`stop`], [`clear`] and [`snapshot()`] with the GIL held.
//!
//! # Example
//!
//! In a library that an interpreter has loaded, with the GIL held:
//!
//! ```no_run
//! use heapsight_tracer::Config;
//!
//! heapsight_tracer::prepare();
//! heapsight_tracer::start(&Config::default())?;
//! // … the program runs …
//! let tables = heapsight_tracer::snapshot();
//! println!("{} call paths hold memory", tables.sites.len());
//! heapsight_tracer::stop();
//! # Ok::<(), heapsight_tracer::StartError>(())
//! ```

mod background;
mod config;
mod countdown;
mod hooks;
mod interpreter;
mod memory;
#[cfg(test)]
mod model_tests;
mod path;
mod process;
mod readout;
mod session;
mod tables;
mod thread;
mod tracemalloc;
#[cfg(test)]
mod unseen_tests;
mod view;

use heapsight_capture::model::Bounds;
pub use heapsight_cpython::api::{
    RunningVersion, in_main_interpreter, running_build, running_version,
};
pub use heapsight_cpython::builtin_function::vectorcall_place;
pub use heapsight_cpython::object::pre_header_bytes;
pub use heapsight_cpython::version::UnsupportedVersion;

pub use background::termination::arrange_last_tick;
pub use background::{descriptor, is_first_thread, pause, recorder, resume, timer};
pub use config::{Config, FrameLimit};
pub use heapsight_native::connect as native_is_seen;
pub use hooks::install::{
    StartError, attaching_is_safe, clear as clear_session, finalization_begins, hooks_may_be_gone,
    prepare, prepare_without_gil, put_hooks_back, start as start_session, stop as stop_session,
};
pub use interpreter::signals::Actions as SignalActions;
pub use memory::reserve;
pub use process::account;
#[doc(hidden)]
pub use readout::audit::audit;
pub use readout::size_counts::{SizeCount, snapshot_with_sizes};
pub use readout::snapshot::{
    LiveBlock, LiveBlocks, path_entries, snapshot, snapshot_of_all_paths, snapshot_with_blocks,
    totals, trace_of, traced_memory, tracer_bytes,
};
pub use tables::path_filter::{PathFilter, Sight};
pub use thread::name_thread;
pub use tracemalloc::extension::{track, untrack};
pub use tracemalloc::{extension_calls, objects};
pub use view::{clear, configuration, is_tracing, reset_peak, set_path_filter, start, stop};

/// Bytes of a memory page.
#[must_use]
pub fn page_bytes() -> usize {
    memory::mapping::page_size()
}

/// Sets how much memory call paths may take on which nothing is live, in bytes, from now on; `None`: the default, 32
/// MiB or 15 % of the process's resident memory, whichever is more. Beyond it those that were not used for longest
/// are given back. With a number, paths with live blocks count too: when they alone take so much, new paths are cut.
pub fn set_budget(bytes: Option<u64>) {
    tables::budget::set(bytes.map(|bytes| bytes.max(Bounds::SMALLEST_BUDGET)));
}

/// The budget in force, in bytes.
#[must_use]
pub fn budget() -> u64 {
    tables::budget::get()
}

/// Sets the seed from which every later [`start`] draws its sample; `None`: another one each time. For tests, which
/// must not depend on luck.
#[doc(hidden)]
pub fn fix_sampling_seed(seed: Option<u64>) {
    countdown::fix_seed(seed);
}
