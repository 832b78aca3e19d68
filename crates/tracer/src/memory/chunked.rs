//! Append-only arrays whose elements never move, so that they can be read without a lock while they grow.

use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::memory::lock::Held;
use crate::memory::mapping;

/// Elements of one chunk.
const CHUNK_BITS: u32 = 16;
const CHUNK_LEN: usize = 1 << CHUNK_BITS;
/// Chunks of one array: 2^26 elements in all, the limit of a live-map entry's site id.
const MAX_CHUNKS: usize = 1 << 10;

/// Element types that may live in zeroed memory shared between threads.
///
/// # Safety
/// All-zero bytes are a valid value, the type has no destructor, and every field is atomic.
pub(crate) unsafe trait Zeroed: Sync {}

/// An array of up to 2^26 elements that start out zeroed.
pub(crate) struct Chunked<T: 'static> {
    chunks: [AtomicPtr<T>; MAX_CHUNKS],
    len: AtomicU32,
}

impl<T: Zeroed> Chunked<T> {
    pub(crate) const fn new() -> Self {
        Self {
            chunks: [const { AtomicPtr::new(std::ptr::null_mut()) }; MAX_CHUNKS],
            len: AtomicU32::new(0),
        }
    }

    /// Number of elements in use. Elements below it are fully written.
    pub(crate) fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }

    /// The element `index`, which must once have been below [`Self::ensure`]'s argument.
    #[inline(always)]
    pub(crate) fn get(&self, index: u32) -> &T {
        let chunk =
            self.chunks[(index >> CHUNK_BITS) as usize & (MAX_CHUNKS - 1)].load(Ordering::Relaxed);
        debug_assert!(!chunk.is_null(), "element {index} was never reserved");
        // SAFETY: 1. indices come from `ensure`, which mapped their chunk, and chunks are never unmapped. 2. `T` is valid
        // when zeroed and all-atomic (`Zeroed`). The index inside the chunk is masked.
        unsafe { &*chunk.add(index as usize & (CHUNK_LEN - 1)) }
    }

    /// Makes element `index` usable; false when there is no memory or no room.
    pub(crate) fn ensure(&self, held: &mut Held, index: u32) -> bool {
        let Some(slot) = self.chunks.get((index >> CHUNK_BITS) as usize) else {
            return false;
        };
        if slot.load(Ordering::Relaxed).is_null() {
            let Some(chunk) = mapping::map(held, CHUNK_LEN * size_of::<T>()) else {
                return false;
            };
            slot.store(chunk.cast(), Ordering::Release);
        }
        true
    }

    /// Publishes that elements below `len` are written.
    pub(crate) fn set_len(&self, _held: &mut Held, len: u32) {
        self.len.store(len, Ordering::Release);
    }

    /// Zeroes everything and gives the pages back. Stale readers see zeroes.
    pub(crate) fn reset(&self, held: &mut Held) {
        self.set_len(held, 0);
        for chunk in &self.chunks {
            let start = chunk.load(Ordering::Relaxed);
            if start.is_null() {
                break;
            }
            // SAFETY: the chunk is one whole mapping of this array; zero is a valid value of every element.
            unsafe { mapping::discard(start.cast(), CHUNK_LEN * size_of::<T>()) };
        }
    }
}
