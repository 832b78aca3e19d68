//! A hash index from content to id: read without a lock, changed under the table lock.

use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use crate::memory::lock::Held;
use crate::memory::mapping;

const FIRST_SLOTS: usize = 1 << 12;

/// Header of one generation of the table; the slots follow it. All zero (also when given back) means: empty, look again
/// under the lock.
#[repr(C)]
struct Generation {
    /// Number of slots less one; a power of two less one.
    mask: AtomicU64,
}

/// Open addressing over ids. Id 0 stands for an empty slot, so ids start at 1.
pub(crate) struct IdTable {
    current: AtomicPtr<Generation>,
    /// By the logarithm of its number of slots, a generation that is not in use, all zero. Readers who still look into
    /// one that is used again find ids in it, and ask each whether it is the one that they look for.
    spare: [AtomicPtr<Generation>; SIZES],
    used: AtomicU32,
}

const SIZES: usize = 33;

impl IdTable {
    pub(crate) const fn new() -> Self {
        Self {
            current: AtomicPtr::new(std::ptr::null_mut()),
            spare: [const { AtomicPtr::new(std::ptr::null_mut()) }; SIZES],
            used: AtomicU32::new(0),
        }
    }

    /// The id for which `is_it` holds among those stored under `hash`. `None` may also mean that the table
    /// was being replaced: ask again under the lock before inserting.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let generation = self.current.load(Ordering::Acquire);
        if generation.is_null() {
            return None;
        }
        // SAFETY: generations are mapped with their header and mask + 1 slots, and are never unmapped, only zeroed.
        let mask = unsafe { &*generation }.mask.load(Ordering::Relaxed);
        let mut at = hash & mask;
        for _ in 0..=mask {
            // SAFETY: `at` ≤ mask.
            let id = unsafe { slot(generation, at) }.load(Ordering::Acquire);
            if id == 0 {
                return None;
            }
            if is_it(id) {
                return Some(id);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// Adds `id`, which is not there yet. `hash_of` tells the hash of any id stored. False when there is no memory.
    pub(crate) fn insert(&self, held: &mut Held, id: u32, hash_of: impl Fn(u32) -> u64) -> bool {
        let used = self.used.load(Ordering::Relaxed) as usize + 1;
        let generation = self.current.load(Ordering::Relaxed);
        let capacity = if generation.is_null() {
            0
        } else {
            // SAFETY: as in `find`.
            unsafe { &*generation }.mask.load(Ordering::Relaxed) as usize + 1
        };
        if (capacity == 0 || used * 2 > capacity)
            && !self.grow(held, (capacity * 2).max(FIRST_SLOTS), &hash_of)
        {
            return false;
        }
        self.used.store(used as u32, Ordering::Relaxed);
        // SAFETY: `grow` made sure that there is a generation with a free slot.
        unsafe { put(self.current.load(Ordering::Relaxed), hash_of(id), id) };
        true
    }

    fn grow(&self, held: &mut Held, slots: usize, hash_of: &impl Fn(u32) -> u64) -> bool {
        let ids = self.ids();
        self.replace(held, slots, &ids, hash_of)
    }

    /// Rebuilds the table with just `ids`.
    pub(crate) fn rebuild(
        &self,
        held: &mut Held,
        ids: &[u32],
        hash_of: impl Fn(u32) -> u64,
    ) -> bool {
        let slots = (ids.len() * 2 + 1).next_power_of_two().max(FIRST_SLOTS);
        self.used.store(ids.len() as u32, Ordering::Relaxed);
        self.replace(held, slots, ids, &hash_of)
    }

    fn replace(
        &self,
        held: &mut Held,
        slots: usize,
        ids: &[u32],
        hash_of: &impl Fn(u32) -> u64,
    ) -> bool {
        let spare = self.spare[slots.trailing_zeros() as usize]
            .swap(std::ptr::null_mut(), Ordering::Relaxed);
        let fresh = if spare.is_null() {
            let Some(fresh) = mapping::map(held, bytes_for(slots)) else {
                return false;
            };
            fresh.cast()
        } else {
            spare
        };
        // SAFETY: a mapping of the right size, all zero, to which nobody else writes; slots > ids.
        unsafe {
            (*fresh).mask.store(slots as u64 - 1, Ordering::Relaxed);
            for &id in ids {
                put(fresh, hash_of(id), id);
            }
        }
        let old = self.current.swap(fresh, Ordering::Release);
        self.set_aside(old);
        true
    }

    /// All ids stored.
    pub(crate) fn ids(&self) -> Vec<u32> {
        let generation = self.current.load(Ordering::Relaxed);
        if generation.is_null() {
            return Vec::new();
        }
        // SAFETY: as in `find`.
        unsafe {
            let mask = (*generation).mask.load(Ordering::Relaxed);
            (0..=mask)
                .map(|at| slot(generation, at).load(Ordering::Relaxed))
                .filter(|&id| id != 0)
                .collect()
        }
    }

    /// Forgets everything and gives the memory back.
    pub(crate) fn reset(&self, _held: &mut Held) {
        let old = self.current.swap(std::ptr::null_mut(), Ordering::Release);
        self.used.store(0, Ordering::Relaxed);
        self.set_aside(old);
    }

    /// Gives the memory of a generation back, and keeps its addresses.
    fn set_aside(&self, generation: *mut Generation) {
        if !generation.is_null() {
            // SAFETY: a generation is a whole mapping; late readers see mask 0 and an empty slot.
            unsafe {
                let slots = (*generation).mask.load(Ordering::Relaxed) as usize + 1;
                mapping::discard(
                    generation.cast(),
                    bytes_for(slots).next_multiple_of(mapping::page_size()),
                );
                self.spare[slots.trailing_zeros() as usize].store(generation, Ordering::Relaxed);
            }
        }
    }
}

fn bytes_for(slots: usize) -> usize {
    size_of::<Generation>() + slots * size_of::<AtomicU32>()
}

/// # Safety
/// `at` ≤ the generation's mask.
#[inline(always)]
unsafe fn slot<'a>(generation: *mut Generation, at: u64) -> &'a AtomicU32 {
    // SAFETY: promised by the caller; the slots follow the header.
    unsafe { &*generation.add(1).cast::<AtomicU32>().add(at as usize) }
}

/// # Safety
/// The generation has a free slot.
unsafe fn put(generation: *mut Generation, hash: u64, id: u32) {
    // SAFETY: promised by the caller, indices are masked.
    unsafe {
        let mask = (*generation).mask.load(Ordering::Relaxed);
        let mut at = hash & mask;
        while slot(generation, at).load(Ordering::Relaxed) != 0 {
            at = (at + 1) & mask;
        }
        slot(generation, at).store(id, Ordering::Release);
    }
}

/// Mixes two words into a hash whose low bits are good (the finaliser of MurmurHash3, applied to a sum).
#[inline(always)]
pub(crate) fn hash2(a: u64, b: u64) -> u64 {
    let mut h = a.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(b);
    h ^= h >> 33;
    h = h.wrapping_mul(0xff51_afd7_ed55_8ccd);
    h ^ (h >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    static TABLE: IdTable = IdTable::new();

    #[test]
    fn finds_every_id_after_growing_and_none_after_reset() {
        let hash = |id: u32| hash2(u64::from(id), 7);
        let mut held = crate::memory::lock::hold();
        for id in 1..50_000 {
            assert!(TABLE.insert(&mut held, id, hash));
        }
        for id in 1..50_000 {
            assert_eq!(TABLE.find(hash(id), |other| other == id), Some(id));
        }
        assert_eq!(TABLE.find(hash(60_000), |other| other == 60_000), None);
        let even: Vec<u32> = (1..50_000).filter(|id| id % 2 == 0).collect();
        assert!(TABLE.rebuild(&mut held, &even, hash));
        assert_eq!(TABLE.find(hash(3), |other| other == 3), None);
        assert_eq!(TABLE.find(hash(4), |other| other == 4), Some(4));
        TABLE.reset(&mut held);
        assert_eq!(TABLE.find(hash(4), |other| other == 4), None);
    }
}
