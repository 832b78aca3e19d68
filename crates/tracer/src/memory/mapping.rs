//! Memory for the tables, straight from the kernel: zeroed, resident only where touched, accounted for honestly.

use std::fs::File;
use std::os::unix::fs::FileExt;

use heapsight_native::system;

use crate::memory::lock::{Guarded, Held};

/// One anonymous private mapping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    start: usize,
    length: usize,
}

/// All mappings of the tracer, to tell how much of them is resident. Never touched by a hook except when a table grows.
static REGIONS: Guarded<Vec<Region>> = Guarded::new(Vec::new());

/// Addresses alone, without a promise of memory. Miri knows no such mapping.
const NO_RESERVE: libc::c_int = if cfg!(miri) { 0 } else { libc::MAP_NORESERVE };

/// Reserves `length` bytes of zeroed memory; `None` when the kernel refuses.
pub(crate) fn map(held: &mut Held, length: usize) -> Option<*mut u8> {
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches no existing memory.
    let start = unsafe {
        system::mmap(
            std::ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | NO_RESERVE,
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

/// Whether the kernel would give `length` bytes of memory now, as it would to `malloc`.
pub(crate) fn can_map(length: usize) -> bool {
    if length == 0 {
        return true;
    }
    let (access, kind) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    );
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches no existing memory.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), length, access, kind, -1, 0) };
    if start == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: the mapping just made, which nobody has seen.
    unsafe { libc::munmap(start, length) };
    true
}

/// As [`map`], at a multiple of `alignment`, a power of two of at least a page.
pub(crate) fn map_aligned(held: &mut Held, length: usize, alignment: usize) -> Option<*mut u8> {
    let start = map(held, length + alignment)?;
    let whole = REGIONS.get(held).pop()?;
    let before = start.align_offset(alignment);
    let mut end = (before + length).next_multiple_of(page_size());
    if cfg!(miri) {
        end = whole.length; // It gives back whole mappings only.
    }
    // SAFETY: parts of the mapping just made, in whole pages, which nobody has seen.
    unsafe {
        if before > 0 && !cfg!(miri) {
            system::munmap(start.cast(), before);
        }
        if end < whole.length {
            system::munmap(start.add(end).cast(), whole.length - end);
        }
    }
    REGIONS.get(held).push(Region {
        start: whole.start + before,
        length: end - before,
    });
    // SAFETY: inside the mapping.
    Some(unsafe { start.add(before) })
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
        // SAFETY: promised by the caller; MADV_DONTNEED on a private anonymous mapping zeroes it. The system refuses
        // for memory that is locked, as all is after `mlockall`: a program means its own memory by that, not our
        // tables.
        let discarded = !cfg!(miri)
            && unsafe {
                let start = from as *mut libc::c_void;
                libc::madvise(start, to - from, libc::MADV_DONTNEED) == 0
                    || (libc::munlock(start, to - from) == 0
                        && libc::madvise(start, to - from, libc::MADV_DONTNEED) == 0)
            };
        if !discarded {
            // SAFETY: promised by the caller: nobody relies on what is there.
            unsafe { (from as *mut u8).write_bytes(0, to - from) };
        }
    }
}

/// All mappings so far. They stay.
pub(crate) fn regions(held: &mut Held) -> Vec<Region> {
    REGIONS.get(held).clone()
}

/// Bytes of these mappings that are resident: what the kernel says (`mincore`), not what was asked for.
pub(crate) fn resident_bytes(regions: &[Region]) -> u64 {
    let page = page_size();
    let mut flags = Vec::new();
    let mut pages = 0_u64;
    for region in regions {
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

/// Bytes of the process that are resident now; 0 where the kernel does not tell. Allocates nothing.
pub(crate) fn resident_now() -> u64 {
    let mut text = [0_u8; 128];
    // SAFETY: a path that ends in a zero byte; the buffer is written to, no more than it holds. The descriptor is this
    // function's own, and closed on the way out.
    let length = unsafe {
        let statm = libc::open(
            c"/proc/self/statm".as_ptr(),
            libc::O_RDONLY | libc::O_CLOEXEC,
        );
        if statm < 0 {
            return 0;
        }
        let length = libc::read(statm, text.as_mut_ptr().cast(), text.len());
        libc::close(statm);
        usize::try_from(length).unwrap_or(0)
    };
    let resident = str::from_utf8(&text[..length])
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    resident.unwrap_or(0).saturating_mul(page_size() as u64)
}

/// Says which pages hold something: resident or swapped out. Where the kernel does not tell, it says all.
///
/// From `/proc/self/pagemap`, a word for each page of the address space: bit 63 present, bit 62 swapped
/// (Documentation/admin-guide/mm/pagemap.rst). `mincore` would leave out what is swapped out.
#[derive(Default)]
pub(crate) struct Populated {
    pagemap: Option<File>,
    words: Vec<u8>,
}

const PAGEMAP_WORD_BYTES: usize = 8;
const IN_USE: u64 = (1 << 63) | (1 << 62);

impl Populated {
    pub(crate) fn new() -> Self {
        Self {
            pagemap: File::open("/proc/self/pagemap").ok(),
            words: Vec::new(),
        }
    }

    /// For each page of the `length` bytes from `start` (the beginning of a page): does it hold anything?
    pub(crate) fn pages(&mut self, start: *const u8, length: usize) -> impl Iterator<Item = bool> {
        let pages = length.div_ceil(page_size());
        self.words.clear();
        self.words.resize(pages * PAGEMAP_WORD_BYTES, u8::MAX);
        let offset = start as usize / page_size() * PAGEMAP_WORD_BYTES;
        if let Some(pagemap) = &self.pagemap
            && pagemap
                .read_exact_at(&mut self.words, offset as u64)
                .is_err()
        {
            self.words.fill(u8::MAX);
        }
        self.words
            .as_chunks::<PAGEMAP_WORD_BYTES>()
            .0
            .iter()
            .map(|word| u64::from_ne_bytes(*word) & IN_USE != 0)
    }
}

pub(crate) fn page_size() -> usize {
    // SAFETY: sysconf has no preconditions.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_written_to_are_populated_and_others_are_not() {
        let page = page_size();
        let start = map(&mut crate::memory::lock::hold(), 64 * page).expect("64 pages");
        for index in [3, 40] {
            // SAFETY: inside the mapping just made.
            unsafe { start.add(index * page + 8).write(1) };
        }
        let mut populated = Populated::new();
        let found: Vec<usize> = (0..)
            .zip(populated.pages(start, 64 * page))
            .filter(|&(_, holds)| holds)
            .map(|(index, _)| index)
            .collect();
        assert_eq!(found, [3, 40]);
    }

    #[test]
    fn an_aligned_mapping_is_usable_to_its_end_and_counted_once() {
        let (length, alignment) = (5 * page_size() + 16, 1 << 20);
        let mut held = crate::memory::lock::hold();
        let before = regions(&mut held).len();
        let start = map_aligned(&mut held, length, alignment).expect("some pages");
        assert_eq!(start.addr() % alignment, 0);
        // SAFETY: inside the mapping just made.
        unsafe { start.write_bytes(1, length) };
        let regions = regions(&mut held);
        assert_eq!(regions.len(), before + 1);
        assert_eq!(resident_bytes(&regions[before..]), 6 * page_size() as u64);
    }

    #[test]
    fn all_pages_are_populated_where_the_kernel_does_not_tell() {
        let page = page_size();
        let start = map(&mut crate::memory::lock::hold(), 4 * page).expect("4 pages");
        let found: Vec<bool> = Populated::default().pages(start, 4 * page).collect();
        assert_eq!(found, [true; 4]);
    }
}
