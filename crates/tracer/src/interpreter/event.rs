//! What an allocation event knows of its thread: the thread state, and whether the GIL makes it alone.

use heapsight_cpython::api;
use heapsight_cpython::version::Version;

use crate::config;
use crate::interpreter::original;

/// Index of the raw domain, the one that may be called without the GIL.
pub(crate) const RAW: u32 = api::DOMAIN_RAW as u32;

/// Whether an event runs under the main interpreter's GIL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Alone: plain loads and stores do.
    Gil,
    /// Together with others: atomic operations.
    Shared,
}

/// The calling thread's state (null when Python knows nothing of the thread), and whether the event has the GIL to itself.
///
/// # Safety
/// The caller is a hook of `DOMAIN`.
#[inline(always)]
pub(crate) unsafe fn thread_state<V: Version, const DOMAIN: u32>() -> (*const u8, Sharing) {
    // SAFETY: both getters may be called at any time. A thread state that is returned is alive: its own thread is here.
    unsafe {
        if DOMAIN == RAW {
            return (
                api::PyGILState_GetThisThreadState().cast_const().cast(),
                Sharing::Shared,
            );
        }
        let state: *const u8 = original::holder_of_gil::<V>().cast_const().cast();
        if V::FREE_THREADED {
            return (state, Sharing::Shared);
        }
        // Before 3.12 there is one GIL for all interpreters.
        if V::MINOR >= 12 && !state.is_null() {
            let interpreter: usize = state.add(V::OFFSETS.tstate_interp).cast::<usize>().read();
            if interpreter != config::main_interpreter() {
                return (state, Sharing::Shared);
            }
        }
        (state, Sharing::Gil)
    }
}
