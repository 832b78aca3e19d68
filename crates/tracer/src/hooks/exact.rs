//! The hooks that record every block. One set of functions for each interpreter version, domain and depth.
//!
//! No panic, no Python allocation, no GIL and no call into CPython but the original allocator and the getters of the
//! thread state. Only the outermost call counts: what pymalloc asks of the raw domain for a large block is that block.

use std::ffi::c_void;

use heapsight_cpython::api::{self, PyMemAllocatorEx};
use heapsight_cpython::version::Version;

use crate::hooks::dispatch;
use crate::interpreter::event::{self, RAW};
use crate::interpreter::original;
use crate::session::{self, Mode};
use crate::tables::live_map::{self, Block};
use crate::tables::{codes, sites, totals, watch};
use crate::thread::{self, Event, Thread};

const MEM: u32 = api::DOMAIN_MEM as u32;

/// The domain that code objects are allocated in.
const OBJ: u32 = api::DOMAIN_OBJ as u32;

/// No code object is smaller: 3.9's takes 176 bytes, and later ones hold their instructions as well.
const LEAST_CODE_BYTES: usize = 128;

/// The mode that these hooks are made for.
const fn own_mode(full: bool) -> Mode {
    if full {
        Mode::EXACT_PATHS
    } else {
        Mode::EXACT_FRAME
    }
}

/// The hooks of `DOMAIN`, for an allocator below them with that `ctx`. `FULL` records whole call paths, else the
/// running frame only.
pub(crate) fn allocator<V: Version, const DOMAIN: u32, const FULL: bool>(
    ctx: *mut c_void,
) -> PyMemAllocatorEx {
    PyMemAllocatorEx {
        ctx,
        malloc: Some(malloc::<V, DOMAIN, FULL>),
        calloc: Some(calloc::<V, DOMAIN, FULL>),
        realloc: Some(realloc::<V, DOMAIN, FULL>),
        free: Some(free::<V, DOMAIN>),
    }
}

unsafe extern "C" fn malloc<V: Version, const DOMAIN: u32, const FULL: bool>(
    ctx: *mut c_void,
    size: usize,
) -> *mut c_void {
    // SAFETY: CPython calls a hook of `DOMAIN` with the `ctx` that it was installed with, and keeps the domain's rules
    // on the GIL.
    unsafe {
        if session::mode() != const { own_mode(FULL) } {
            return dispatch::malloc::<V, DOMAIN>(ctx, size);
        }
        record_malloc::<DOMAIN>(ctx, size, |thread, address, size| {
            record_often::<V, DOMAIN, FULL>(thread, address, size);
        })
    }
}

/// What the hook does in its mode. `record` is told of the block.
///
/// # Safety
/// As a hook of `DOMAIN`.
#[inline(always)]
pub(crate) unsafe fn record_malloc<const DOMAIN: u32>(
    ctx: *mut c_void,
    size: usize,
    record: impl FnOnce(*mut Thread, usize, usize),
) -> *mut c_void {
    // SAFETY: promised by the caller.
    unsafe { allocate::<DOMAIN>(size, || original::malloc::<DOMAIN>(ctx, size), record) }
}

unsafe extern "C" fn calloc<V: Version, const DOMAIN: u32, const FULL: bool>(
    ctx: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    // SAFETY: as in `malloc`.
    unsafe {
        if session::mode() != const { own_mode(FULL) } {
            return dispatch::calloc::<V, DOMAIN>(ctx, count, size);
        }
        record_calloc::<DOMAIN>(ctx, count, size, |thread, address, size| {
            // Lists are made with blocks of the mem domain that are asked for so. Of the obj domain they are rare.
            if DOMAIN == MEM {
                record::<V, FULL>(DOMAIN, thread, address, size);
            } else {
                record_apart::<V, FULL>(DOMAIN, thread, address, size);
            }
        })
    }
}

/// As [`record_malloc`].
///
/// # Safety
/// As a hook of `DOMAIN`.
#[inline(always)]
pub(crate) unsafe fn record_calloc<const DOMAIN: u32>(
    ctx: *mut c_void,
    count: usize,
    size: usize,
    record: impl FnOnce(*mut Thread, usize, usize),
) -> *mut c_void {
    // The product cannot overflow when the original succeeds.
    let bytes = count.wrapping_mul(size);
    // SAFETY: promised by the caller.
    unsafe {
        allocate::<DOMAIN>(
            bytes,
            || original::calloc::<DOMAIN>(ctx, count, size),
            record,
        )
    }
}

/// Runs the original allocator and records what it returns.
#[inline(always)]
unsafe fn allocate<const DOMAIN: u32>(
    size: usize,
    ask: impl FnOnce() -> *mut c_void,
    record: impl FnOnce(*mut Thread, usize, usize),
) -> *mut c_void {
    let thread = thread::current();
    if thread.is_null() {
        totals::count_loss();
        return ask();
    }
    // SAFETY: the thread's own state; its fields are reached one by one, so that no two references overlap.
    unsafe {
        if DOMAIN == RAW && (*thread).in_hook {
            return ask();
        }
        (*thread).in_hook = true;
        let block = ask();
        if !block.is_null() {
            record(thread, block as usize, size);
        }
        // Not before: a signal handler that calls `malloc` may interrupt what records the block.
        (*thread).in_hook = false;
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
        if session::mode() != const { own_mode(FULL) } {
            return dispatch::realloc::<V, DOMAIN>(ctx, old, size);
        }
        record_realloc::<V, DOMAIN>(ctx, old, size, |thread, address, size| {
            record_often::<V, DOMAIN, FULL>(thread, address, size);
        })
    }
}

/// As [`record_malloc`].
///
/// # Safety
/// As a hook of `DOMAIN`.
#[inline(always)]
pub(crate) unsafe fn record_realloc<V: Version, const DOMAIN: u32>(
    ctx: *mut c_void,
    old: *mut c_void,
    size: usize,
    record: impl FnOnce(*mut Thread, usize, usize),
) -> *mut c_void {
    // SAFETY: promised by the caller; the thread's own state, reached field by field.
    unsafe {
        let ask = || original::realloc::<DOMAIN>(ctx, old, size);
        let thread = thread::current();
        if thread.is_null() {
            totals::count_loss();
            return ask();
        }
        if DOMAIN == RAW && (*thread).in_hook {
            return ask();
        }
        reallocate::<V, DOMAIN>(thread, old as usize, size, ask, record)
    }
}

/// Reallocates the block at `old` by `ask`. At null there is none, and nothing is known of it: then a block is made.
///
/// # Safety
/// `thread` is the calling thread's state, `DOMAIN` the domain whose hook runs.
#[inline(always)]
pub(crate) unsafe fn reallocate<V: Version, const DOMAIN: u32>(
    thread: *mut Thread,
    old: usize,
    size: usize,
    ask: impl FnOnce() -> *mut c_void,
    record: impl FnOnce(*mut Thread, usize, usize),
) -> *mut c_void {
    // SAFETY: promised by the caller; the thread's own state, reached field by field.
    unsafe {
        // Ended first: when the block moves, its old address may be another thread's before the original returns.
        let ended = end_for_realloc::<V, DOMAIN>(thread, old);
        (*thread).in_hook = true;
        let block = ask();
        if !block.is_null() {
            record(thread, block as usize, size);
        } else if !ended.block.is_nothing() && !event::frees::<DOMAIN>(size) {
            restore_block::<V, DOMAIN>(thread, old, &ended);
        }
        (*thread).in_hook = false;
        block
    }
}

/// A block that a reallocation has ended, and may have to bring back.
struct Ended {
    block: Block,
    was_temporary: bool,
    generation: u32,
}

#[inline(always)]
unsafe fn end_for_realloc<V: Version, const DOMAIN: u32>(
    thread: *mut Thread,
    address: usize,
) -> Ended {
    let mut ended = Ended {
        block: Block::NOTHING,
        was_temporary: false,
        generation: 0,
    };
    // SAFETY: promised by the caller.
    unsafe {
        if live_map::is_known(address)
            && let Some(_event) = Event::begin::<V, DOMAIN>(thread)
        {
            let block = live_map::take(address);
            if !block.is_nothing() {
                ended.block = block;
                ended.was_temporary = sites::freed(block.site, address, block.size as u64, 1);
                ended.generation = session::generation();
            }
        }
    }
    ended
}

/// The reallocation failed: the block is as it was, unless everything was forgotten meanwhile.
#[cold]
#[inline(never)]
unsafe fn restore_block<V: Version, const DOMAIN: u32>(
    thread: *mut Thread,
    address: usize,
    ended: &Ended,
) {
    let Block { site, size } = ended.block;
    // SAFETY: promised by the caller.
    let Some(_event) = (unsafe { Event::begin::<V, DOMAIN>(thread) }) else {
        return;
    };
    if session::generation() != ended.generation {
        return;
    }
    if live_map::insert(address, ended.block) {
        sites::undo_freed(site, address, size as u64, 1, ended.was_temporary);
    } else {
        totals::count_loss();
    }
}

/// The same for both depths: the live map knows what there is to know.
unsafe extern "C" fn free<V: Version, const DOMAIN: u32>(ctx: *mut c_void, block: *mut c_void) {
    // SAFETY: as in `malloc`.
    unsafe {
        if !session::mode().is_exact() {
            return dispatch::free::<V, DOMAIN>(ctx, block);
        }
        forget_block::<V, DOMAIN>(block as usize);
        original::free::<DOMAIN>(ctx, block);
    }
}

/// The block at `address` is about to be freed.
///
/// # Safety
/// As a hook of `DOMAIN`.
#[inline(always)]
pub(crate) unsafe fn forget_block<V: Version, const DOMAIN: u32>(address: usize) {
    // SAFETY: promised by the caller.
    let block = if DOMAIN != RAW && !unsafe { event::may_run_beside_others::<V>() } {
        let known = live_map::take(address);
        if !known.is_nothing() {
            sites::freed(known.site, address, known.size as u64, 1);
        }
        known
    } else if live_map::is_known(address) {
        // SAFETY: promised by the caller.
        unsafe { forget_shared::<V, DOMAIN>(address) }
    } else {
        Block::NOTHING
    };
    // A code object may be older than tracing: then nothing is known of its block.
    if DOMAIN == OBJ
        && (block.is_nothing() || block.size >= LEAST_CODE_BYTES)
        && watch::may_hold(address)
    {
        codes::ended(address);
    }
}

#[inline(never)]
unsafe fn forget_shared<V: Version, const DOMAIN: u32>(address: usize) -> Block {
    let thread = thread::current();
    // SAFETY: promised by the caller; the thread's own state or null.
    let Some(_event) = (unsafe { Event::begin::<V, DOMAIN>(thread) }) else {
        return Block::NOTHING;
    };
    let known = live_map::take(address);
    if !known.is_nothing() {
        sites::freed(known.site, address, known.size as u64, 1);
    }
    known
}

/// Records a block that was just allocated.
///
/// # Safety
/// `thread` is the calling thread's state, `domain` the domain whose hook runs.
#[inline(always)]
unsafe fn record<V: Version, const FULL: bool>(
    domain: u32,
    thread: *mut Thread,
    address: usize,
    size: usize,
) {
    // SAFETY: promised by the caller; the getters return null or the calling thread's live state. The path cache is the
    // only field of the thread's state that is borrowed, and only while it is asked.
    unsafe {
        let (thread_state, sharing) =
            event::thread_state_in::<V>(domain, (*thread).path.attached());
        let Some(_event) = Event::of_sharing(thread, sharing) else {
            return;
        };
        let path = &raw mut (*thread).path;
        let site = if FULL {
            let node = (*path).current::<V>(thread_state, sharing);
            #[cfg(feature = "verify-paths")]
            crate::path::verify::<V>(node, thread_state);
            sites::of(node, domain, sharing)
        } else {
            (*path).leaf_site::<V>(thread_state, sharing, domain)
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

/// The same for hooks that most blocks come through: in each of them, without a call. The raw domain's do not: what
/// pymalloc asks of it is part of another block.
///
/// # Safety
/// As [`record`].
#[inline(always)]
unsafe fn record_often<V: Version, const DOMAIN: u32, const FULL: bool>(
    thread: *mut Thread,
    address: usize,
    size: usize,
) {
    // SAFETY: promised by the caller.
    unsafe {
        if DOMAIN == RAW {
            record_apart::<V, FULL>(DOMAIN, thread, address, size);
        } else {
            record::<V, FULL>(DOMAIN, thread, address, size);
        }
    }
}

/// The same once for all other hooks, which would be half a megabyte with a copy each.
///
/// # Safety
/// As [`record`].
#[inline(never)]
pub(crate) unsafe fn record_apart<V: Version, const FULL: bool>(
    domain: u32,
    thread: *mut Thread,
    address: usize,
    size: usize,
) {
    // SAFETY: promised by the caller.
    unsafe { record::<V, FULL>(domain, thread, address, size) }
}
