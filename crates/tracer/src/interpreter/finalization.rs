//! Is the interpreter being torn down? The one place that says so.
//!
//! From then on the main thread frees the thread states of threads that it does not wait for (daemon threads, threads
//! in C code), while these may go on allocating without the GIL. They are still counted, but their frames are not read.
//!
//! Two signs, either of which is enough: the package's `atexit` function calls [`begin`] before anything is torn down,
//! and waits for events under way; and the interpreter says itself that it finalizes, for programs that cleared
//! `atexit`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use heapsight_cpython::api;

use crate::session;

static HAS_BEGUN: AtomicBool = AtomicBool::new(false);
/// `Py_IsFinalizing` or, before 3.13, `_Py_IsFinalizing`; 0 when neither was found.
static IS_FINALIZING: AtomicUsize = AtomicUsize::new(0);

type IsFinalizing = unsafe extern "C" fn() -> i32;

/// Looks up the interpreter's function.
pub(crate) fn find() {
    let found = api::symbol(c"Py_IsFinalizing").or_else(|| api::symbol(c"_Py_IsFinalizing"));
    IS_FINALIZING.store(
        found.map_or(0, |address| address as usize),
        Ordering::Relaxed,
    );
}

/// The interpreter is about to be torn down: when this returns, no other thread reads frames without the GIL.
pub(crate) fn begin() {
    HAS_BEGUN.store(true, Ordering::SeqCst);
    session::wait_for_events();
}

/// A new interpreter has begun in this process, or `begin` was premature.
pub(crate) fn revoke() {
    HAS_BEGUN.store(false, Ordering::SeqCst);
}

/// Is the interpreter being torn down?
#[inline(always)]
pub(crate) fn has_begun() -> bool {
    HAS_BEGUN.load(Ordering::Relaxed) || is_finalizing()
}

/// Was an interpreter torn down, and does another one run by now?
pub(crate) fn is_over() -> bool {
    HAS_BEGUN.load(Ordering::SeqCst) && !is_finalizing()
}

/// Does the interpreter itself say so?
pub(crate) fn is_finalizing() -> bool {
    let function = IS_FINALIZING.load(Ordering::Relaxed);
    // SAFETY: 0, or one of the two functions, which take nothing, return an int and may be called at any time.
    function != 0 && unsafe { std::mem::transmute::<usize, IsFinalizing>(function)() != 0 }
}
