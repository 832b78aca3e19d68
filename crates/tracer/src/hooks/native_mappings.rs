//! `mmap` and its relatives, `brk` and `sbrk`, in place of the C library's, which they call.
//!
//! The kernel changes a mapping and the table is told of it under one lock: an address range that is given back may be
//! another thread's the next moment. Two changes that do not wait for each other in the program do so here.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use heapsight_capture::model::Domain;
use heapsight_cpython::version::Version;
use heapsight_native::system;

use crate::countdown::Weight;
use crate::hooks::native::thread_of_program;
use crate::interpreter::event::{self, NATIVE_MALLOC, Sharing};
use crate::memory::{lock, mapping};
use crate::session;
use crate::tables::mappings::{self, Ended, Mappings};
use crate::tables::{sites, totals};
use crate::thread::{Event, Thread};

/// Where a mapping is counted. A domain that is not one of these is none of the program's memory.
const PRIVATE: u32 = Domain::NATIVE_MMAP.0;
const SHARED: u32 = Domain::NATIVE_SHARED.0;

/// File systems whose files are nowhere but in memory, as `statfs` numbers them: tmpfs and hugetlbfs.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x9584_58f6];

/// Gives [`Place::here`] of the running version, of whole paths or the running frame alone. There is one copy of each
/// function below, and not one for each version.
type Here = unsafe fn(*mut Thread, Option<u32>) -> Option<Place<'static>>;

/// A [`Here`]; 0 until native memory is traced for the first time.
static HERE: AtomicUsize = AtomicUsize::new(0);

/// What [`begin`] has to know of the running version, and of how much of a path is recorded.
#[derive(Clone, Copy)]
pub(crate) struct Paths(Here);

pub(super) const fn paths<V: Version, const FULL: bool>() -> Paths {
    Paths(Place::here::<V, FULL>)
}

/// To be called before the functions below are.
pub(super) fn begin(paths: Paths) {
    HERE.store(paths.0 as usize, Ordering::Release);
}

/// An event under way, and where what it makes is counted.
struct Place<'thread> {
    _event: Event,
    site: u32,
    _thread: std::marker::PhantomData<&'thread Thread>,
}

impl Place<'_> {
    /// As [`Self::here`].
    ///
    /// # Safety
    /// `thread` is the calling thread's state.
    unsafe fn find(thread: *mut Thread, domain: Option<u32>) -> Option<Self> {
        let here = HERE.load(Ordering::Acquire);
        // SAFETY: 0, which is `None`, or what `begin` stored; the rest is promised by the caller.
        unsafe { std::mem::transmute::<usize, Option<Here>>(here)?(thread, domain) }
    }

    /// The site of `domain` on the call path of the calling thread; none is looked for when there is no domain. `None`
    /// when the session is closed.
    ///
    /// # Safety
    /// `thread` is the calling thread's state.
    unsafe fn here<V: Version, const FULL: bool>(
        thread: *mut Thread,
        domain: Option<u32>,
    ) -> Option<Self> {
        // SAFETY: promised by the caller; as a hook of the raw domain. The path cache is the only field that is
        // borrowed, and only while it is asked.
        unsafe {
            let event = Event::of_sharing(thread, Sharing::Shared)?;
            let (state, sharing) =
                event::thread_state::<V, NATIVE_MALLOC>((*thread).path.attached());
            let path = &raw mut (*thread).path;
            let site = domain.map_or(0, |domain| {
                let node = (*path).current_apart::<V, FULL>(state, sharing);
                let sharing = if is_sampled() {
                    Sharing::Gil // counted under the table lock: see `sampled::sample`
                } else {
                    Sharing::Shared
                };
                sites::of(node, domain, sharing)
            });
            if domain.is_some() && site == 0 {
                totals::count_loss();
            }
            Some(Self {
                _event: event,
                site: if site == sites::EXCLUDED { 0 } else { site },
                _thread: std::marker::PhantomData,
            })
        }
    }

    /// Counts a new mapping.
    fn begin(&self, mappings: &mut Mappings, range: Range<usize>) {
        if self.site != 0 && !range.is_empty() {
            self.count(range.start, range.len());
            mappings.insert(range, self.site);
        }
    }

    fn count(&self, start: usize, bytes: usize) {
        if is_sampled() {
            let weight = Weight {
                bytes: bytes as u64,
                blocks: 1,
            };
            sites::allocated_by_holder(&mut lock::hold(), self.site, weight);
        } else {
            sites::allocated(self.site, start, bytes as u64, 1);
        }
    }
}

/// Mappings are few and large: each is counted in a sample too, as what it is.
fn is_sampled() -> bool {
    session::unchecked_mode().is_sampled()
}

/// Counts what is gone of a mapping.
fn end(ended: Ended) {
    let (site, bytes) = (ended.part.site, ended.part.size as u64);
    let blocks = u64::from(ended.whole.is_some());
    if is_sampled() {
        sites::freed_by_holder(&mut lock::hold(), site, Weight { bytes, blocks }, false);
    } else {
        // No block is at address 1: a part is no temporary block.
        sites::freed(site, ended.whole.unwrap_or(1), bytes, blocks);
    }
}

/// The pages of a range.
fn pages(start: usize, length: usize, page: usize) -> Range<usize> {
    let end = start.saturating_add(length);
    start & !(page - 1)..end.checked_next_multiple_of(page).unwrap_or(end)
}

/// Bytes of the pages that a mapping with these flags is made of.
fn page_bytes(flags: c_int) -> usize {
    if flags & libc::MAP_HUGETLB == 0 {
        return mapping::page_size();
    }
    let log2 = (flags >> libc::MAP_HUGE_SHIFT) & libc::MAP_HUGE_MASK;
    // The default on both processors; a kernel that was told otherwise rounds otherwise.
    if log2 == 0 { 2 << 20 } else { 1 << log2 }
}

/// The domain of a new mapping; `None`: a file's pages, or a device's.
fn domain_of(flags: c_int, file: c_int) -> Option<u32> {
    let is_private = flags & libc::MAP_TYPE == libc::MAP_PRIVATE;
    let of_memory = if is_private { PRIVATE } else { SHARED };
    if flags & libc::MAP_ANONYMOUS != 0 {
        return Some(of_memory);
    }
    // SAFETY: plain system calls that fill the values of this frame, for which all zeroes are valid.
    unsafe {
        let mut known: libc::stat = std::mem::zeroed();
        if libc::fstat(file, &raw mut known) != 0 {
            return None;
        }
        if known.st_mode & libc::S_IFMT == libc::S_IFCHR {
            return (known.st_rdev == libc::makedev(1, 5)).then_some(of_memory); // /dev/zero
        }
        let mut system: libc::statfs = std::mem::zeroed();
        let in_memory = !is_private
            && known.st_mode & libc::S_IFMT == libc::S_IFREG
            && libc::fstatfs(file, &raw mut system) == 0
            && IN_MEMORY.contains(&(system.f_type as u64));
        in_memory.then_some(SHARED)
    }
}

pub(super) unsafe extern "C" fn mmap(
    address: *mut c_void,
    length: usize,
    protection: c_int,
    flags: c_int,
    file: c_int,
    offset: i64,
) -> *mut c_void {
    // SAFETY: the program's arguments; the calling thread's state.
    unsafe {
        let ask = || system::mmap(address, length, protection, flags, file, offset);
        let thread = thread_of_program();
        if thread.is_null() {
            return ask();
        }
        let domain = domain_of(flags, file);
        let is_reserved = domain == Some(PRIVATE) && protection == libc::PROT_NONE;
        let wanted = domain.filter(|_| !is_reserved);
        let Some(place) = Place::find(thread, wanted) else {
            return ask();
        };
        let mut held = lock::hold_mappings();
        let start = ask();
        if start != libc::MAP_FAILED {
            let range = pages(start as usize, length, page_bytes(flags));
            let mappings = mappings::of(&mut held);
            // Whatever was there is so no more: MAP_FIXED, or an end that was not seen.
            mappings.remove(range.clone(), end);
            if is_reserved {
                mappings.reserve(range);
            } else {
                place.begin(mappings, range);
            }
        }
        start
    }
}

pub(super) unsafe extern "C" fn munmap(address: *mut c_void, length: usize) -> c_int {
    // SAFETY: the program's arguments; the calling thread's state.
    unsafe {
        let thread = thread_of_program();
        if thread.is_null() {
            return system::munmap(address, length);
        }
        let Some(_event) = Event::of_sharing(thread, Sharing::Shared) else {
            return system::munmap(address, length);
        };
        let mut held = lock::hold_mappings();
        let status = system::munmap(address, length);
        if status == 0 {
            let range = pages(address as usize, length, mapping::page_size());
            mappings::of(&mut held).remove(range, end);
        }
        status
    }
}

/// As a reallocation: the old range ends, and the new one is counted where it was asked for.
pub(super) unsafe extern "C" fn mremap(
    old: *mut c_void,
    old_length: usize,
    length: usize,
    flags: c_int,
    new: *mut c_void,
) -> *mut c_void {
    // SAFETY: the program's arguments; the calling thread's state.
    unsafe {
        let ask = || system::mremap(old, old_length, length, flags, new);
        let thread = thread_of_program();
        if thread.is_null() {
            return ask();
        }
        let page = mapping::page_size();
        let before = pages(old as usize, old_length, page);
        // A length of 0 asks for another view of shared memory.
        let first = pages(old as usize, old_length.max(1), page);
        let known = mappings::of(&mut lock::hold_mappings()).first_site(&first);
        let domain = match known {
            None | Some(0) => None,
            Some(site) => Some(sites::site(site).domain()),
        };
        let Some(place) = Place::find(thread, domain) else {
            return ask();
        };
        let mut held = lock::hold_mappings();
        let start = ask();
        if start == libc::MAP_FAILED {
            return start;
        }
        let mappings = mappings::of(&mut held);
        if flags & libc::MREMAP_DONTUNMAP == 0 {
            mappings.remove(before, end);
        }
        let after = pages(start as usize, length, page);
        mappings.remove(after.clone(), end);
        if known == Some(0) {
            mappings.reserve(after);
        } else {
            place.begin(mappings, after);
        }
        start
    }
}

/// Memory that was reserved without the right to touch it is some from the moment on that it may be touched.
pub(super) unsafe extern "C" fn mprotect(
    address: *mut c_void,
    length: usize,
    protection: c_int,
) -> c_int {
    // SAFETY: the program's arguments; the calling thread's state.
    unsafe {
        let ask = || system::mprotect(address, length, protection);
        let thread = thread_of_program();
        let range = pages(address as usize, length, mapping::page_size());
        if thread.is_null()
            || protection == libc::PROT_NONE
            || !mappings::of(&mut lock::hold_mappings()).has_reserved(&range)
        {
            return ask();
        }
        let Some(place) = Place::find(thread, Some(PRIVATE)) else {
            return ask();
        };
        let mut held = lock::hold_mappings();
        let status = ask();
        if status == 0 && place.site != 0 {
            let bytes = mappings::of(&mut held).commit(&range, place.site);
            if bytes > 0 {
                place.count(range.start, bytes);
            }
        }
        status
    }
}

pub(super) unsafe extern "C" fn brk(address: *mut c_void) -> c_int {
    // SAFETY: the program's argument; asking for the present end changes nothing.
    unsafe {
        let rises = address as usize > system::sbrk(0) as usize;
        moving_break(rises, || system::brk(address))
    }
}

pub(super) unsafe extern "C" fn sbrk(bytes: isize) -> *mut c_void {
    // SAFETY: the program's argument.
    unsafe { moving_break(bytes > 0, || system::sbrk(bytes)) }
}

/// Runs `ask`, and sees by how much it moved the break. Nothing is allocated afterwards, nor where the break is lowered
/// ([`mappings`]).
unsafe fn moving_break<T>(rises: bool, ask: impl FnOnce() -> T) -> T {
    let thread = thread_of_program();
    if thread.is_null() {
        return ask();
    }
    // SAFETY: the calling thread's state; asking for the present end changes nothing.
    unsafe {
        let Some(place) = Place::find(thread, rises.then_some(PRIVATE)) else {
            return ask();
        };
        let mut held = lock::hold_mappings();
        let mappings = mappings::of(&mut held);
        if rises {
            mappings.expect_break();
        }
        let before = system::sbrk(0) as usize;
        let answer = ask();
        let after = system::sbrk(0) as usize;
        if after < before {
            mappings.lower_break(after, end);
        } else if after > before && place.site != 0 {
            place.count(before, after - before);
            mappings.raise_break(before..after, place.site);
        }
        answer
    }
}
