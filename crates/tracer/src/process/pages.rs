//! Which pages of this process are resident: `/proc/self/pagemap`, a word for each page of the address space
//! (Documentation/admin-guide/mm/pagemap.rst).

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::memory::mapping;

const WORD: usize = 8;
const PRESENT: u64 = 1 << 63;
/// Pages that are asked for at once.
const AT_ONCE: usize = 1 << 12;

/// Counts resident pages. Where the kernel does not tell, all are.
pub(super) struct Pages {
    file: Option<File>,
    page: usize,
    words: Vec<u8>,
}

impl Pages {
    pub(super) fn new() -> Self {
        Self {
            file: File::open("/proc/self/pagemap").ok(),
            page: mapping::page_size(),
            words: vec![0; AT_ONCE * WORD],
        }
    }

    /// The pages that a range is in, as addresses.
    pub(super) fn around(&self, range: &Range<usize>) -> Range<usize> {
        range.start & !(self.page - 1)..range.end.next_multiple_of(self.page)
    }

    /// Bytes of a range that are resident.
    pub(super) fn resident(&mut self, range: &Range<usize>) -> u64 {
        let whole = self.around(range);
        let mut absent = 0;
        let mut at = whole.start;
        while at < whole.end {
            let pages = ((whole.end - at) / self.page).min(AT_ONCE);
            let words = &mut self.words[..pages * WORD];
            let read = self.file.as_ref().map(|file| {
                file.read_exact_at(words, (at / self.page * WORD) as u64)
                    .is_ok()
            });
            if read == Some(true) {
                for (index, word) in words.as_chunks::<WORD>().0.iter().enumerate() {
                    if u64::from_ne_bytes(*word) & PRESENT == 0 {
                        let start = (at + index * self.page).max(range.start);
                        let end = (at + (index + 1) * self.page).min(range.end);
                        absent += (end - start) as u64;
                    }
                }
            }
            at += pages * self.page;
        }
        range.len() as u64 - absent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_touched_of_a_range_is_resident() {
        let page = mapping::page_size();
        let start = mapping::map(&mut crate::memory::lock::hold(), 64 * page).expect("64 pages");
        for index in [3, 40] {
            // SAFETY: inside the mapping just made.
            unsafe { start.add(index * page + 8).write(1) };
        }
        let start = start.addr();
        let mut pages = Pages::new();
        assert_eq!(pages.resident(&(start..start + 64 * page)), 2 * page as u64);
        let part = start + 3 * page + 100..start + 41 * page - 100;
        assert_eq!(pages.resident(&part), 2 * (page as u64 - 100));
        assert_eq!(pages.resident(&(start..start)), 0);
    }
}
