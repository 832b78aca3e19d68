//! What an allocation event knows of its thread: the thread state, and whether the GIL makes it alone.

use heapsight_capture::model::Domain;
use heapsight_cpython::api;
use heapsight_cpython::version::Version;

use crate::config;
use crate::interpreter::{finalization, original};

/// Index of the raw domain, the one that may be called without the GIL.
pub(crate) const RAW: u32 = api::DOMAIN_RAW as u32;

/// The domain of what is asked of `malloc` and its relatives.
pub(crate) const NATIVE_MALLOC: u32 = Domain::NATIVE_MALLOC.0;

/// May blocks of this domain come and go without the GIL?
pub(crate) const fn needs_no_gil(domain: u32) -> bool {
    domain == RAW || domain >= NATIVE_MALLOC
}

/// Does a reallocation to `size` bytes that gives null free the block? C's does so for no bytes.
pub(crate) const fn frees<const DOMAIN: u32>(size: usize) -> bool {
    DOMAIN >= NATIVE_MALLOC && size == 0
}

/// Whether an event runs under the main interpreter's GIL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Alone: plain loads and stores do.
    Gil,
    /// Together with others: atomic operations.
    Shared,
}

/// The calling thread's state (null when Python knows nothing of the thread, or must not be asked any more), and
/// whether the event has the GIL to itself. `attached` is the state that this thread last had an event under the GIL
/// with.
///
/// # Safety
/// The caller is a hook of `DOMAIN`.
#[inline(always)]
pub(crate) unsafe fn thread_state<V: Version, const DOMAIN: u32>(
    attached: *const u8,
) -> (*const u8, Sharing) {
    // SAFETY: promised by the caller.
    unsafe { thread_state_in::<V>(DOMAIN, attached) }
}

/// The same, for functions that serve all domains.
///
/// # Safety
/// The caller is a hook of `domain`.
#[inline(always)]
pub(crate) unsafe fn thread_state_in<V: Version>(
    domain: u32,
    attached: *const u8,
) -> (*const u8, Sharing) {
    // SAFETY: the getters may be called at any time. A thread state that is returned is alive: its own thread is here.
    unsafe {
        if needs_no_gil(domain) {
            return (state_without_gil::<V>(attached), Sharing::Shared);
        }
        let state: *const u8 = original::holder_of_gil::<V>().cast_const().cast();
        if V::FREE_THREADED {
            return (state, Sharing::Shared);
        }
        // Before 3.12 there is one GIL for all interpreters.
        if !V::OFFSETS.one_gil
            && !state.is_null()
            && interpreter_of::<V>(state) != config::main_interpreter()
        {
            return (state, Sharing::Shared);
        }
        (state, Sharing::Gil)
    }
}

/// The interpreter that a thread state belongs to.
///
/// # Safety
/// `state` is a live thread state of version `V`.
#[inline(always)]
pub(crate) unsafe fn interpreter_of<V: Version>(state: *const u8) -> usize {
    // SAFETY: promised by the caller.
    unsafe { state.add(V::OFFSETS.tstate_interp).cast::<usize>().read() }
}

/// May an event of the mem or obj domain on this thread run beside events of other threads?
///
/// # Safety
/// The caller is a hook of one of these domains.
#[inline(always)]
pub(crate) unsafe fn may_run_beside_others<V: Version>() -> bool {
    if V::FREE_THREADED {
        return true;
    }
    if V::OFFSETS.one_gil {
        return false;
    }
    // SAFETY: promised by the caller: a state that is attached is alive.
    unsafe {
        let state: *const u8 = original::holder_of_gil::<V>().cast_const().cast();
        state.is_null() || interpreter_of::<V>(state) != config::main_interpreter()
    }
}

/// The state of a thread that may be without the GIL.
///
/// `PyGILState_GetThisThreadState` tells of one state for each thread, that of the main interpreter; a thread may run
/// another interpreter. If it is attached to a state now, that is the one whose frames run.
#[inline(always)]
unsafe fn state_without_gil<V: Version>(attached: *const u8) -> *const u8 {
    // SAFETY: the getters may be called at any time; what they return is compared, not read.
    unsafe {
        if !V::OFFSETS.one_gil {
            let state: *const u8 = original::holder_of_gil::<V>().cast_const().cast();
            if !state.is_null() {
                return state;
            }
        } else if config::has_several_interpreters() {
            // Whose state holds the GIL is not known, but if it is the one that this thread had last, it is this
            // thread's.
            let holder: *const u8 = original::holder_of_gil::<V>().cast_const().cast();
            if !holder.is_null() && holder == attached {
                return holder;
            }
        }
        let own: *const u8 = api::PyGILState_GetThisThreadState().cast_const().cast();
        if !own.is_null() && finalization::has_begun() && !is_attached::<V>(own) {
            // The main thread frees the states of all others, which it does not wait for.
            return std::ptr::null();
        }
        own
    }
}

unsafe fn is_attached<V: Version>(state: *const u8) -> bool {
    // SAFETY: as in `state_without_gil`.
    unsafe { original::holder_of_gil::<V>().cast_const().cast() == state }
}
