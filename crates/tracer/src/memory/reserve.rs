//! Reserved memory for when the system has no more.
//!
//! Rust aborts a process in which an allocation fails. We must not abort the traced process: it may be about to handle
//! its `MemoryError`, or run under a limit (`ulimit -v`) on purpose. So [`Reserve`], which the extension uses as its
//! allocator, falls back on a range of addresses that was reserved when tracing began. That costs address space only:
//! the pages become resident when they are used.

use std::alloc::{GlobalAlloc, Layout};
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use heapsight_native::system::OwnBlocks as System;

use crate::memory::lock::Held;
use crate::memory::mapping;

/// Enough for some ticks of a program with a hundred thousand call paths.
const BYTES: usize = 16 << 20;

/// The process-wide range; null addresses until [`prepare`] was called.
static RANGE: Range = Range::new();

/// The system's allocator, with the range behind it.
pub struct Reserve;

/// Sets the range aside, once. Without it, a failed allocation is what it is in any Rust program.
pub(crate) fn prepare(held: &mut Held) {
    if RANGE.start.load(Ordering::Relaxed) == 0
        && let Some(start) = mapping::map(held, BYTES)
    {
        RANGE.start.store(start as usize, Ordering::Release);
    }
}

/// Whether so many bytes more can be had, from the system or from what is left of the range. True of the moment only.
#[must_use]
pub fn is_room_for(bytes: usize) -> bool {
    mapping::can_map(bytes) || RANGE.has_left(bytes)
}

/// The same for libraries in C: the range is not theirs.
#[must_use]
pub fn is_room_for_libraries(bytes: usize) -> bool {
    mapping::can_map(bytes)
}

/// A stack of blocks: one that is freed is used again when it was the last, or when all are free.
struct Range {
    start: AtomicUsize,
    /// Number of blocks in use in the upper half, offset of the first free byte in the lower.
    state: AtomicU64,
}

impl Range {
    const fn new() -> Self {
        Self {
            start: AtomicUsize::new(0),
            state: AtomicU64::new(0),
        }
    }

    fn holds(&self, block: *mut u8) -> bool {
        let start = self.start.load(Ordering::Acquire);
        start != 0 && (start..start + BYTES).contains(&(block as usize))
    }

    /// Whether that many bytes are free in one piece.
    fn has_left(&self, bytes: usize) -> bool {
        let used = self.state.load(Ordering::Acquire) as u32 as usize;
        self.start.load(Ordering::Acquire) != 0 && bytes <= BYTES - used
    }

    /// A block, or null when there is no room or no range.
    fn take(&self, layout: Layout) -> *mut u8 {
        let start = self.start.load(Ordering::Acquire);
        if start == 0 {
            return ptr::null_mut();
        }
        let mut offset = 0;
        let took = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
                let (blocks, free) = (state >> 32, state as u32 as usize);
                offset = (start + free).next_multiple_of(layout.align()) - start;
                let end = offset.checked_add(layout.size())?;
                (end <= BYTES).then_some(((blocks + 1) << 32) | end as u64)
            });
        match took {
            Ok(_) => ptr::with_exposed_provenance_mut(start + offset),
            Err(_) => ptr::null_mut(),
        }
    }

    /// Takes a block back, of which [`Self::holds`] is true.
    fn deallocate(&self, block: *mut u8, layout: Layout) {
        let offset = block as usize - self.start.load(Ordering::Acquire);
        // Cannot fail: the closure always has a new value.
        let _ = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
                let (blocks, free) = ((state >> 32) - 1, state as u32 as usize);
                let free = if blocks == 0 {
                    0
                } else if offset + layout.size() == free {
                    offset
                } else {
                    free
                };
                Some((blocks << 32) | free as u64)
            });
    }
}

// SAFETY: every block is the system allocator's or, when that has none, a part of the range that no other block in use
// overlaps (`take` moves the end of the used part in one step) with the size and alignment asked for; each goes back to
// where it came from. Nothing here unwinds.
unsafe impl GlobalAlloc for Reserve {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those of the system's allocator.
        let block = unsafe { System.alloc(layout) };
        if block.is_null() {
            RANGE.take(layout)
        } else {
            block
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        let block = unsafe { System.alloc_zeroed(layout) };
        if !block.is_null() {
            return block;
        }
        let block = RANGE.take(layout);
        if !block.is_null() {
            // SAFETY: the block was just taken and has that many bytes. They may have been used before.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if RANGE.holds(block) {
            RANGE.deallocate(block, layout);
        } else {
            // SAFETY: as in `alloc`; the block is not the range's.
            unsafe { System.dealloc(block, layout) };
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as in `alloc`: the layout was valid for the old size and the caller promises that it is for the new
        // one. When no other block is found the old one stays as it is, as the contract demands.
        unsafe {
            if !RANGE.holds(block) {
                let moved = System.realloc(block, layout, size);
                if !moved.is_null() {
                    return moved;
                }
            }
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A range of its own for each test, in memory that stays.
    fn range() -> Range {
        let memory = Vec::leak(vec![0_u8; BYTES]);
        let range = Range::new();
        range
            .start
            .store(memory.as_mut_ptr().expose_provenance(), Ordering::Relaxed);
        range
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a valid layout")
    }

    #[test]
    fn blocks_are_aligned_apart_and_inside() {
        let range = range();
        let mut end = range.start.load(Ordering::Relaxed);
        for (size, align) in [(1, 1), (8, 8), (3, 1), (100, 64), (5, 4096)] {
            let block = range.take(layout(size, align));
            assert!(range.holds(block));
            assert_eq!(block as usize % align, 0);
            assert!(block as usize >= end);
            end = block as usize + size;
        }
    }

    #[test]
    fn last_block_is_used_again_at_once_and_the_others_when_all_are_free() {
        let range = range();
        let one = layout(48, 16);
        let (first, second) = (range.take(one), range.take(one));
        range.deallocate(second, one);
        assert_eq!(range.take(one), second);
        range.deallocate(first, one);
        assert_ne!(range.take(one), first);
        range.deallocate(second, one);
        let third = second.wrapping_add(48);
        range.deallocate(third, one);
        assert_eq!(range.take(one), first);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing() {
        let range = range();
        assert!(range.take(layout(BYTES + 1, 1)).is_null());
        let all = range.take(layout(BYTES, 1));
        assert!(!all.is_null());
        assert!(range.take(layout(1, 1)).is_null());
        assert!(range.has_left(0) && !range.has_left(1));
        range.deallocate(all, layout(BYTES, 1));
        assert_eq!(range.take(layout(1, 1)), all);
        assert!(range.has_left(BYTES - 1) && !range.has_left(BYTES));
    }

    #[test]
    fn without_a_range_nothing_is_held_and_nothing_given() {
        let range = Range::new();
        assert!(range.take(layout(8, 8)).is_null());
        assert!(!range.has_left(0));
        assert!(!range.holds(ptr::null_mut()));
    }
}
