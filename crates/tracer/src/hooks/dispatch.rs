//! What a hook does when the mode is not the one that it was made for: tracing is off, another tool has kept hooks of
//! an earlier session and calls them, or somebody checks whether the hooks are still reached. All hooks of sampled
//! tracing with native memory come here, too.
//!
//! This is the slow path. Otherwise it is taken only when another tool is installed on top of heapsight.

use std::ffi::c_void;

use heapsight_cpython::version::Version;

use crate::hooks::{exact, sampled};
use crate::interpreter::original;
use crate::session::{self, Mode};
use crate::thread::Thread;

/// The mode that is in force, after noting that a hook of `DOMAIN` was reached.
fn mode<const DOMAIN: u32>() -> Mode {
    if session::mode() == Mode::CHECKING {
        session::note_reached(DOMAIN);
    }
    session::unchecked_mode()
}

/// What records a block in an exact mode.
///
/// # Safety
/// What is returned is called as [`exact::record_apart`] of `DOMAIN` is.
unsafe fn record_exact<V: Version, const DOMAIN: u32>(
    mode: Mode,
) -> impl FnOnce(*mut Thread, usize, usize) {
    // SAFETY: promised by the caller.
    move |thread, address, size| unsafe {
        if mode == Mode::EXACT_PATHS {
            exact::record_apart::<V, true>(DOMAIN, thread, address, size);
        } else {
            exact::record_apart::<V, false>(DOMAIN, thread, address, size);
        }
    }
}

#[cold]
#[inline(never)]
pub(crate) unsafe extern "C" fn malloc<V: Version, const DOMAIN: u32>(
    ctx: *mut c_void,
    size: usize,
) -> *mut c_void {
    // SAFETY: the arguments of a hook of `DOMAIN`, for another one of the same domain.
    unsafe {
        match mode::<DOMAIN>() {
            mode if mode.is_exact() => {
                exact::record_malloc::<DOMAIN>(ctx, size, record_exact::<V, DOMAIN>(mode))
            }
            Mode::SAMPLED_PATHS => sampled::record_malloc::<V, DOMAIN, true>(ctx, size),
            Mode::SAMPLED_FRAME => sampled::record_malloc::<V, DOMAIN, false>(ctx, size),
            // These mark what the original allocator asks for as part of the block.
            Mode::SAMPLED_PATHS_NATIVE => sampled::malloc_slowly::<V, DOMAIN, true>(ctx, size),
            Mode::SAMPLED_FRAME_NATIVE => sampled::malloc_slowly::<V, DOMAIN, false>(ctx, size),
            _ => original::malloc::<DOMAIN>(ctx, size),
        }
    }
}

#[cold]
#[inline(never)]
pub(crate) unsafe extern "C" fn calloc<V: Version, const DOMAIN: u32>(
    ctx: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    // SAFETY: as in `malloc`.
    unsafe {
        match mode::<DOMAIN>() {
            mode if mode.is_exact() => {
                exact::record_calloc::<DOMAIN>(ctx, count, size, record_exact::<V, DOMAIN>(mode))
            }
            Mode::SAMPLED_PATHS => sampled::record_calloc::<V, DOMAIN, true>(ctx, count, size),
            Mode::SAMPLED_FRAME => sampled::record_calloc::<V, DOMAIN, false>(ctx, count, size),
            // These mark what the original allocator asks for as part of the block.
            Mode::SAMPLED_PATHS_NATIVE => {
                sampled::calloc_slowly::<V, DOMAIN, true>(ctx, count, size)
            }
            Mode::SAMPLED_FRAME_NATIVE => {
                sampled::calloc_slowly::<V, DOMAIN, false>(ctx, count, size)
            }
            _ => original::calloc::<DOMAIN>(ctx, count, size),
        }
    }
}

#[cold]
#[inline(never)]
pub(crate) unsafe extern "C" fn realloc<V: Version, const DOMAIN: u32>(
    ctx: *mut c_void,
    old: *mut c_void,
    size: usize,
) -> *mut c_void {
    // SAFETY: as in `malloc`.
    unsafe {
        match mode::<DOMAIN>() {
            mode if mode.is_exact() => {
                exact::record_realloc::<V, DOMAIN>(ctx, old, size, record_exact::<V, DOMAIN>(mode))
            }
            Mode::SAMPLED_PATHS => sampled::record_realloc::<V, DOMAIN, true>(ctx, old, size),
            Mode::SAMPLED_FRAME => sampled::record_realloc::<V, DOMAIN, false>(ctx, old, size),
            Mode::SAMPLED_PATHS_NATIVE => {
                sampled::realloc_slowly::<V, DOMAIN, true>(ctx, old, size)
            }
            Mode::SAMPLED_FRAME_NATIVE => {
                sampled::realloc_slowly::<V, DOMAIN, false>(ctx, old, size)
            }
            _ => original::realloc::<DOMAIN>(ctx, old, size),
        }
    }
}

#[cold]
#[inline(never)]
pub(crate) unsafe extern "C" fn free<V: Version, const DOMAIN: u32>(
    ctx: *mut c_void,
    block: *mut c_void,
) {
    let mode = mode::<DOMAIN>();
    // SAFETY: as in `malloc`.
    unsafe {
        if mode.is_exact() {
            exact::forget_block::<V, DOMAIN>(block as usize);
        } else if mode.is_sampled() {
            sampled::forget_block::<V, DOMAIN>(block as usize);
        }
        original::free::<DOMAIN>(ctx, block);
    }
}
