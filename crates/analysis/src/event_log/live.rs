//! The blocks that are live, by address, in little room: a recording may have many millions of them at once, and events
//! that follow one another are about neighbours.
//!
//! Pages of the address space lead to lines, and a line has one word for each address in it that may begin a block. So
//! what is looked at stays in the processor's cache: a hash of every block would be missed there at every event. Pages
//! and lines without blocks are freed.

use foldhash::{HashMap, HashMapExt};
use heapsight_capture::model::SiteId;

/// A block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub bytes: u64,
    pub site: SiteId,
}

/// Blocks begin at multiples of 2 to this power; those few that do not are kept apart.
const ALIGNMENT_BITS: u32 = 4;
/// A line is of 128 bytes of addresses, and takes 64 bytes: a line of the processor's cache.
const LINE_BITS: u32 = 7;
const WORDS: usize = 1 << (LINE_BITS - ALIGNMENT_BITS);
/// A page is of 4 KiB of addresses.
const PAGE_BITS: u32 = 12;
const LINES: usize = 1 << (PAGE_BITS - LINE_BITS);

/// A word has the size in its lowest bits, then the site.
const SIZE_BITS: u32 = 36;
/// The word of a block that is kept apart.
const APART: u64 = u64::MAX;
/// The word where no block begins.
const NONE: u64 = u64::MAX - 1;

/// The number of no line.
const NO_LINE: u32 = u32::MAX;
/// The number of no page: no address has it.
const NO_PAGE: u64 = u64::MAX;

#[derive(Clone, Copy, Debug)]
struct Page {
    number: u64,
    lines: [u32; LINES],
    used: u32,
}

#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line([u64; WORDS]);

#[derive(Debug)]
pub(super) struct Live {
    /// Page number → index in `pages`.
    numbers: HashMap<u64, u32>,
    pages: Vec<Page>,
    lines: Vec<Line>,
    free_pages: Vec<u32>,
    free_lines: Vec<u32>,
    /// The page that was looked at last, and its index.
    last: (u64, u32),
    apart: HashMap<u64, Block>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            numbers: HashMap::new(),
            pages: Vec::new(),
            lines: Vec::new(),
            free_pages: Vec::new(),
            free_lines: Vec::new(),
            last: (NO_PAGE, 0),
            apart: HashMap::new(),
        }
    }
}

impl Live {
    /// Adds a block at an address where there is none.
    #[inline]
    pub(super) fn insert(&mut self, address: u64, block: Block) {
        let word = (u64::from(block.site) << SIZE_BITS) | block.bytes;
        let fits = block.bytes >> SIZE_BITS == 0 && block.site >> (64 - SIZE_BITS) == 0;
        let is_aligned = address & ((1 << ALIGNMENT_BITS) - 1) == 0;
        if !is_aligned {
            self.apart.insert(address, block);
            return;
        }
        let word = if fits && word < NONE { word } else { APART };
        if word == APART {
            self.apart.insert(address, block);
        }
        let page = self.page_or_new(address >> PAGE_BITS);
        let (line, place) = parts(address);
        let mut number = self.pages[page as usize].lines[line];
        if number == NO_LINE {
            number = self.new_line();
            let page = &mut self.pages[page as usize];
            page.lines[line] = number;
            page.used += 1;
        }
        self.lines[number as usize].0[place] = word;
    }

    /// Takes away the block at an address.
    #[inline]
    pub(super) fn remove(&mut self, address: u64) -> Option<Block> {
        if address & ((1 << ALIGNMENT_BITS) - 1) != 0 {
            return self.apart.remove(&address);
        }
        let page = self.page(address >> PAGE_BITS)?;
        let (line, place) = parts(address);
        let number = self.pages[page as usize].lines[line];
        if number == NO_LINE {
            return None;
        }
        let words = &mut self.lines[number as usize].0;
        let word = std::mem::replace(&mut words[place], NONE);
        if word == NONE {
            return None;
        }
        if words.iter().all(|word| *word == NONE) {
            self.give_back(page, line, number);
        }
        match word {
            APART => self.apart.remove(&address),
            word => Some(Block {
                bytes: word & ((1 << SIZE_BITS) - 1),
                site: (word >> SIZE_BITS) as SiteId,
            }),
        }
    }

    /// The index of a page that has blocks.
    #[inline]
    fn page(&mut self, number: u64) -> Option<u32> {
        if self.last.0 == number {
            return Some(self.last.1);
        }
        let index = *self.numbers.get(&number)?;
        self.last = (number, index);
        Some(index)
    }

    fn page_or_new(&mut self, number: u64) -> u32 {
        if let Some(index) = self.page(number) {
            return index;
        }
        let page = Page {
            number,
            lines: [NO_LINE; LINES],
            used: 0,
        };
        let index = match self.free_pages.pop() {
            Some(index) => {
                self.pages[index as usize] = page;
                index
            }
            None => {
                self.pages.push(page);
                (self.pages.len() - 1) as u32
            }
        };
        self.numbers.insert(number, index);
        self.last = (number, index);
        index
    }

    /// A line without blocks.
    fn new_line(&mut self) -> u32 {
        self.free_lines.pop().unwrap_or_else(|| {
            self.lines.push(Line([NONE; WORDS]));
            (self.lines.len() - 1) as u32
        })
    }

    /// Gives back a line that has no block any more, and its page if that was the last.
    fn give_back(&mut self, page: u32, line: usize, number: u32) {
        self.free_lines.push(number);
        let of = &mut self.pages[page as usize];
        of.lines[line] = NO_LINE;
        of.used -= 1;
        if of.used == 0 {
            self.numbers.remove(&of.number);
            self.free_pages.push(page);
            self.last = (NO_PAGE, 0);
        }
    }
}

/// Which line of its page an address is in, and where in the line.
#[inline]
fn parts(address: u64) -> (usize, usize) {
    let line = (address >> LINE_BITS) as usize % LINES;
    let place = (address >> ALIGNMENT_BITS) as usize % WORDS;
    (line, place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocks_of_any_size_and_site_come_back_once() {
        let most = (1 << SIZE_BITS) - 1;
        let last_site = (1 << (64 - SIZE_BITS)) - 1;
        let mut live = Live::default();
        let mut blocks = Vec::new();
        for bytes in [0, 1, most - 2, most - 1, most, most + 1, u64::MAX] {
            for site in [0, 1, last_site - 1, last_site, last_site + 1, SiteId::MAX] {
                blocks.push(Block { bytes, site });
            }
        }
        for (address, block) in (0..).step_by(16).zip(&blocks) {
            live.insert(address, *block);
        }
        for (address, block) in (0..).step_by(16).zip(&blocks) {
            assert_eq!(live.remove(address), Some(*block));
            assert_eq!(live.remove(address), None);
        }
        assert!(live.apart.is_empty());
    }

    #[test]
    fn room_is_that_of_what_is_live_and_not_of_all_that_ever_was() {
        let mut live = Live::default();
        let block = Block { bytes: 64, site: 3 };
        for address in (0..64 << 20).step_by(64) {
            live.insert(address, block);
            assert_eq!(live.remove(address), Some(block));
        }
        assert!(live.numbers.is_empty());
        assert_eq!((live.pages.len(), live.lines.len()), (1, 1));
    }

    proptest! {
        #[test]
        fn it_says_what_a_plain_map_says(
            events in prop::collection::vec((0_u64..3, 0_u64..40, 0_u64..3, 0_u32..9), 0..400)
        ) {
            let (mut live, mut plain) = (Live::default(), std::collections::HashMap::new());
            for (page, unit, odd, site) in events {
                // Some addresses are no multiples, and some are the highest.
                let address = (u64::MAX << 14) + page * 4096 + unit * 16 + odd / 2 * 5;
                let block = Block { bytes: unit << (odd * 17), site };
                match plain.remove(&address) {
                    Some(known) => prop_assert_eq!(live.remove(address), Some(known)),
                    None => {
                        prop_assert_eq!(live.remove(address), None);
                        live.insert(address, block);
                        plain.insert(address, block);
                    }
                }
            }
            for (address, block) in plain {
                prop_assert_eq!(live.remove(address), Some(block));
            }
            prop_assert!(live.numbers.is_empty() && live.apart.is_empty());
        }
    }
}
