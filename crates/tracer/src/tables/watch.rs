//! The addresses whose free must be reported: those of code objects that call paths refer to, and of sampled blocks.
//!
//! One bit for each 16 bytes of address space, modulo 8 MiB. If the bit is clear, nobody waits for a block at that
//! address to end. Neighbours in the heap are neighbours here, so these words need no more of the processor's cache
//! than the blocks that were freed lately; a hash would spread them over all of it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::memory::lock::{Guarded, Held};

/// log2 of the number of bits: 64 KiB, a few per cent full with 20,000 addresses watched.
const BITS: u32 = 19;
const WORDS: usize = 1 << (BITS - 6);

static WATCHED: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];
/// Addresses behind each bit; 255 stands for "many": such a bit stays set.
static COUNTS: Guarded<[u8; 1 << BITS]> = Guarded::new([0; 1 << BITS]);

#[inline(always)]
fn bit_of(address: usize) -> usize {
    (address >> 4) & ((1 << BITS) - 1)
}

/// May somebody wait for the block at `address` to end? Never false when somebody does.
#[inline(always)]
pub(crate) fn may_hold(address: usize) -> bool {
    let bit = bit_of(address);
    WATCHED[bit / 64].load(Ordering::Relaxed) & (1 << (bit % 64)) != 0
}

/// Watches `address`. One call of [`remove`] undoes one of this.
pub(crate) fn add(held: &mut Held, address: usize) {
    let bit = bit_of(address);
    let count = &mut COUNTS.get(held)[bit];
    *count = count.saturating_add(1);
    WATCHED[bit / 64].fetch_or(1 << (bit % 64), Ordering::Relaxed);
}

/// Undoes [`add`].
pub(crate) fn remove(held: &mut Held, address: usize) {
    let bit = bit_of(address);
    let count = &mut COUNTS.get(held)[bit];
    if *count < u8::MAX {
        *count = count.saturating_sub(1);
        if *count == 0 {
            WATCHED[bit / 64].fetch_and(!(1 << (bit % 64)), Ordering::Relaxed);
        }
    }
}

/// Watches nothing any more.
pub(crate) fn clear(held: &mut Held) {
    COUNTS.get(held).fill(0);
    for word in &WATCHED {
        word.store(0, Ordering::Relaxed);
    }
}
