//! Sampled tracing: a Poisson process over the bytes allocated picks the blocks to trace ([`crate::countdown`]).
//!
//! A block that is sampled with probability `p` is traced with weight `1/p` blocks and `s/p` bytes (Horvitz–Thompson),
//! so every sum over paths is unbiased. [`sampled_blocks`] keeps the weight with the block: what is subtracted at its
//! end is what was added at its birth.
//!
//! A malloc costs one addition, a free one bit test ([`watch`]). What fails has no part: a failed allocation is none,
//! and after a failed reallocation the old block lives on.

use std::ffi::c_void;

use heapsight_cpython::api::{self, PyMemAllocatorEx};
use heapsight_cpython::version::Version;

use crate::config;
use crate::countdown::{self, Countdown, Weight};
use crate::hooks::dispatch;
use crate::interpreter::event::{self, RAW, Sharing};
use crate::interpreter::original;
use crate::memory::lock;
use crate::session::{self, Mode};
use crate::tables::live_map::Block;
use crate::tables::{codes, sampled_blocks, sites, totals, watch};
use crate::thread::{self, Event, Thread};

/// The domain that code objects are allocated in.
const OBJ: u32 = api::DOMAIN_OBJ as u32;

/// Above this pymalloc asks the raw domain: `SMALL_REQUEST_THRESHOLD` of Objects/obmalloc.c, less the 32 bytes that the
/// interpreter's debug allocator adds to each block before it asks pymalloc. It also asks for blocks of no bytes.
const SMALL_REQUEST: usize = 512 - 32;

/// The stream of all that is allocated under the GIL, up to 3.11, where there is one for the whole process.
static UNDER_GIL: Countdown = Countdown::new();

/// Is there one countdown for all threads? It is quicker to find than the thread's own.
const fn shares_countdown<V: Version, const DOMAIN: u32>() -> bool {
    !event::needs_no_gil(DOMAIN) && V::OFFSETS.one_gil
}

/// Gets ready for `config`, from a state without sampled blocks.
pub(crate) fn prepare(config: &config::Config) {
    sampled_blocks::forget_all(&mut lock::hold());
    countdown::begin(config.sample_bytes.unwrap_or(0));
}

/// Call this in the child of a fork.
pub(crate) fn after_fork_in_child() {
    countdown::begin_in_child();
}

/// The mode that these hooks are made for.
const fn own_mode(full: bool) -> Mode {
    if full {
        Mode::SAMPLED_PATHS
    } else {
        Mode::SAMPLED_FRAME
    }
}

/// The hooks of `DOMAIN` for sampled tracing, for an allocator below them with that `ctx`.
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
        record_malloc::<V, DOMAIN, FULL>(ctx, size)
    }
}

/// # Safety
/// As a hook of `DOMAIN`.
#[inline(always)]
pub(crate) unsafe fn record_malloc<V: Version, const DOMAIN: u32, const FULL: bool>(
    ctx: *mut c_void,
    size: usize,
) -> *mut c_void {
    // SAFETY: promised by the caller.
    unsafe {
        if skips::<V, DOMAIN>(size) {
            return original::malloc::<DOMAIN>(ctx, size);
        }
        malloc_slowly::<V, DOMAIN, FULL>(ctx, size)
    }
}

/// Apart, with the same arguments, and unable to unwind: the hook needs no stack frame and jumps to either way on.
#[cold]
#[inline(never)]
pub(crate) unsafe extern "C" fn malloc_slowly<V: Version, const DOMAIN: u32, const FULL: bool>(
    ctx: *mut c_void,
    size: usize,
) -> *mut c_void {
    // SAFETY: as in `malloc`.
    unsafe { allocate_slowly::<V, DOMAIN, FULL>(size, || original::malloc::<DOMAIN>(ctx, size)) }
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
        record_calloc::<V, DOMAIN, FULL>(ctx, count, size)
    }
}

/// # Safety
/// As a hook of `DOMAIN`.
#[inline(always)]
pub(crate) unsafe fn record_calloc<V: Version, const DOMAIN: u32, const FULL: bool>(
    ctx: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    // SAFETY: promised by the caller.
    unsafe {
        if skips::<V, DOMAIN>(count.wrapping_mul(size)) {
            return original::calloc::<DOMAIN>(ctx, count, size);
        }
        calloc_slowly::<V, DOMAIN, FULL>(ctx, count, size)
    }
}

#[cold]
#[inline(never)]
pub(crate) unsafe extern "C" fn calloc_slowly<V: Version, const DOMAIN: u32, const FULL: bool>(
    ctx: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    let bytes = count.wrapping_mul(size);
    // SAFETY: as in `malloc`.
    unsafe {
        allocate_slowly::<V, DOMAIN, FULL>(bytes, || original::calloc::<DOMAIN>(ctx, count, size))
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
        record_realloc::<V, DOMAIN, FULL>(ctx, old, size)
    }
}

/// # Safety
/// As a hook of `DOMAIN`.
pub(crate) unsafe fn record_realloc<V: Version, const DOMAIN: u32, const FULL: bool>(
    ctx: *mut c_void,
    old: *mut c_void,
    size: usize,
) -> *mut c_void {
    // SAFETY: promised by the caller; the thread's own state.
    unsafe {
        let ask = || original::realloc::<DOMAIN>(ctx, old, size);
        if old.is_null() {
            return if skips::<V, DOMAIN>(size) {
                ask()
            } else {
                allocate_slowly::<V, DOMAIN, FULL>(size, ask)
            };
        }
        let thread = thread::current();
        if thread.is_null() {
            totals::count_loss();
            return ask();
        }
        if is_part_of_another::<DOMAIN>(thread) {
            return ask();
        }
        reallocate::<V, DOMAIN, FULL>(thread, old as usize, size, ask)
    }
}

/// The same, and what the original allocator asks for a new block is marked as part of it.
///
/// # Safety
/// As a hook of `DOMAIN`.
pub(crate) unsafe fn realloc_slowly<V: Version, const DOMAIN: u32, const FULL: bool>(
    ctx: *mut c_void,
    old: *mut c_void,
    size: usize,
) -> *mut c_void {
    // SAFETY: promised by the caller.
    unsafe {
        if old.is_null() {
            let ask = || original::realloc::<DOMAIN>(ctx, old, size);
            return allocate_slowly::<V, DOMAIN, FULL>(size, ask);
        }
        record_realloc::<V, DOMAIN, FULL>(ctx, old, size)
    }
}

/// Reallocates the block at `old`, which is not null, by `ask`.
///
/// # Safety
/// `thread` is the calling thread's state, `DOMAIN` the domain whose hook runs.
pub(crate) unsafe fn reallocate<V: Version, const DOMAIN: u32, const FULL: bool>(
    thread: *mut Thread,
    old: usize,
    size: usize,
    ask: impl FnOnce() -> *mut c_void,
) -> *mut c_void {
    // SAFETY: promised by the caller.
    unsafe {
        // Ended first: when the block moves, its old address may be another thread's before the original returns. So
        // the two never count at once, as they do not in the exact mode.
        let generation = session::generation();
        let ended = if watch::may_hold(old) {
            end::<V, DOMAIN>(thread, old)
        } else {
            None
        };
        let block = ask_alone(thread, ask);
        if let Some(ended) = ended
            && block.is_null()
            && !event::frees::<DOMAIN>(size)
            && let Some(_event) = Event::begin::<V, DOMAIN>(thread)
            && session::generation() == generation
        {
            sampled_blocks::restore_block(old, ended);
        }
        count_new::<V, DOMAIN, FULL>(thread, block, size);
        block
    }
}

/// Counts the end of the block at `address`, if a sampled one is there.
///
/// # Safety
/// As a hook of `DOMAIN`; `thread` is the calling thread's state, or null.
#[cold]
#[inline(never)]
unsafe fn end<V: Version, const DOMAIN: u32>(
    thread: *mut Thread,
    address: usize,
) -> Option<sampled_blocks::Ended> {
    // SAFETY: promised by the caller.
    unsafe {
        let is_temporary = is_temporary(thread, address);
        let _event = Event::begin::<V, DOMAIN>(thread)?;
        sampled_blocks::end(address, is_temporary)
    }
}

unsafe extern "C" fn free<V: Version, const DOMAIN: u32>(ctx: *mut c_void, block: *mut c_void) {
    // SAFETY: as in `malloc`.
    unsafe {
        if !session::mode().is_sampled() {
            return dispatch::free::<V, DOMAIN>(ctx, block);
        }
        if watch::may_hold(block as usize) {
            return free_slowly::<V, DOMAIN>(ctx, block);
        }
        original::free::<DOMAIN>(ctx, block);
    }
}

/// Apart, as [`malloc_slowly`].
#[cold]
#[inline(never)]
unsafe extern "C" fn free_slowly<V: Version, const DOMAIN: u32>(
    ctx: *mut c_void,
    block: *mut c_void,
) {
    // SAFETY: promised by the caller (`free`).
    unsafe {
        forget_block::<V, DOMAIN>(block as usize);
        original::free::<DOMAIN>(ctx, block);
    }
}

/// The block at `address` is about to be freed.
///
/// # Safety
/// As a hook of `DOMAIN`.
pub(crate) unsafe fn forget_block<V: Version, const DOMAIN: u32>(address: usize) {
    if !watch::may_hold(address) {
        return;
    }
    if DOMAIN == OBJ {
        codes::ended(address);
    }
    // SAFETY: promised by the caller; the thread's own state or null.
    unsafe { end::<V, DOMAIN>(thread::current(), address) };
}

/// Counts a block of `size` bytes if there is nothing else to do for it: it holds no sample point, and what the
/// original allocator asks of the raw domain for it, if anything, is not counted twice.
///
/// The caller asks the original then, as its last act: that is a jump, not a call. What is counted here may still fail:
/// that makes the way to the next sample point no longer, for an exponential distribution has no memory.
#[inline(always)]
unsafe fn skips<V: Version, const DOMAIN: u32>(size: usize) -> bool {
    if DOMAIN != RAW && size.wrapping_sub(1) >= SMALL_REQUEST {
        return false;
    }
    if shares_countdown::<V, DOMAIN>() {
        return UNDER_GIL.skips(size);
    }
    // SAFETY: the thread's own state, if it has one; nobody else changes it.
    unsafe { thread::existing().as_ref() }
        .is_some_and(|thread| (DOMAIN == RAW && thread.in_hook) || thread.countdown.skips(size))
}

#[cold]
#[inline(never)]
unsafe fn allocate_slowly<V: Version, const DOMAIN: u32, const FULL: bool>(
    size: usize,
    ask: impl FnOnce() -> *mut c_void,
) -> *mut c_void {
    let thread = thread::current();
    if thread.is_null() {
        totals::count_loss();
        return ask();
    }
    // SAFETY: the thread's own state.
    unsafe {
        if is_part_of_another::<DOMAIN>(thread) {
            return ask();
        }
        let block = ask_alone(thread, ask);
        count_new::<V, DOMAIN, FULL>(thread, block, size);
        block
    }
}

/// Does the original allocator of another domain ask, for a block that is counted there?
///
/// # Safety
/// `thread` is the calling thread's state.
#[inline(always)]
unsafe fn is_part_of_another<const DOMAIN: u32>(thread: *const Thread) -> bool {
    // SAFETY: promised by the caller.
    DOMAIN == RAW && unsafe { (*thread).in_hook }
}

/// Runs the original allocator so that what it asks of the raw domain is not counted.
///
/// # Safety
/// `thread` is the calling thread's state.
#[inline(always)]
unsafe fn ask_alone(thread: *mut Thread, ask: impl FnOnce() -> *mut c_void) -> *mut c_void {
    // SAFETY: promised by the caller; reached field by field, so that no reference is held while the original runs.
    unsafe {
        let was_in_hook = std::mem::replace(&mut (*thread).in_hook, true);
        let block = ask();
        (*thread).in_hook = was_in_hook;
        block
    }
}

/// Counts what the original allocator returned for `size` bytes, and traces it if it holds a sample point.
///
/// # Safety
/// `thread` is the calling thread's state, `DOMAIN` the domain whose hook runs.
#[inline(always)]
pub(crate) unsafe fn count_new<V: Version, const DOMAIN: u32, const FULL: bool>(
    thread: *mut Thread,
    block: *mut c_void,
    size: usize,
) {
    if block.is_null() {
        return;
    }
    // SAFETY: promised by the caller.
    unsafe {
        let countdown = if shares_countdown::<V, DOMAIN>() {
            &UNDER_GIL
        } else {
            &(*thread).countdown
        };
        if !countdown.skips(size)
            && let Some(weight) = countdown.count(size)
        {
            sample::<V, FULL>(DOMAIN, thread, block as usize, size, weight);
        }
    }
}

/// The block holds a sample point.
///
/// # Safety
/// `thread` is the calling thread's state, `domain` the domain whose hook runs.
#[cold]
#[inline(never)]
unsafe fn sample<V: Version, const FULL: bool>(
    domain: u32,
    thread: *mut Thread,
    address: usize,
    size: usize,
    weight: Weight,
) {
    // SAFETY: promised by the caller; as in `exact::record`.
    unsafe {
        let (thread_state, sharing) =
            event::thread_state_in::<V>(domain, (*thread).path.attached());
        let Some(_event) = Event::of_sharing(thread, sharing) else {
            return;
        };
        // A signal handler that calls `malloc` may interrupt this.
        let was_in_hook = std::mem::replace(&mut (*thread).in_hook, true);
        let path = &raw mut (*thread).path;
        let node = (*path).current_apart::<V, FULL>(thread_state, sharing);
        // Counted under the table lock: its holder is alone, as elsewhere whoever has the GIL.
        let site = sites::of(node, domain, Sharing::Gil);
        if site == 0 {
            totals::count_loss();
        }
        if site != 0 && site != sites::EXCLUDED {
            sampled_blocks::begin(address, Block { site, size }, weight);
        }
        (*thread).last_sampled = (address, stamp(thread));
        (*thread).in_hook = was_in_hook;
    }
}

/// Was nothing allocated since this thread sampled the block at `address`?
///
/// # Safety
/// `thread` is the calling thread's state, or null.
unsafe fn is_temporary(thread: *const Thread, address: usize) -> bool {
    // SAFETY: promised by the caller.
    unsafe { !thread.is_null() && (*thread).last_sampled == (address, stamp(thread)) }
}

/// Changes with every allocation of the thread.
///
/// # Safety
/// `thread` is the calling thread's state.
unsafe fn stamp(thread: *const Thread) -> i64 {
    // SAFETY: promised by the caller.
    let own = unsafe { (*thread).countdown.stamp() };
    own.wrapping_add(UNDER_GIL.stamp())
}
