//! The allocator hooks. One set of functions for each interpreter version, domain and depth, chosen once.
//!
//! No panic, no Python allocation, no GIL and no call into CPython but the original allocator, the two getters of the thread
//! state and, when a timer is due, `Py_AddPendingCall` (see `timer.rs`). Only the outermost call counts: what pymalloc asks of the raw domain for a large block is that block.

use std::ffi::c_void;
use std::ptr;

use heapsight_cpython::api::{self, PyMemAllocatorEx};
use heapsight_cpython::version::Version;

use crate::config;
use crate::interpreter::event;
use crate::interpreter::original::{self, Original};
use crate::tables::live_map::{self, Block};
use crate::tables::{sites, totals};
use crate::thread::{self, Thread};

/// Index of the raw domain, the one that may be called without the GIL.
const RAW: u32 = api::DOMAIN_RAW as u32;

/// The hooks of `DOMAIN`, to be installed with `PyMem_SetAllocator`. `FULL` records whole call paths, else the running frame only.
pub(crate) fn allocator<V: Version, const DOMAIN: u32, const FULL: bool>() -> PyMemAllocatorEx {
    PyMemAllocatorEx {
        ctx: original::context(DOMAIN),
        malloc: Some(malloc::<V, DOMAIN, FULL>),
        calloc: Some(calloc::<V, DOMAIN, FULL>),
        realloc: Some(realloc::<V, DOMAIN, FULL>),
        free: Some(free),
    }
}

unsafe extern "C" fn malloc<V: Version, const DOMAIN: u32, const FULL: bool>(
    ctx: *mut c_void,
    size: usize,
) -> *mut c_void {
    // SAFETY: `ctx` is the original allocator that `allocator` put there; a domain's rules on the GIL are the caller's to keep.
    unsafe {
        let original = &*ctx.cast::<Original>();
        allocate::<V, DOMAIN, FULL>(size, || original.malloc(size))
    }
}

unsafe extern "C" fn calloc<V: Version, const DOMAIN: u32, const FULL: bool>(
    ctx: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    // SAFETY: as in `malloc`. The product cannot overflow when the original succeeds.
    unsafe {
        let original = &*ctx.cast::<Original>();
        allocate::<V, DOMAIN, FULL>(count.wrapping_mul(size), || original.calloc(count, size))
    }
}

/// Runs the original allocator and records what it returns.
#[inline(always)]
unsafe fn allocate<V: Version, const DOMAIN: u32, const FULL: bool>(
    size: usize,
    ask: impl FnOnce() -> *mut c_void,
) -> *mut c_void {
    let thread = thread::current();
    // SAFETY: the thread's own state; nobody else refers to it.
    unsafe {
        if (DOMAIN == RAW && (*thread).in_hook) || !config::tracing() {
            return ask();
        }
        (*thread).in_hook = true;
        let block = ask();
        (*thread).in_hook = false;
        if !block.is_null() {
            record::<V, DOMAIN, FULL>(thread, block as usize, size);
        }
        block
    }
}

unsafe extern "C" fn realloc<V: Version, const DOMAIN: u32, const FULL: bool>(
    ctx: *mut c_void,
    old: *mut c_void,
    size: usize,
) -> *mut c_void {
    // SAFETY: as in `malloc`.
    unsafe {
        let original = &*ctx.cast::<Original>();
        if old.is_null() {
            return allocate::<V, DOMAIN, FULL>(size, || original.realloc(ptr::null_mut(), size));
        }
        let thread = thread::current();
        if (DOMAIN == RAW && (*thread).in_hook) || !config::tracing() {
            return original.realloc(old, size);
        }
        // Cleared first: when the block moves, its old address may be another thread's before the original returns.
        let known = live_map::remove(old as usize);
        (*thread).in_hook = true;
        let block = original.realloc(old, size);
        (*thread).in_hook = false;
        if block.is_null() {
            if let Some(known) = known
                && !live_map::insert(old as usize, known)
            {
                totals::count_loss();
            }
            return block;
        }
        if let Some(known) = known {
            sites::freed(known.site, old as usize, known.size as u64, 1);
        }
        record::<V, DOMAIN, FULL>(thread, block as usize, size);
        block
    }
}

/// The same for all versions and domains: the live map knows what there is to know.
unsafe extern "C" fn free(ctx: *mut c_void, block: *mut c_void) {
    if let Some(known) = live_map::remove(block as usize) {
        sites::freed(known.site, block as usize, known.size as u64, 1);
    }
    // SAFETY: as in `malloc`.
    unsafe { (*ctx.cast::<Original>()).free(block) };
}

/// Records a block that was just allocated.
///
/// # Safety
/// `thread` is the calling thread's state, `DOMAIN` the domain whose hook runs.
#[inline(always)]
unsafe fn record<V: Version, const DOMAIN: u32, const FULL: bool>(
    thread: *mut Thread,
    address: usize,
    size: usize,
) {
    // SAFETY: promised by the caller; the getters return null or the calling thread's live state.
    unsafe {
        let (thread_state, sharing) = event::thread_state::<V, DOMAIN>();
        let path = &mut (*thread).path;
        let site = if FULL {
            let node = path.current::<V>(thread_state, sharing);
            #[cfg(feature = "verify-paths")]
            crate::path::verify::<V>(node, thread_state);
            sites::of(node, DOMAIN, sharing)
        } else {
            path.leaf_site::<V, DOMAIN>(thread_state, sharing)
        };
        if site == 0 || site == sites::EXCLUDED || !live_map::insert(address, Block { site, size })
        {
            if site != sites::EXCLUDED {
                totals::count_loss();
            }
            return;
        }
        sites::allocated(site, address, size as u64, 1);
    }
}
