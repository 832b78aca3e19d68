//! Blocks that extension modules report themselves, in domains of their own: `PyTraceMalloc_Track` and
//! `PyTraceMalloc_Untrack`.
//!
//! Their addresses are the extension's and may be those of other blocks too, so they are kept apart from the live map:
//! a block is known by domain and address. They are few and large (arrays), hence a plain map under the lock.

use std::collections::HashMap;
use std::ffi::{c_int, c_uint};
use std::sync::atomic::{AtomicUsize, Ordering};

use heapsight_capture::model::Domain;
use heapsight_cpython::version::Version;

use crate::interpreter::event;
use crate::interpreter::event::Sharing;
use crate::memory::lock::{self, Guarded, Held};
use crate::session;
use crate::tables::live_map::{self, Block};
use crate::tables::{sites, totals};
use crate::thread::{self, Event};

/// Answers of both functions, as CPython's own give them.
const DONE: c_int = 0;
const NO_MEMORY: c_int = -1;
const NOT_TRACING: c_int = -2;

/// By domain (as the extension numbers it) and address.
static BLOCKS: Guarded<Option<HashMap<(u32, usize), Block>>> = Guarded::new(None);

type Track = unsafe extern "C" fn(c_uint, usize, usize) -> c_int;

/// The present [`Track`] function: it depends on the interpreter's version.
static TRACK: AtomicUsize = AtomicUsize::new(0);

/// Chooses the function behind [`track`].
pub(crate) fn set_version<V: Version>(full_paths: bool) {
    let chosen: Track = if full_paths {
        track_block::<V, true>
    } else {
        track_block::<V, false>
    };
    TRACK.store(chosen as usize, Ordering::Release);
}

/// `PyTraceMalloc_Track`: from now on `size` bytes at `address` are a live block of `domain`, in place of what was
/// known of them. 0 when done, -1 without memory for it, -2 when tracing is off. Needs no GIL.
///
/// # Safety
/// To be called by C code on a thread of this process, as the function of that name may be.
pub unsafe extern "C" fn track(domain: c_uint, address: usize, size: usize) -> c_int {
    let chosen = TRACK.load(Ordering::Acquire);
    if !session::is_tracing() || chosen == 0 {
        return NOT_TRACING;
    }
    // SAFETY: only functions of this type are stored; the rest is promised by the caller.
    unsafe { std::mem::transmute::<usize, Track>(chosen)(domain, address, size) }
}

unsafe extern "C" fn track_block<V: Version, const FULL: bool>(
    domain: c_uint,
    address: usize,
    size: usize,
) -> c_int {
    let Some(stored_domain) = domain
        .checked_add(Domain::EXTENSION_BASE)
        .filter(|domain| *domain <= sites::MAX_DOMAIN)
    else {
        totals::count_loss();
        return NO_MEMORY;
    };
    let thread = thread::current();
    if thread.is_null() {
        totals::count_loss();
        return NO_MEMORY;
    }
    // SAFETY: the thread's own state, and its own thread state of the version that runs: as in a hook of the raw
    // domain.
    let (node, _event) = unsafe {
        let (thread_state, sharing) = event::thread_state::<V, 0>((*thread).path.attached());
        let Some(event) = Event::of_sharing(thread, sharing) else {
            return NOT_TRACING;
        };
        let path = &raw mut (*thread).path;
        let node = (*path).current_apart::<V, FULL>(thread_state, sharing);
        (node, event)
    };
    let site = sites::of(node, stored_domain, Sharing::Shared);
    let fits_live_map = fits_live_map(domain, address, size);
    forget(domain, address);
    if site == sites::EXCLUDED {
        return DONE;
    }
    if site == 0 {
        totals::count_loss();
        return NO_MEMORY;
    }
    let block = Block { site, size };
    if !fits_live_map || !live_map::insert(address, block) {
        BLOCKS
            .get(&mut lock::hold())
            .get_or_insert_default()
            .insert((domain, address), block);
    }
    sites::allocated(site, address, size as u64, 1);
    DONE
}

/// `PyTraceMalloc_Untrack`: forgets the block. 0 when done, also when there was none; -2 when tracing is off. Needs no
/// GIL.
///
/// # Safety
/// As [`track`].
pub unsafe extern "C" fn untrack(domain: c_uint, address: usize) -> c_int {
    if !session::is_tracing() {
        return NOT_TRACING;
    }
    // SAFETY: the calling thread's own state or null. A call may come without the GIL.
    let Some(_event) = (unsafe { Event::of_sharing(thread::current(), Sharing::Shared) }) else {
        return NOT_TRACING;
    };
    forget(domain, address);
    DONE
}

/// Domain 0 is that of the allocators: an extension may describe one of their blocks anew. That stays in the live map,
/// where its end will be seen, if its entries have room for the new size: those of a block of up to 16 bytes have none
/// for a larger one.
fn fits_live_map(domain: u32, address: usize, size: usize) -> bool {
    domain == 0 && live_map::get(address).is_some_and(|known| known.size > 16 || size <= 16)
}

fn forget(domain: u32, address: usize) {
    let known = BLOCKS
        .get(&mut lock::hold())
        .as_mut()
        .and_then(|blocks| blocks.remove(&(domain, address)));
    let known = known.or_else(|| {
        (domain == 0 && live_map::get(address).is_some())
            .then(|| live_map::remove(address))
            .flatten()
    });
    if let Some(known) = known {
        sites::freed(known.site, address, known.size as u64, 1);
    }
}

/// Every such block with its address.
pub(crate) fn all(held: &mut Held) -> Vec<(usize, Block)> {
    BLOCKS
        .get(held)
        .iter()
        .flatten()
        .map(|(&(_, address), &block)| (address, block))
        .collect()
}

/// Forgets every such block, without counting.
pub(crate) fn clear(held: &mut Held) {
    *BLOCKS.get(held) = None;
}

/// Bytes that the table holds, from its capacity.
pub(crate) fn bytes(held: &mut Held) -> u64 {
    BLOCKS.get(held).as_ref().map_or(0, |blocks| {
        (blocks.capacity() * 8 / 7 * (size_of::<((u32, usize), Block)>() + 1)) as u64
    })
}
