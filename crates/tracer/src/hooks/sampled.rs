//! Sampled tracing: a Poisson process over the bytes allocated picks the blocks to trace.
//!
//! The distance to the next sample point is exponential with mean `R` bytes. A block of `s` bytes holds a point with probability
//! `p = 1 − exp(−s/R)`; it is then traced with weight `1/p` blocks and `s/p` bytes (Horvitz–Thompson), so every sum over paths is
//! unbiased. The weight depends on the size only, which the block keeps: what is subtracted at its end is what was added at its birth.
//!
//! A malloc costs one subtraction, a free one bit test ([`watch`]).

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use heapsight_cpython::api::{self, PyMemAllocatorEx};
use heapsight_cpython::version::Version;

use crate::config;
use crate::hooks::dispatch;
use crate::interpreter::event::{self, RAW};
use crate::interpreter::original;
use crate::memory::lock::{self, Guarded, Held};
use crate::session::{self, Mode};
use crate::tables::live_map::Block;
use crate::tables::{codes, sites, totals, watch};
use crate::thread::{self, Event, Thread};

/// The domain that code objects are allocated in.
const OBJ: u32 = api::DOMAIN_OBJ as u32;

/// Above this pymalloc asks the raw domain: `SMALL_REQUEST_THRESHOLD` of Objects/obmalloc.c.
const SMALL_REQUEST: usize = 512;

static MEAN_BYTES: AtomicU64 = AtomicU64::new(0);
static STATE: Guarded<State> = Guarded::new(State {
    live: None,
    random: 0,
});

/// To the next sample point among all that is allocated under the GIL, up to 3.11, where there is one for the whole process.
static UNDER_GIL: Countdown = Countdown::new();

/// One stream of allocations with sample points of its own. Whoever counts is alone, so loads and stores do.
pub(crate) struct Countdown {
    /// Bytes to allocate before the next sample point; negative once it was passed.
    left: AtomicI64,
    /// Was `left` drawn? It starts at zero: the first block of the stream starts the process and is looked at again.
    drawn: AtomicBool,
}

impl Countdown {
    pub(crate) const fn new() -> Self {
        Self {
            left: AtomicI64::new(0),
            drawn: AtomicBool::new(false),
        }
    }

    /// Counts a block of `size` bytes unless it holds a sample point.
    #[inline(always)]
    fn passes_over(&self, size: usize) -> bool {
        let left = self.left.load(Ordering::Relaxed) - size as i64;
        if left >= 0 {
            self.left.store(left, Ordering::Relaxed);
        }
        left >= 0
    }

    /// Counts a block of `size` bytes; does it hold a sample point?
    fn reaches(&self, size: usize) -> bool {
        let left = self.left.load(Ordering::Relaxed) - size as i64;
        self.left.store(left, Ordering::Relaxed);
        left < 0
    }

    /// The block of `size` bytes counted last seems to hold a sample point: draws the next one. False when it held none after all.
    fn draw(&self, size: usize) -> bool {
        let mut holds = true;
        if !self.drawn.swap(true, Ordering::Relaxed) {
            let left = next_distance() - size as i64;
            self.left.store(left, Ordering::Relaxed);
            holds = left < 0;
        }
        if holds {
            self.left.store(next_distance(), Ordering::Relaxed);
        }
        holds
    }

    fn reset(&self) {
        self.left.store(0, Ordering::Relaxed);
        self.drawn.store(false, Ordering::Relaxed);
    }
}

/// Is there one countdown for all threads? It is quicker to find than the thread's own.
const fn shares_countdown<V: Version, const DOMAIN: u32>() -> bool {
    DOMAIN != RAW && V::MINOR < 12
}

struct State {
    /// The sampled blocks that live, by address.
    live: Option<HashMap<usize, Block>>,
    random: u64,
}

/// Gets ready for `config`, from a state without sampled blocks.
pub(crate) fn prepare(config: &config::Config) {
    let mut held = lock::hold();
    forget_all(&mut held);
    UNDER_GIL.reset();
    MEAN_BYTES.store(config.sample_bytes.unwrap_or(0), Ordering::Relaxed);
    let mut seed = 0_u64;
    // SAFETY: writes at most eight bytes to `seed`. A failure leaves the seed zero, which `next_random` copes with.
    unsafe {
        libc::getrandom(
            (&raw mut seed).cast(),
            size_of::<u64>(),
            libc::GRND_NONBLOCK,
        )
    };
    STATE.get(&mut held).random = seed;
}

/// Forgets every sampled block.
pub(crate) fn forget_all(held: &mut Held) {
    for address in STATE.get(held).live.take().unwrap_or_default().into_keys() {
        watch::remove(held, address);
    }
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
    // SAFETY: CPython calls a hook of `DOMAIN` with the `ctx` that it was installed with, and keeps the domain's rules on
    // the GIL.
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
        if passes_over::<V, DOMAIN>(size) {
            return original::malloc::<DOMAIN>(ctx, size);
        }
        malloc_slowly::<V, DOMAIN, FULL>(ctx, size)
    }
}

/// Apart, with the same arguments, and unable to unwind: the hook needs no stack frame and jumps to either way on.
#[cold]
#[inline(never)]
unsafe extern "C" fn malloc_slowly<V: Version, const DOMAIN: u32, const FULL: bool>(
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
        if passes_over::<V, DOMAIN>(count.wrapping_mul(size)) {
            return original::calloc::<DOMAIN>(ctx, count, size);
        }
        calloc_slowly::<V, DOMAIN, FULL>(ctx, count, size)
    }
}

#[cold]
#[inline(never)]
unsafe extern "C" fn calloc_slowly<V: Version, const DOMAIN: u32, const FULL: bool>(
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
    // SAFETY: promised by the caller.
    unsafe {
        let ask = || original::realloc::<DOMAIN>(ctx, old, size);
        let known = if old.is_null() {
            None
        } else {
            remove(old as usize)
        };
        let block = if passes_over::<V, DOMAIN>(size) {
            ask()
        } else {
            allocate_slowly::<V, DOMAIN, FULL>(size, ask)
        };
        if let Some(known) = known {
            if block.is_null() {
                keep(&mut lock::hold(), old as usize, known);
            } else {
                count_end(old as usize, known);
            }
        }
        block
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
    let thread = thread::current();
    // SAFETY: promised by the caller; the thread's own state or null.
    if let Some(_event) = unsafe { Event::begin::<V, DOMAIN>(thread) }
        && let Some(known) = remove_sampled(address)
    {
        count_end(address, known);
    }
}

/// Counts a block of `size` bytes if there is nothing else to do for it: it holds no sample point, and what the original allocator asks of
/// the raw domain for it, if anything, is not counted twice.
///
/// The caller asks the original then, as its last act: that is a jump, not a call. What is counted here may still fail:
/// the sample points that fall on a failure are lost, which favours nobody.
#[inline(always)]
unsafe fn passes_over<V: Version, const DOMAIN: u32>(size: usize) -> bool {
    if DOMAIN != RAW && size > SMALL_REQUEST {
        return false;
    }
    if shares_countdown::<V, DOMAIN>() {
        return UNDER_GIL.passes_over(size);
    }
    // SAFETY: the thread's own state, if it has one; nobody else changes it.
    unsafe { thread::existing().as_ref() }.is_some_and(|thread| {
        (DOMAIN == RAW && thread.in_hook) || thread.countdown.passes_over(size)
    })
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
    // SAFETY: the thread's own state; its fields are reached one by one, so that no two references overlap.
    unsafe {
        let countdown = if shares_countdown::<V, DOMAIN>() {
            &UNDER_GIL
        } else {
            &(*thread).countdown
        };
        let reaches = countdown.reaches(size);
        let was_in_hook = std::mem::replace(&mut (*thread).in_hook, true);
        let block = ask();
        (*thread).in_hook = was_in_hook;
        if reaches && !block.is_null() && countdown.draw(size) {
            sample::<V, DOMAIN, FULL>(thread, block as usize, size);
        }
        block
    }
}

/// The block holds a sample point.
///
/// # Safety
/// `thread` is the calling thread's state, `DOMAIN` the domain whose hook runs.
#[cold]
#[inline(never)]
unsafe fn sample<V: Version, const DOMAIN: u32, const FULL: bool>(
    thread: *mut Thread,
    address: usize,
    size: usize,
) {
    // SAFETY: promised by the caller; as in `hooks::record`.
    unsafe {
        let (thread_state, sharing) = event::thread_state::<V, DOMAIN>((*thread).path.attached());
        let Some(_event) = Event::of_sharing(thread, sharing) else {
            return;
        };
        let path = &raw mut (*thread).path;
        let node = if FULL {
            (*path).current::<V>(thread_state, sharing)
        } else {
            (*path).current_leaf::<V>(thread_state, sharing)
        };
        let site = sites::of(node, DOMAIN, sharing);
        if site == 0 || site == sites::EXCLUDED {
            if site == 0 {
                totals::count_loss();
            }
            return;
        }
        let block = Block { site, size };
        keep(&mut lock::hold(), address, block);
        let (bytes, blocks) = weight(size);
        sites::allocated(site, address, bytes, blocks);
    }
}

/// What a sampled block of `size` bytes stands for: (bytes, blocks).
pub(crate) fn weight(size: usize) -> (u64, u64) {
    let mean = MEAN_BYTES.load(Ordering::Relaxed).max(1) as f64;
    let size = size as f64;
    let probability = -(-size / mean).exp_m1();
    (
        (size / probability).round() as u64,
        (1.0 / probability).round() as u64,
    )
}

fn next_distance() -> i64 {
    let mean = MEAN_BYTES.load(Ordering::Relaxed) as f64;
    let random = next_random(&mut STATE.get(&mut lock::hold()).random);
    // 53 random bits in (0, 1].
    let uniform = ((random >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    (-uniform.ln() * mean) as i64
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn keep(held: &mut Held, address: usize, block: Block) {
    watch::add(held, address);
    STATE
        .get(held)
        .live
        .get_or_insert_default()
        .insert(address, block);
}

#[inline(always)]
fn remove(address: usize) -> Option<Block> {
    if watch::may_hold(address) {
        remove_sampled(address)
    } else {
        None
    }
}

#[cold]
#[inline(never)]
fn remove_sampled(address: usize) -> Option<Block> {
    let mut held = lock::hold();
    let block = STATE.get(&mut held).live.as_mut()?.remove(&address)?;
    watch::remove(&mut held, address);
    Some(block)
}

fn count_end(address: usize, block: Block) {
    let (bytes, blocks) = weight(block.size);
    sites::freed(block.site, address, bytes, blocks);
}

/// The sampled block at `address`.
pub(crate) fn live_block(held: &mut Held, address: usize) -> Option<Block> {
    STATE.get(held).live.as_ref()?.get(&address).copied()
}

/// The sampled blocks that live.
pub(crate) fn live_blocks(held: &mut Held) -> Vec<(usize, Block)> {
    STATE
        .get(held)
        .live
        .iter()
        .flatten()
        .map(|(&address, &block)| (address, block))
        .collect()
}

/// Bytes held outside the mapped tables.
pub(crate) fn heap_bytes(held: &mut Held) -> u64 {
    STATE.get(held).live.as_ref().map_or(0, |live| {
        (live.capacity() * 8 / 7 * (size_of::<(usize, Block)>() + 1)) as u64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_much_smaller_than_the_mean_stands_for_the_mean() {
        MEAN_BYTES.store(524_288, Ordering::Relaxed);
        let (bytes, blocks) = weight(64);
        assert_eq!(bytes, 524_320);
        assert_eq!(blocks, 8193);
        assert_eq!(weight(1 << 30), (1 << 30, 1));
    }
}
