//! Memory for the moments before the C library's functions are known: a few blocks, never given back.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Looking symbols up takes some hundred bytes, if any.
const BYTES: usize = 1 << 15;
/// Before each block: its size.
const HEADER: usize = 16;

#[repr(align(64))]
struct Room(UnsafeCell<[u8; BYTES]>);

// SAFETY: blocks are handed out by moving `USED`, so that no two of them overlap; each is its owner's.
unsafe impl Sync for Room {}

static ROOM: Room = Room(UnsafeCell::new([0; BYTES]));
static USED: AtomicUsize = AtomicUsize::new(0);

/// Zeroed memory; null when there is no room.
pub(crate) fn allocate(size: usize, alignment: usize) -> *mut c_void {
    let start = ROOM.0.get() as usize;
    let alignment = if alignment < HEADER {
        HEADER
    } else {
        alignment
    };
    let mut used = USED.load(Ordering::Relaxed);
    loop {
        let block = (start + used + HEADER).next_multiple_of(alignment) - start;
        let Some(end) = block.checked_add(size).filter(|end| *end <= BYTES) else {
            return core::ptr::null_mut();
        };
        match USED.compare_exchange(used, end, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => {
                let block = ROOM.0.get().cast::<u8>().wrapping_add(block);
                // SAFETY: the header and the block are inside the room, aligned, and this caller's alone.
                unsafe { block.sub(HEADER).cast::<usize>().write(size) };
                return block.cast();
            }
            Err(now) => used = now,
        }
    }
}

/// Is it one of these blocks?
#[inline(always)]
pub(crate) fn holds(block: *const c_void) -> bool {
    (block as usize).wrapping_sub(ROOM.0.get() as usize) < BYTES
}

/// The size that it was asked for with.
///
/// # Safety
/// [`holds`] is true of the block.
pub(crate) unsafe fn size_of(block: *const c_void) -> usize {
    // SAFETY: promised by the caller: `allocate` wrote it there.
    unsafe { block.cast::<u8>().sub(HEADER).cast::<usize>().read() }
}
