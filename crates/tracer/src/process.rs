//! Where the resident memory of this process is: traced blocks, what allocators keep, and what only the kernel knows.
//!
//! The kernel's list of mappings is the whole. What is known of single ranges and blocks is taken away from the mapping
//! that it is in; what is left over has a name, too. So the parts add up to the whole, and none is larger than what
//! there is to have. Runs outside hooks, with the GIL, and takes time by live blocks and by mappings.

mod allocators;
mod known;
mod maps;
mod pages;
mod stacks;

use std::fs::File;
use std::io::{self, BufReader};
use std::ops::Range;

use heapsight_capture::account::{Account, Part};
use heapsight_capture::model::Domain;

use self::allocators::{Arenas, Heap};
use self::maps::{Kind, Map};
use self::pages::Pages;
use crate::config;
use crate::interpreter::event::RAW;
use crate::memory::{lock, mapping};
use crate::readout::snapshot;
use crate::tables::live_map::Block;
use crate::tables::{arenas, live_map, mappings, sampled_blocks, sites};

/// pymalloc's largest block. Larger ones it takes from `malloc`.
const LARGEST_SMALL: usize = 512;
/// What pymalloc's blocks are a multiple of.
const SMALL_STEP: usize = 16;
/// Whether such a block is resident is asked of the kernel.
const LARGE: usize = 64 << 10;

/// The account of this process.
///
/// # Errors
/// When the kernel does not tell of the mappings.
pub fn account() -> io::Result<Account> {
    let (mut maps, resident_bytes) = read_maps()?;
    mark_stacks(&mut maps, &stacks::addresses());
    let mut pages = Pages::new();
    let arenas = find_arenas(&mut pages);
    let further = known::heaps(&maps);
    let variables = known::zeroed_variables();
    let blocks = Blocks::find(heap_ranges(&maps, &further), arenas.is_some(), &mut pages);
    let (own_heap_bytes, own_mapped_bytes) = snapshot::tracer_bytes_by_kind();
    let facts = Facts {
        arenas: arenas.unwrap_or_default(),
        heap: allocators::heap(),
        further_heaps: further.iter().map(|heap| pages.resident(heap)).sum(),
        variables: variables.iter().map(|range| pages.resident(range)).sum(),
        own_heap_bytes,
        own_mapped_bytes,
        blocks,
    };
    let mut account = facts.account(&maps);
    account.resident_bytes = resident_bytes;
    Ok(account)
}

/// How often the mappings are read at most, when what is resident changes meanwhile.
const READINGS: usize = 5;

/// The mappings, and what is resident altogether, of one moment as nearly as can be had: the stack of a thread that has
/// just ended may go while they are read, and be in one and not in the other.
fn read_maps() -> io::Result<(Vec<Map>, u64)> {
    let mut reading = 1;
    loop {
        let maps = maps::read(BufReader::new(File::open("/proc/self/smaps")?))?;
        let resident = mapping::resident_now();
        let sum: u64 = maps.iter().map(|map| map.resident).sum();
        if sum.abs_diff(resident) <= resident / 64 || reading == READINGS {
            return Ok((maps, resident));
        }
        reading += 1;
    }
}

/// pymalloc's arenas: what it says of them, and those whose place is known.
#[derive(Clone, Copy, Debug, Default)]
struct KnownArenas {
    said: Option<Arenas>,
    known: u64,
    resident: u64,
}

fn find_arenas(pages: &mut Pages) -> Option<KnownArenas> {
    let said = allocators::arenas();
    let known = arenas::all(&mut lock::hold());
    if said.is_none() && known.is_empty() {
        return None;
    }
    Some(KnownArenas {
        said,
        known: known.iter().map(|arena| arena.len() as u64).sum(),
        resident: known.iter().map(|arena| pages.resident(arena)).sum(),
    })
}

/// Mappings with the stack pointer of a thread in them are stacks.
fn mark_stacks(maps: &mut [Map], addresses: &[usize]) {
    for map in maps {
        let is_stack = addresses.iter().any(|address| map.range.contains(address));
        if is_stack && map.kind == Kind::Anonymous {
            map.kind = Kind::Stack;
        }
    }
}

/// Where the heaps of `malloc` are, in the order of addresses.
fn heap_ranges(maps: &[Map], further: &[Range<usize>]) -> Vec<Range<usize>> {
    let first = maps.iter().filter(|map| map.kind == Kind::Heap);
    let mut heaps: Vec<_> = first.map(|map| map.range.clone()).collect();
    heaps.extend_from_slice(further);
    heaps.sort_by_key(|heap| heap.start);
    heaps
}

/// Sums over traced blocks, in bytes that are resident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Blocks {
    /// In pymalloc's arenas: as asked for, and rounded up as pymalloc does.
    small: u64,
    small_rounded: u64,
    /// In the heaps of `malloc`: Python's, native ones, what is around them, and what of them is not resident.
    heap_python: u64,
    heap_native: u64,
    heap_around: u64,
    heap_absent: u64,
    /// Blocks of `malloc` with a mapping of their own: the same, and the lengths of the mappings.
    mapped_python: u64,
    mapped_native: u64,
    mapped_around: u64,
    mapped_length: u64,
    /// The program's own mappings.
    private: u64,
    shared: u64,
}

impl Blocks {
    fn find(heaps: Vec<Range<usize>>, has_arenas: bool, pages: &mut Pages) -> Self {
        let mut sums = Self::default();
        let mut last = (0, 0); // neighbours often have the same site
        let mut domain_of = |site: u32| {
            if last.0 != site {
                last = (site, sites::site(site).domain());
            }
            last.1
        };
        let mut add = |address: usize, block: Block, stands_for: f64| {
            let domain = domain_of(block.site);
            let one = Self::of_one(address, block.size, domain, (&heaps, has_arenas), pages);
            sums.add(&one, stands_for);
        };
        if config::get().sample_bytes.is_some() {
            let blocks = sampled_blocks::live_with_weights(&mut lock::hold());
            for (address, block, weight) in blocks {
                add(address, block, weight.blocks as f64);
            }
        } else {
            live_map::for_each(|address, block| add(address, block, 1.0));
        }
        let mut places = Vec::new();
        mappings::for_each_piece(|range, site| places.push((range, site)));
        for (range, site) in places {
            let resident = pages.resident(&range);
            if sites::site(site).domain() == Domain::NATIVE_SHARED.0 {
                sums.shared += resident;
            } else {
                sums.private += resident;
            }
        }
        sums
    }

    fn of_one(
        address: usize,
        size: usize,
        domain: u32,
        (heaps, has_arenas): (&[Range<usize>], bool),
        pages: &mut Pages,
    ) -> Self {
        let mut sums = Self::default();
        let is_python = domain < Domain::NATIVE_MALLOC.0;
        if has_arenas && is_python && domain != RAW && size <= LARGEST_SMALL {
            sums.small = size as u64;
            sums.small_rounded = size.max(1).next_multiple_of(SMALL_STEP) as u64;
            return sums;
        }
        let block = address..address.saturating_add(size);
        let resident = if size < LARGE {
            size as u64
        } else {
            pages.resident(&block)
        };
        let following = heaps.partition_point(|heap| heap.end <= address);
        if heaps
            .get(following)
            .is_some_and(|heap| heap.start <= address)
        {
            if is_python {
                sums.heap_python = resident;
            } else {
                sums.heap_native = resident;
            }
            // A header of one word, in steps of two: `request2size` of glibc.
            let chunk = (size + 8).next_multiple_of(16).max(32);
            sums.heap_around = (chunk - size) as u64;
            sums.heap_absent = size as u64 - resident;
        } else {
            if is_python {
                sums.mapped_python = resident;
            } else {
                sums.mapped_native = resident;
            }
            if size >= LARGE {
                let whole = pages.around(&block);
                sums.mapped_around = pages.resident(&whole) - resident;
                sums.mapped_length = whole.len() as u64;
            }
        }
        sums
    }

    fn add(&mut self, one: &Self, times: f64) {
        let Self {
            small,
            small_rounded,
            heap_python,
            heap_native,
            heap_around,
            heap_absent,
            mapped_python,
            mapped_native,
            mapped_around,
            mapped_length,
            private: _,
            shared: _,
        } = *one;
        for (sum, more) in [
            (&mut self.small, small),
            (&mut self.small_rounded, small_rounded),
            (&mut self.heap_python, heap_python),
            (&mut self.heap_native, heap_native),
            (&mut self.heap_around, heap_around),
            (&mut self.heap_absent, heap_absent),
            (&mut self.mapped_python, mapped_python),
            (&mut self.mapped_native, mapped_native),
            (&mut self.mapped_around, mapped_around),
            (&mut self.mapped_length, mapped_length),
        ] {
            *sum += (more as f64 * times) as u64;
        }
    }
}

/// All that is known beside the mappings.
#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    arenas: KnownArenas,
    heap: Option<Heap>,
    /// In private memory of no file: heaps of `malloc` beside the first, and variables of libraries.
    further_heaps: u64,
    variables: u64,
    own_heap_bytes: u64,
    own_mapped_bytes: u64,
    blocks: Blocks,
}

impl Facts {
    fn account(&self, maps: &[Map]) -> Account {
        let mut account = Account::default();
        let mut heaps = 0;
        let mut anonymous = 0;
        let mut shared = 0;
        for map in maps {
            let bytes = map.resident;
            match map.kind {
                Kind::Anonymous => anonymous += bytes,
                Kind::Heap => heaps += bytes,
                Kind::Shared => shared += bytes,
                Kind::Stack => account.add(Part::Stacks, bytes),
                Kind::Library => account.add(Part::Libraries, bytes),
                Kind::File => account.add(Part::Files, bytes),
            }
            account.private_bytes += bytes.saturating_sub(map.shared);
            if matches!(map.kind, Kind::Anonymous | Kind::Heap | Kind::Stack) {
                account.copy_on_write_bytes += map.shared;
            }
            account.huge_bytes += map.huge;
            account.swapped_bytes += map.swapped;
        }
        let blocks = &self.blocks;
        let traced = Rest(&mut shared).take(blocks.shared);
        account.add(Part::NativeShared, traced);
        account.add(Part::SharedUntraced, shared);
        let mut rest = Rest(&mut anonymous);
        account.add(Part::Libraries, rest.take(self.variables));
        heaps += rest.take(self.further_heaps);
        self.divide_heaps(heaps, &mut account);
        self.divide_anonymous(anonymous, &mut account);
        account
    }

    /// The heaps of `malloc`: first what is in use, of that first what is traced.
    fn divide_heaps(&self, resident: u64, account: &mut Account) {
        let blocks = &self.blocks;
        let mut free = resident;
        let mut used = match self.heap {
            Some(heap) => Rest(&mut free).take(heap.used.saturating_sub(blocks.heap_absent)),
            None => Rest(&mut free).take(resident),
        };
        let mut used = Rest(&mut used);
        account.add(Part::Python, used.take(blocks.heap_python));
        account.add(Part::NativeMalloc, used.take(blocks.heap_native));
        account.add(Part::Overhead, used.take(blocks.heap_around));
        account.add(Part::Heapsight, used.take(self.own_heap_bytes));
        account.add(Part::MallocUntraced, *used.0);
        account.add(Part::MallocFree, free);
    }

    /// Private memory of no file, but heaps and stacks: first what is known to be in it, last what is said to be.
    fn divide_anonymous(&self, resident: u64, account: &mut Account) {
        let (blocks, arenas) = (&self.blocks, &self.arenas);
        let mut rest = resident;
        let mut rest = Rest(&mut rest);
        account.add(Part::Heapsight, rest.take(self.own_mapped_bytes));
        let mut in_arenas = rest.take(arenas.resident);
        account.add(Part::Python, rest.take(blocks.mapped_python));
        account.add(Part::NativeMalloc, rest.take(blocks.mapped_native));
        account.add(Part::Overhead, rest.take(blocks.mapped_around));
        account.add(Part::NativeMmap, rest.take(blocks.private));
        let said = arenas.said.unwrap_or(Arenas {
            all: arenas.known,
            used: blocks.small_rounded,
        });
        in_arenas += rest.take(said.all.saturating_sub(arenas.known));
        let mapped = self.heap.map_or(0, |heap| heap.mapped);
        let untraced = rest.take(mapped.saturating_sub(blocks.mapped_length));
        account.add(Part::MallocUntraced, untraced);
        account.add(Part::Other, *rest.0);

        let mut used = Rest(&mut in_arenas).take(said.used);
        let mut used = Rest(&mut used);
        account.add(Part::Python, used.take(blocks.small));
        let rounding = blocks.small_rounded - blocks.small;
        account.add(Part::Overhead, used.take(rounding));
        account.add(Part::PythonUntraced, *used.0);
        account.add(Part::ArenasFree, in_arenas);
    }
}

/// Bytes that are still to be explained.
struct Rest<'r>(&'r mut u64);

impl Rest<'_> {
    /// Takes so many away, or what there is.
    fn take(&mut self, bytes: u64) -> u64 {
        let taken = bytes.min(*self.0);
        *self.0 -= taken;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maps() -> Vec<Map> {
        let text = "\
00400000-00500000 r-xp 00000000 fe:00 17 /bin/python
Rss: 1000 kB
01000000-02000000 rw-p 00000000 00:00 0 [heap]
Rss: 2000 kB
7f0000000000-7f0000800000 rw-p 00000000 00:00 0
Rss: 8000 kB
Shared_Dirty: 300 kB
7f0000800000-7f0004000000 ---p 00000000 00:00 0
Rss: 0 kB
7f0010100000-7f0010200000 rw-p 00000000 00:00 0
Rss: 6000 kB
7f0020000000-7f0020100000 rw-p 00000000 00:00 0
Rss: 40 kB
7f0030000000-7f0030100000 rw-s 00000000 00:01 5 /dev/shm/x
Rss: 50 kB
";
        let mut maps = maps::read(text.as_bytes()).expect("it is text");
        mark_stacks(&mut maps, &[0x7f00_2000_0500, 0x100_0000]);
        maps
    }

    #[test]
    fn every_resident_byte_is_in_one_part() {
        let kb = |number: u64| number << 10;
        let facts = Facts {
            arenas: KnownArenas {
                said: Some(Arenas {
                    all: kb(3000),
                    used: kb(1500),
                }),
                known: kb(2000),
                resident: kb(1900),
            },
            heap: Some(Heap {
                used: kb(4000),
                mapped: kb(1200),
            }),
            further_heaps: kb(8000),
            variables: kb(7),
            own_heap_bytes: kb(5),
            own_mapped_bytes: kb(100),
            blocks: Blocks {
                small: kb(1000),
                small_rounded: kb(1100),
                heap_python: kb(700),
                heap_native: kb(2000),
                heap_around: kb(30),
                heap_absent: kb(10),
                mapped_python: kb(500),
                mapped_native: kb(0),
                mapped_around: kb(2),
                mapped_length: kb(800),
                private: kb(60),
                shared: kb(20),
            },
        };
        let account = facts.account(&maps());
        let expected = [
            (Part::Python, 1000 + 700 + 500),
            (Part::NativeMalloc, 2000),
            (Part::NativeMmap, 60),
            (Part::NativeShared, 20),
            (Part::PythonUntraced, 400),
            (Part::ArenasFree, 1900 + 1000 - 1500),
            (Part::MallocUntraced, 3990 - 700 - 2000 - 30 - 5 + 400),
            (Part::MallocFree, 10_000 - 3990),
            (Part::Overhead, 100 + 30 + 2),
            (Part::Stacks, 40),
            (Part::Libraries, 1000 + 7),
            (Part::Files, 0),
            (Part::SharedUntraced, 30),
            (Part::Heapsight, 105),
            (Part::Other, 6000 - 7 - 100 - 1900 - 502 - 60 - 1000 - 400),
        ];
        let found = Part::ALL.map(|part| (part, account.part(part) >> 10));
        assert_eq!(found, expected);
        assert_eq!(
            account.explained_bytes(),
            kb(1000 + 10_000 + 6000 + 40 + 50)
        );
        assert_eq!(account.copy_on_write_bytes, kb(300));
    }

    #[test]
    fn no_part_is_larger_than_what_there_is_to_have() {
        let much = 1 << 40;
        let facts = Facts {
            arenas: KnownArenas {
                said: Some(Arenas {
                    all: much,
                    used: much,
                }),
                known: much,
                resident: much,
            },
            heap: Some(Heap {
                used: much,
                mapped: much,
            }),
            further_heaps: much,
            variables: much,
            own_heap_bytes: much,
            own_mapped_bytes: much,
            blocks: Blocks {
                small: much,
                small_rounded: much,
                heap_python: much,
                heap_absent: much,
                private: much,
                shared: much,
                ..Blocks::default()
            },
        };
        let maps = maps();
        let resident: u64 = maps.iter().map(|map| map.resident).sum();
        assert_eq!(facts.account(&maps).explained_bytes(), resident);
        assert_eq!(Facts::default().account(&maps).explained_bytes(), resident);
    }

    #[test]
    fn a_block_is_where_its_size_and_its_address_say() {
        let heap = 0x1000..0x9000;
        let heaps = std::slice::from_ref(&heap);
        let mut pages = Pages::new();
        let mut find = |address, size, domain| {
            Blocks::of_one(address, size, domain, (heaps, true), &mut pages)
        };
        let small = find(0x1010, 100, 2);
        assert_eq!((small.small, small.small_rounded), (100, 112));
        let raw = find(0x1010, 100, RAW);
        assert_eq!((raw.heap_python, raw.heap_around), (100, 12));
        let native = find(0x8ff0, 5, Domain::NATIVE_MALLOC.0);
        assert_eq!((native.heap_native, native.heap_around), (5, 27));
        let elsewhere = find(0x9000, 600, 1);
        assert_eq!(elsewhere.mapped_python, 600);
    }
}
