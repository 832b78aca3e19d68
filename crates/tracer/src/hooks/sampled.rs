//! Sampled tracing: a Poisson process over the bytes allocated picks the blocks to trace.
//!
//! The distance to the next sample point is exponential with mean `R` bytes. A block of `s` bytes holds a point with probability
//! `p = 1 − exp(−s/R)`; it is then traced with weight `1/p` blocks and `s/p` bytes (Horvitz–Thompson), so every sum over paths is
//! unbiased. The weight depends on the size only, which the block keeps: what is subtracted at its end is what was added at its birth.
//!
//! A malloc costs one subtraction, a free one bit test: a bit of a filter is set as long as a sampled block lives at one of the
//! addresses, 8 MiB apart, that the bit stands for.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use heapsight_cpython::api::{self, PyMemAllocatorEx};
use heapsight_cpython::version::Version;

use crate::config;
use crate::interpreter::event;
use crate::interpreter::original::{self, Original};
use crate::memory::lock::{self, Guarded, Held};
use crate::tables::live_map::Block;
use crate::tables::{sites, totals};
use crate::thread::{self, Thread};

const RAW: u32 = api::DOMAIN_RAW as u32;

/// Above this pymalloc asks the raw domain: `SMALL_REQUEST_THRESHOLD` of Objects/obmalloc.c.
const SMALL_REQUEST: usize = 512;

/// log2 of the filter's bits: 64 KiB, a few per cent full with 20,000 sampled blocks alive.
const FILTER_BITS: u32 = 19;
const FILTER_WORDS: usize = 1 << (FILTER_BITS - 6);

static FILTER: [AtomicU64; FILTER_WORDS] = [const { AtomicU64::new(0) }; FILTER_WORDS];
static MEAN_BYTES: AtomicU64 = AtomicU64::new(0);
/// Sampled blocks behind each bit; 255 stands for "many", such a bit stays set.
static COUNTS: Guarded<[u8; 1 << FILTER_BITS]> = Guarded::new([0; 1 << FILTER_BITS]);
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
    STATE.get(held).live = None;
    COUNTS.get(held).fill(0);
    for word in &FILTER {
        word.store(0, Ordering::Relaxed);
    }
}

/// The hooks of `DOMAIN` for sampled tracing.
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
        if passes_over::<V, DOMAIN>(size) {
            return (*ctx.cast::<Original>()).malloc(size);
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
    unsafe {
        let original = &*ctx.cast::<Original>();
        allocate_slowly::<V, DOMAIN, FULL>(size, || original.malloc(size))
    }
}

unsafe extern "C" fn calloc<V: Version, const DOMAIN: u32, const FULL: bool>(
    ctx: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    // SAFETY: as in `malloc`.
    unsafe {
        if passes_over::<V, DOMAIN>(count.wrapping_mul(size)) {
            return (*ctx.cast::<Original>()).calloc(count, size);
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
    // SAFETY: as in `malloc`.
    unsafe {
        let original = &*ctx.cast::<Original>();
        let bytes = count.wrapping_mul(size);
        allocate_slowly::<V, DOMAIN, FULL>(bytes, || original.calloc(count, size))
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
        let known = if old.is_null() {
            None
        } else {
            remove(old as usize)
        };
        let block = if passes_over::<V, DOMAIN>(size) {
            original.realloc(old, size)
        } else {
            allocate_slowly::<V, DOMAIN, FULL>(size, || original.realloc(old, size))
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

unsafe extern "C" fn free(ctx: *mut c_void, block: *mut c_void) {
    let bit = filter_bit(block as usize);
    // SAFETY: as in `malloc`.
    unsafe {
        if may_be_sampled(bit) {
            return free_slowly(ctx, block, bit);
        }
        (*ctx.cast::<Original>()).free(block);
    }
}

/// Apart, as [`malloc_slowly`].
#[cold]
#[inline(never)]
unsafe extern "C" fn free_slowly(ctx: *mut c_void, block: *mut c_void, bit: usize) {
    if let Some(known) = remove_sampled(block as usize, bit) {
        count_end(block as usize, known);
    }
    // SAFETY: promised by the caller (`free`).
    unsafe { (*ctx.cast::<Original>()).free(block) };
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
    // SAFETY: the thread's own state; nobody else refers to it.
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
        if reaches && !block.is_null() && config::tracing() && countdown.draw(size) {
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
        let (thread_state, sharing) = event::thread_state::<V, DOMAIN>();
        let path = &mut (*thread).path;
        let node = if FULL {
            path.current::<V>(thread_state, sharing)
        } else {
            path.current_leaf::<V>(thread_state, sharing)
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

/// Neighbours in the heap are neighbours in the filter, so that it takes as little of the processor's cache as the blocks
/// that are freed lately; a hash would spread them over all of it.
#[inline(always)]
fn filter_bit(address: usize) -> usize {
    (address >> 4) & ((1 << FILTER_BITS) - 1)
}

fn keep(held: &mut Held, address: usize, block: Block) {
    let bit = filter_bit(address);
    let count = &mut COUNTS.get(held)[bit];
    *count = count.saturating_add(1);
    FILTER[bit / 64].fetch_or(1 << (bit % 64), Ordering::Relaxed);
    STATE
        .get(held)
        .live
        .get_or_insert_default()
        .insert(address, block);
}

#[inline(always)]
fn remove(address: usize) -> Option<Block> {
    let bit = filter_bit(address);
    if may_be_sampled(bit) {
        remove_sampled(address, bit)
    } else {
        None
    }
}

#[inline(always)]
fn may_be_sampled(bit: usize) -> bool {
    FILTER[bit / 64].load(Ordering::Relaxed) & (1 << (bit % 64)) != 0
}

#[cold]
#[inline(never)]
fn remove_sampled(address: usize, bit: usize) -> Option<Block> {
    let mut held = lock::hold();
    let block = STATE.get(&mut held).live.as_mut()?.remove(&address)?;
    let count = &mut COUNTS.get(&mut held)[bit];
    if *count < u8::MAX {
        *count -= 1;
        if *count == 0 {
            FILTER[bit / 64].fetch_and(!(1 << (bit % 64)), Ordering::Relaxed);
        }
    }
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
