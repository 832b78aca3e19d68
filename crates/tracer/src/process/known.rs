//! Ranges of private memory that the kernel's list does not name: the heaps that glibc makes beside the first, and
//! variables of libraries that begin as zero.

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::maps::{Kind, Map};
use crate::memory::mapping;

/// Heaps but the first begin at a multiple of this, and are no longer (`HEAP_MAX_SIZE` of glibc on 64 bits).
const HEAP_ALIGNMENT: usize = 64 << 20;

/// Where a heap begins (`heap_info` of glibc's malloc/arena.c): its arena, the heap before, bytes in use, bytes that
/// may be touched.
const HEAP_WORDS: usize = 4;

/// The heaps, as far as they may be touched.
pub(super) fn heaps(maps: &[Map]) -> Vec<Range<usize>> {
    // Read by way of the kernel: another thread may unmap what is looked at.
    let Ok(memory) = File::open("/proc/self/mem") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for map in maps.iter().filter(|map| map.kind == Kind::Anonymous) {
        let mut start = map.range.start.next_multiple_of(HEAP_ALIGNMENT);
        while start < map.range.end {
            let mut words = [0; HEAP_WORDS * 8];
            if memory.read_exact_at(&mut words, start as u64).is_ok() {
                let words = words.as_chunks::<8>().0;
                let word = |index: usize| usize::from_ne_bytes(words[index]);
                let [arena, before, used, touchable] = [word(0), word(1), word(2), word(3)];
                if is_heap(start, arena, before, used, touchable) {
                    found.push(start..(start + touchable).min(map.range.end));
                }
            }
            start += HEAP_ALIGNMENT;
        }
    }
    found
}

/// Does what stands there make sense as the beginning of a heap? The arena's own heap has it right behind these words.
fn is_heap(start: usize, arena: usize, before: usize, used: usize, touchable: usize) -> bool {
    const NEAR: usize = 256;
    let page = mapping::page_size();
    let of_arena = arena % HEAP_ALIGNMENT;
    let is_first = before == 0 && arena > start && arena - start < NEAR;
    let is_further = before != 0
        && before.is_multiple_of(HEAP_ALIGNMENT)
        && of_arena > 0
        && of_arena < NEAR
        && arena / HEAP_ALIGNMENT != start / HEAP_ALIGNMENT;
    (is_first || is_further)
        && used > 0
        && used <= touchable
        && touchable <= HEAP_ALIGNMENT
        && used.is_multiple_of(page)
        && touchable.is_multiple_of(page)
}

/// Whole pages of loaded objects that are of no file.
pub(super) fn zeroed_variables() -> Vec<Range<usize>> {
    unsafe extern "C" fn add(
        object: *mut libc::dl_phdr_info,
        _size: usize,
        found: *mut c_void,
    ) -> c_int {
        // SAFETY: the loader's description of an object, with so many program headers, which stay while this runs; the
        // list is the caller's, who waits.
        let (object, found) = unsafe { (&*object, &mut *found.cast::<Vec<Range<usize>>>()) };
        if object.dlpi_phdr.is_null() {
            return 0;
        }
        // SAFETY: as above.
        let headers =
            unsafe { std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)) };
        for header in headers
            .iter()
            .filter(|header| header.p_type == libc::PT_LOAD)
        {
            let start = (object.dlpi_addr as usize).wrapping_add(header.p_vaddr as usize);
            let page = mapping::page_size();
            let of_file = start
                .saturating_add(header.p_filesz as usize)
                .next_multiple_of(page);
            let end = start
                .saturating_add(header.p_memsz as usize)
                .next_multiple_of(page);
            if of_file < end {
                found.push(of_file..end);
            }
        }
        0
    }
    let mut found: Vec<Range<usize>> = Vec::new();
    // SAFETY: calls `add` with the list, one object after the other, before it returns.
    unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut found).cast()) };
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heap_is_told_by_what_stands_at_its_beginning() {
        let start = 5 * HEAP_ALIGNMENT;
        assert!(is_heap(start, start + 48, 0, 0x21000, 0x30000));
        assert!(is_heap(start, 48, HEAP_ALIGNMENT, 0x1000, HEAP_ALIGNMENT));
        assert!(
            !is_heap(start, start + 4096, 0, 0x21000, 0x30000),
            "no arena there"
        );
        assert!(
            !is_heap(start, start + 48, 0, 0x31000, 0x30000),
            "more used than there is"
        );
        assert!(
            !is_heap(start, start + 48, 0, 0x21008, 0x30000),
            "no whole pages"
        );
        assert!(!is_heap(start, start + 48, 0, 0x1000, 2 * HEAP_ALIGNMENT));
        assert!(!is_heap(start, 0, 0, 0, 0));
    }

    #[test]
    fn zeroed_variables_of_this_program_are_found() {
        static mut LARGE: [u8; 1 << 20] = [0; 1 << 20];
        let place = (&raw const LARGE).addr() + (1 << 19);
        assert!(
            zeroed_variables()
                .iter()
                .any(|range| range.contains(&place))
        );
    }

    #[cfg(target_env = "gnu")]
    #[test]
    fn the_heap_of_another_thread_is_found() {
        let place = std::thread::spawn(|| Box::into_raw(Box::new([1_u8; 5000])) as usize)
            .join()
            .expect("it ends");
        let smaps = File::open("/proc/self/smaps").expect("it is there");
        let maps = super::super::maps::read(std::io::BufReader::new(smaps)).expect("it is read");
        assert!(heaps(&maps).iter().any(|heap| heap.contains(&place)));
    }
}
