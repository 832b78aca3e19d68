//! Append-only arrays whose elements never move, so that they can be read without a lock while they grow.

use std::marker::PhantomData;
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

/// An array of up to 2^26 elements that start out zeroed. Each may have a `B` beside it: what is seldom needed of it,
/// out of the way.
///
/// Elements with something beside them have a size that is a power of two; their chunks are so aligned that the address
/// of an element tells where in its chunk it is.
pub(crate) struct Chunked<T: 'static, B: 'static = ()> {
    chunks: [AtomicPtr<T>; MAX_CHUNKS],
    len: AtomicU32,
    beside: PhantomData<&'static B>,
}

// SAFETY: nothing.
unsafe impl Zeroed for () {}

impl<T: Zeroed, B: Zeroed> Chunked<T, B> {
    /// Bytes of the elements of a chunk; those beside them follow.
    const CHUNK_BYTES: usize = CHUNK_LEN * size_of::<T>();
    const BESIDE_BYTES: usize = CHUNK_LEN * size_of::<B>();

    pub(crate) const fn new() -> Self {
        assert!(size_of::<B>() == 0 || size_of::<T>().is_power_of_two());
        Self {
            chunks: [const { AtomicPtr::new(std::ptr::null_mut()) }; MAX_CHUNKS],
            len: AtomicU32::new(0),
            beside: PhantomData,
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
        // SAFETY: 1. indices come from `ensure`, which mapped their chunk, and chunks are never unmapped. 2. `T` is
        // valid when zeroed and all-atomic (`Zeroed`). The index inside the chunk is masked.
        unsafe { &*chunk.add(index as usize & (CHUNK_LEN - 1)) }
    }

    /// The same, for an index that there may have been no memory for.
    pub(crate) fn try_get(&self, index: u32) -> Option<&T> {
        let slot = self.chunks.get((index >> CHUNK_BITS) as usize)?;
        (!slot.load(Ordering::Relaxed).is_null()).then(|| self.get(index))
    }

    /// What stands beside an element of this array.
    #[inline(always)]
    pub(crate) fn beside(&self, element: &'static T) -> &B {
        let at = (&raw const *element).addr();
        let place = at & (Self::CHUNK_BYTES - 1);
        let beside = at - place + Self::CHUNK_BYTES + place / size_of::<T>() * size_of::<B>();
        // SAFETY: 1. chunks are aligned to the bytes of their elements (`ensure`), so `place` is where in its chunk the
        // element is, and as many bytes as are needed for one `B` for each follow the elements. 2. As in `get`. The
        // provenance is that of the whole mapping, which `ensure` exposed.
        unsafe { &*std::ptr::with_exposed_provenance(beside) }
    }

    /// Makes element `index` usable; false when there is no memory or no room.
    pub(crate) fn ensure(&self, held: &mut Held, index: u32) -> bool {
        let Some(slot) = self.chunks.get((index >> CHUNK_BITS) as usize) else {
            return false;
        };
        if slot.load(Ordering::Relaxed).is_null() {
            let chunk = if size_of::<B>() == 0 {
                mapping::map(held, Self::CHUNK_BYTES)
            } else {
                let bytes = Self::CHUNK_BYTES + Self::BESIDE_BYTES;
                mapping::map_aligned(held, bytes, Self::CHUNK_BYTES)
            };
            let Some(chunk) = chunk else {
                return false;
            };
            chunk.expose_provenance();
            slot.store(chunk.cast(), Ordering::Release);
        }
        true
    }

    /// Makes the first `count` elements usable, or as many as there is memory for; returns how many these are.
    pub(crate) fn ensure_first(&self, held: &mut Held, count: u32) -> u32 {
        (0..count)
            .step_by(CHUNK_LEN)
            .find(|&first| !self.ensure(held, first))
            .unwrap_or(count)
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
            unsafe { mapping::discard(start.cast(), Self::CHUNK_BYTES + Self::BESIDE_BYTES) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::lock;

    #[repr(C, align(32))]
    #[derive(Default)]
    struct Element(AtomicU32);

    #[derive(Default)]
    struct RarelyUsed([AtomicU32; 3]);

    // SAFETY: all fields are atomic integers.
    unsafe impl Zeroed for Element {}
    // SAFETY: likewise.
    unsafe impl Zeroed for RarelyUsed {}

    static ARRAY: Chunked<Element, RarelyUsed> = Chunked::new();

    #[test]
    fn every_element_has_its_own_beside_it() {
        let mut held = lock::hold();
        let last = 2 * CHUNK_LEN as u32 + 7;
        for chunk in 0..3 {
            assert!(ARRAY.ensure(&mut held, chunk << CHUNK_BITS));
        }
        for index in 0..=last {
            let element = ARRAY.get(index);
            element.0.store(index, Ordering::Relaxed);
            for part in &ARRAY.beside(element).0 {
                part.store(index, Ordering::Relaxed);
            }
        }
        for index in (0..=last).step_by(97).chain([last]) {
            let element = ARRAY.get(index);
            assert_eq!(element.0.load(Ordering::Relaxed), index);
            let parts = &ARRAY.beside(element).0;
            assert!(
                parts
                    .iter()
                    .all(|part| part.load(Ordering::Relaxed) == index)
            );
        }
        ARRAY.reset(&mut held);
        let parts = &ARRAY.beside(ARRAY.get(last)).0;
        assert!(parts.iter().all(|part| part.load(Ordering::Relaxed) == 0));
    }
}
