//! The program's own mappings (`mmap`, `brk`): an ordered map of address ranges, under a lock of its own.
//!
//! A mapping is one block, however it is cut: it lives until its last page is unmapped. What is left of it after a
//! partial `munmap` is some *pieces*. A piece without a mapping is address space that was reserved without the right to
//! touch it (`PROT_NONE`): no memory until `mprotect` makes it some.
//!
//! What moves the break (`brk`) up is a mapping that ends when it moves down again: a stack. A program may move it down
//! by what it moved it up, if nobody has moved it in between; so nothing may be allocated for that stack while it holds
//! anything, for the C library moves the break for its blocks.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::memory::lock::{self, HeldMappings, OfMappings};
use crate::tables::live_map::Block;

static MAPPINGS: OfMappings<Mappings> = OfMappings::new(Mappings::new());
/// Pieces that there are: to be read without the lock.
static PIECES: AtomicUsize = AtomicUsize::new(0);

/// The map, for the holder of its lock.
pub(crate) fn of(held: &mut HeldMappings) -> &mut Mappings {
    MAPPINGS.get(held)
}

/// Forgets every mapping, without counting. The caller does not hold the table lock.
pub(crate) fn clear() {
    *of(&mut lock::hold_mappings()) = Mappings::new();
    PIECES.store(0, Ordering::Relaxed);
}

/// Calls `visit(address, block)` for every mapping: where its first piece is, and what is left of it.
pub(crate) fn for_each(visit: impl FnMut(usize, Block)) {
    of(&mut lock::hold_mappings()).for_each(visit);
}

/// Calls `visit(range, site)` for every piece of every mapping; what the break was raised by is none.
pub(crate) fn for_each_piece(mut visit: impl FnMut(Range<usize>, u32)) {
    let mut held = lock::hold_mappings();
    let mappings = of(&mut held);
    for (&start, piece) in &mappings.pieces {
        if let Some(mapping) = piece.of.and_then(|number| mappings.made.get(&number)) {
            visit(start..piece.end, mapping.left.site);
        }
    }
}

/// What is left of the mapping whose first piece begins at `address`.
pub(crate) fn get(address: usize) -> Option<Block> {
    let mut held = lock::hold_mappings();
    let mappings = of(&mut held);
    let mut breaks = mappings.breaks.iter();
    if let Some(raised) = breaks.find(|raised| raised.range.start == address) {
        return Some(raised.block());
    }
    let number = mappings.pieces.get(&address)?.of?;
    let mapping = mappings.made.get(&number)?;
    (mapping.first_piece == address).then_some(mapping.left)
}

/// Bytes that the map holds, about.
pub(crate) fn heap_bytes() -> u64 {
    let entry = size_of::<(usize, Piece)>() + size_of::<(u64, Mapping)>();
    // B-trees are two thirds full.
    (PIECES.load(Ordering::Relaxed) * entry * 3 / 2) as u64
}

/// Ranges of addresses and what they are of. No two overlap.
pub(crate) struct Mappings {
    /// By the first address.
    pieces: BTreeMap<usize, Piece>,
    made: BTreeMap<u64, Mapping>,
    last_number: u64,
    breaks: Vec<Break>,
}

/// What one move of the break has added.
struct Break {
    range: Range<usize>,
    site: u32,
}

impl Break {
    fn block(&self) -> Block {
        Block {
            site: self.site,
            size: self.range.len(),
        }
    }
}

#[derive(Clone, Copy)]
struct Piece {
    end: usize,
    /// The number of its mapping; `None`: reserved.
    of: Option<u64>,
}

struct Mapping {
    /// Its site, and the bytes of all its pieces.
    left: Block,
    pieces: usize,
    first_piece: usize,
    /// Where it began.
    start: usize,
}

/// Part of a mapping that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The mapping's site, and the bytes that are gone.
    pub(crate) part: Block,
    /// Where the mapping began, if nothing is left of it.
    pub(crate) whole: Option<usize>,
}

impl Mappings {
    const fn new() -> Self {
        Self {
            pieces: BTreeMap::new(),
            made: BTreeMap::new(),
            last_number: 0,
            breaks: Vec::new(),
        }
    }

    /// Makes room for one more move of the break. To be called before it is moved.
    pub(crate) fn expect_break(&mut self) {
        self.breaks.reserve(1);
    }

    /// The break was moved up over this range. Allocates nothing after [`Self::expect_break`].
    pub(crate) fn raise_break(&mut self, range: Range<usize>, site: u32) {
        self.breaks.push(Break { range, site });
    }

    /// The break was moved down to here. Tells what is gone; allocates nothing.
    pub(crate) fn lower_break(&mut self, end: usize, mut tell: impl FnMut(Ended)) {
        while let Some(last) = self.breaks.last_mut()
            && last.range.end > end
        {
            let start = last.range.start;
            let part = Block {
                site: last.site,
                size: last.range.end - end.max(start),
            };
            last.range.end = end;
            let whole = (end <= start).then_some(start);
            if whole.is_some() {
                self.breaks.pop();
            }
            tell(Ended { part, whole });
        }
    }

    /// A new mapping, where nothing is known of.
    pub(crate) fn insert(&mut self, range: Range<usize>, site: u32) {
        let number = self.new_mapping(range.start, site);
        self.add_piece(range, Some(number));
    }

    /// Address space without memory, where nothing is known of.
    pub(crate) fn reserve(&mut self, range: Range<usize>) {
        self.add_piece(range, None);
    }

    /// Does the range have reserved parts?
    pub(crate) fn has_reserved(&self, range: &Range<usize>) -> bool {
        self.overlapping(range).any(|(_, piece)| piece.of.is_none())
    }

    /// What is reserved in the range becomes one new mapping; its bytes.
    pub(crate) fn commit(&mut self, range: &Range<usize>, site: u32) -> usize {
        let reserved: Vec<Range<usize>> = self
            .overlapping(range)
            .filter(|(_, piece)| piece.of.is_none())
            .map(|(start, piece)| start.max(range.start)..piece.end.min(range.end))
            .collect();
        let Some(first) = reserved.first() else {
            return 0;
        };
        let number = self.new_mapping(first.start, site);
        let mut bytes = 0;
        for part in reserved {
            self.remove(part.clone(), |_| {});
            bytes += part.len();
            self.add_piece(part, Some(number));
        }
        bytes
    }

    /// The site of the first mapping in the range; 0 where only reserved parts are, `None` where nothing is known.
    pub(crate) fn first_site(&self, range: &Range<usize>) -> Option<u32> {
        let (_, first) = self.first_in(range)?;
        let mapping = first.of.and_then(|number| self.made.get(&number));
        Some(mapping.map_or(0, |mapping| mapping.left.site))
    }

    /// The range is mapped no more, or by something else. Tells what is gone of each mapping, piece by piece.
    pub(crate) fn remove(&mut self, range: Range<usize>, mut tell: impl FnMut(Ended)) {
        while let Some((start, piece)) = self.first_in(&range) {
            self.pieces.remove(&start);
            PIECES.fetch_sub(1, Ordering::Relaxed);
            if let Some(number) = piece.of
                && let Some(mapping) = self.made.get_mut(&number)
            {
                mapping.pieces -= 1;
                mapping.left.size -= piece.end - start;
            }
            // What lies before and behind goes back: as pieces of their own.
            if start < range.start {
                self.add_piece(start..range.start, piece.of);
            }
            if range.end < piece.end {
                self.add_piece(range.end..piece.end, piece.of);
            }
            if let Some(number) = piece.of {
                let gone = piece.end.min(range.end) - start.max(range.start);
                self.end_part(number, gone, &mut tell);
            }
        }
    }

    fn end_part(&mut self, number: u64, gone: usize, tell: &mut impl FnMut(Ended)) {
        let Some(mapping) = self.made.get(&number) else {
            return;
        };
        let (site, is_whole) = (mapping.left.site, mapping.pieces == 0);
        let start = mapping.start;
        if is_whole {
            self.made.remove(&number);
        } else if !self.pieces.contains_key(&mapping.first_piece) {
            let mut own = self.pieces.iter();
            let first = own.find(|(_, piece)| piece.of == Some(number));
            let first = first.map_or(start, |(&first, _)| first);
            if let Some(mapping) = self.made.get_mut(&number) {
                mapping.first_piece = first;
            }
        }
        tell(Ended {
            part: Block { site, size: gone },
            whole: is_whole.then_some(start),
        });
    }

    /// Calls `visit(address, block)` for every mapping.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(usize, Block)) {
        for mapping in self.made.values() {
            visit(mapping.first_piece, mapping.left);
        }
        for raised in &self.breaks {
            visit(raised.range.start, raised.block());
        }
    }

    fn new_mapping(&mut self, start: usize, site: u32) -> u64 {
        self.last_number += 1;
        let mapping = Mapping {
            left: Block { site, size: 0 },
            pieces: 0,
            first_piece: start,
            start,
        };
        self.made.insert(self.last_number, mapping);
        self.last_number
    }

    fn add_piece(&mut self, range: Range<usize>, of: Option<u64>) {
        let end = range.end;
        self.pieces.insert(range.start, Piece { end, of });
        PIECES.fetch_add(1, Ordering::Relaxed);
        if let Some(mapping) = of.and_then(|number| self.made.get_mut(&number)) {
            mapping.pieces += 1;
            mapping.left.size += range.len();
        }
    }

    fn first_in(&self, range: &Range<usize>) -> Option<(usize, Piece)> {
        self.overlapping(range).next()
    }

    /// The pieces that have a part in the range, in order.
    fn overlapping(&self, range: &Range<usize>) -> impl Iterator<Item = (usize, Piece)> {
        let before = self.pieces.range(..range.start).next_back();
        let before = before.filter(|(_, piece)| piece.end > range.start);
        let is_empty = range.is_empty();
        let inside = self.pieces.range(range.start..range.end.max(range.start));
        before
            .into_iter()
            .chain(inside)
            .filter(move |_| !is_empty)
            .map(|(&start, &piece)| (start, piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pages of the model.
    const PAGES: usize = 48;
    /// Any power of two does.
    const PAGE: usize = 4096;

    #[derive(Clone, Debug)]
    enum Event {
        Map(Range<usize>),
        Reserve(Range<usize>),
        Unmap(Range<usize>),
        Protect(Range<usize>),
    }

    fn event() -> impl Strategy<Value = Event> {
        let range =
            (0..PAGES, 1..12_usize).prop_map(|(start, pages)| start..(start + pages).min(PAGES));
        (range, 0..6_u8).prop_map(|(range, kind)| match kind {
            0 | 1 => Event::Map(range),
            2 => Event::Reserve(range),
            3 | 4 => Event::Unmap(range),
            _ => Event::Protect(range),
        })
    }

    /// What a page is of.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Page {
        Nothing,
        Reserved,
        Of(u32),
    }

    fn addresses(pages: &Range<usize>) -> Range<usize> {
        (1 + pages.start) * PAGE..(1 + pages.end) * PAGE
    }

    proptest! {
        #[test]
        fn pages_are_of_whom_a_plain_list_of_them_says(events in proptest::collection::vec(event(), 0..60)) {
            let mut mappings = Mappings::new();
            let mut model = [Page::Nothing; PAGES];
            let mut live: BTreeMap<u32, usize> = BTreeMap::new();
            for (site, event) in (1..).zip(events) {
                let mut gone: BTreeMap<u32, usize> = BTreeMap::new();
                let mut ended = Vec::new();
                let mut tell = |end: Ended| {
                    *gone.entry(end.part.site).or_default() += end.part.size / PAGE;
                    ended.extend(end.whole.map(|_| end.part.site));
                };
                match &event {
                    Event::Map(pages) | Event::Reserve(pages) | Event::Unmap(pages) => {
                        mappings.remove(addresses(pages), &mut tell);
                        let mut expected: BTreeMap<u32, usize> = BTreeMap::new();
                        for page in &mut model[pages.clone()] {
                            if let Page::Of(site) = *page {
                                *expected.entry(site).or_default() += 1;
                            }
                            *page = Page::Nothing;
                        }
                        prop_assert_eq!(&gone, &expected);
                        for (site, pages) in expected {
                            *live.get_mut(&site).expect("it was live") -= pages;
                        }
                        let over = live.iter().filter(|(_, left)| **left == 0);
                        let over: Vec<u32> = over.map(|(&site, _)| site).collect();
                        ended.sort_unstable();
                        prop_assert_eq!(&ended, &over);
                        live.retain(|_, left| *left > 0);
                    }
                    Event::Protect(pages) => {
                        let reserved = model[pages.clone()].iter().filter(|page| **page == Page::Reserved).count();
                        prop_assert_eq!(mappings.has_reserved(&addresses(pages)), reserved > 0);
                        prop_assert_eq!(mappings.commit(&addresses(pages), site), reserved * PAGE);
                        for page in model[pages.clone()].iter_mut().filter(|page| **page == Page::Reserved) {
                            *page = Page::Of(site);
                        }
                        if reserved > 0 {
                            live.insert(site, reserved);
                        }
                    }
                }
                match event {
                    Event::Map(pages) => {
                        mappings.insert(addresses(&pages), site);
                        model[pages.clone()].fill(Page::Of(site));
                        live.insert(site, pages.len());
                    }
                    Event::Reserve(pages) => {
                        mappings.reserve(addresses(&pages));
                        model[pages].fill(Page::Reserved);
                    }
                    Event::Unmap(_) | Event::Protect(_) => {}
                }
                let mut told = BTreeMap::new();
                mappings.for_each(|address, block| {
                    told.insert(block.site, (address / PAGE - 1, block.size / PAGE));
                });
                let expected: BTreeMap<u32, (usize, usize)> = live.iter().map(|(&site, &pages)| {
                    let first = model.iter().position(|page| *page == Page::Of(site)).expect("it is live");
                    (site, (first, pages))
                }).collect();
                prop_assert_eq!(told, expected);
            }
        }
    }

    #[test]
    fn a_break_that_is_lowered_ends_what_raised_it_last() {
        let mut mappings = Mappings::new();
        mappings.raise_break(0x1000..0x4000, 1);
        mappings.raise_break(0x4000..0x5000, 2);
        mappings.raise_break(0x7000..0x9000, 3); // the C library was in between
        let mut ended = Vec::new();
        mappings.lower_break(0x8000, |end| ended.push(end));
        mappings.lower_break(0x2000, |end| ended.push(end));
        mappings.lower_break(0x9000, |end| ended.push(end));
        let end = |site, size, whole| Ended {
            part: Block { site, size },
            whole,
        };
        let expected = [
            end(3, 0x1000, None),
            end(3, 0x1000, Some(0x7000)),
            end(2, 0x1000, Some(0x4000)),
            end(1, 0x2000, None),
        ];
        assert_eq!(ended, expected);
        let mut left = Vec::new();
        mappings.for_each(|address, block| left.push((address, block)));
        assert_eq!(
            left,
            [(
                0x1000,
                Block {
                    site: 1,
                    size: 0x1000
                }
            )]
        );
    }

    #[test]
    fn a_mapping_is_one_block_until_its_last_page_is_gone() {
        let mut mappings = Mappings::new();
        mappings.insert(0x1000..0x9000, 7);
        let mut ended = Vec::new();
        mappings.remove(0x3000..0x5000, |end| ended.push(end));
        mappings.remove(0x1000..0x3000, |end| ended.push(end));
        mappings.remove(0x0..0x20000, |end| ended.push(end));
        let part = |size| Block { site: 7, size };
        let expected = [(0x2000, None), (0x2000, None), (0x4000, Some(0x1000))];
        assert_eq!(
            ended,
            expected.map(|(size, whole)| Ended {
                part: part(size),
                whole
            })
        );
    }
}
