//! Memory for the tables, straight from the kernel: zeroed, resident only where touched, accounted for honestly.

use crate::lock::{Guarded, Held};

/// One anonymous private mapping.
#[derive(Clone, Copy, Debug)]
struct Region {
    start: usize,
    length: usize,
}

/// All mappings of the tracer, to tell how much of them is resident. Never touched by a hook except when a table grows.
static REGIONS: Guarded<Vec<Region>> = Guarded::new(Vec::new());

/// Reserves `length` bytes of zeroed memory; `None` when the kernel refuses.
pub(crate) fn map(held: &mut Held, length: usize) -> Option<*mut u8> {
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches no existing memory.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return None;
    }
    REGIONS.get(held).push(Region {
        start: start as usize,
        length,
    });
    Some(start.cast())
}

/// Gives the pages wholly inside `[start, start + length)` back to the kernel; they read as zero from then on.
///
/// # Safety
/// The range lies inside one mapping made by [`map`], and nobody relies on its contents.
pub(crate) unsafe fn discard(start: *mut u8, length: usize) {
    let page = page_size();
    let from = (start as usize).next_multiple_of(page);
    let to = (start as usize + length) & !(page - 1);
    if from < to {
        // SAFETY: promised by the caller; MADV_DONTNEED on a private anonymous mapping zeroes it.
        unsafe { libc::madvise(from as *mut libc::c_void, to - from, libc::MADV_DONTNEED) };
    }
}

/// Bytes of all mappings that are resident: what the kernel says (`mincore`), not what was asked for.
pub(crate) fn resident_bytes(held: &mut Held) -> u64 {
    let page = page_size();
    let regions = REGIONS.get(held);
    let mut flags = Vec::new();
    let mut pages = 0_u64;
    for region in regions.iter() {
        flags.clear();
        flags.resize(region.length.div_ceil(page), 0_u8);
        // SAFETY: the vector has a byte for each page of a mapping that is never unmapped.
        let result = unsafe {
            libc::mincore(
                region.start as *mut libc::c_void,
                region.length,
                flags.as_mut_ptr(),
            )
        };
        if result == 0 {
            pages += flags.iter().map(|flag| u64::from(flag & 1)).sum::<u64>();
        }
    }
    pages * page as u64
}

pub(crate) fn page_size() -> usize {
    // SAFETY: sysconf has no preconditions.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}
