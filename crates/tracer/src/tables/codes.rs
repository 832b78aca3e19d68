//! Identifies code objects without holding references to them. The tracer copies the names of a code object when it
//! first sees it. The free hook reports ([`watch`]) when the object at that address ends, because another one may then
//! get its address.
//!
//! Two levels. A *live code* is an address, valid until [`forget`]. An *identity* (file, name, first line, line table)
//! has the id that call paths use; code objects that are made again and again from the same source share one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use heapsight_cpython::code::CodeIdentity;
use heapsight_cpython::line_table::{LineTable, NOT_STARTED};
use heapsight_cpython::version::Version;

use crate::config;
use crate::memory::chunked::{Chunked, Zeroed};
use crate::memory::id_table::{IdTable, hash2};
use crate::memory::lock::{self, Guarded, Held};
use crate::session;
use crate::tables::{budget, path_filter, watch};

/// A code object that is alive (or whose end nobody told us of).
#[repr(C)]
#[derive(Default)]
struct LiveCode {
    address: AtomicU64,
    identity: AtomicU32,
    /// How often paths asked for it, up to [`YOUNG`].
    asked: AtomicU32,
}

/// Code that was asked for no more often is not remembered by position: so that code which is made, run once and thrown
/// away does not make threads forget all the other code that they know.
const YOUNG: u32 = 16;

/// What is known of a code object.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub(crate) identity: u32,
    /// May its positions be remembered?
    pub(crate) is_settled: bool,
}

// SAFETY: all fields are atomic integers, valid when zero.
unsafe impl Zeroed for LiveCode {}

/// What an identity id stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Identity {
    /// A Python code object.
    Python(CodeIdentity),
    /// A thread, by name.
    Thread(String),
    /// Paths on which nothing is live any more, folded into one. See [`crate::tables::recycle`].
    Folded,
    /// Nothing: the id waits to be used again.
    Free,
}

#[derive(Default)]
struct Identities {
    ids: HashMap<Arc<Identity>, u32>,
    all: Vec<Arc<Identity>>,
    bytes: u64,
    /// Ids that no path used at the last sweep, and may be used again after the next.
    idle_ids: Vec<u32>,
    free_ids: Vec<u32>,
    /// Slots of [`LIVE`] whose code object is gone, but which the index still lists under their old hash.
    dead_slots: Vec<u32>,
    /// Slots that can be used again.
    free_slots: Vec<u32>,
}

static LIVE: Chunked<LiveCode> = Chunked::new();
static BY_ADDRESS: IdTable = IdTable::new();
static IDENTITIES: Guarded<Option<Identities>> = Guarded::new(None);

fn hash(address: u64) -> u64 {
    hash2(address >> 4, 0)
}

fn hash_of_slot(slot: u32) -> u64 {
    hash(LIVE.get(slot).address.load(Ordering::Relaxed))
}

/// Code objects that end before the index is rebuilt without them.
const REBUILD_AFTER: usize = 1024;

fn find(address: u64) -> Option<&'static LiveCode> {
    let slot = BY_ADDRESS.find(hash(address), |slot| {
        LIVE.get(slot).address.load(Ordering::Relaxed) == address
    })?;
    Some(LIVE.get(slot))
}

/// What is known of a code object.
///
/// # Safety
/// `code` is a live code object of version `V`.
pub(crate) unsafe fn known<V: Version>(code: *const u8) -> Known {
    if let Some(live) = find(code as u64) {
        let asked = live.asked.load(Ordering::Relaxed);
        if asked < YOUNG {
            live.asked.store(asked + 1, Ordering::Relaxed);
        }
        return Known {
            identity: live.identity.load(Ordering::Relaxed),
            is_settled: asked == YOUNG,
        };
    }
    // SAFETY: promised by the caller.
    let identity = unsafe { heapsight_cpython::code::identity::<V>(code) };
    Known {
        identity: insert(code as u64, identity),
        is_settled: false,
    }
}

#[cold]
#[inline(never)]
fn insert(address: u64, identity: CodeIdentity) -> u32 {
    let mut held = lock::hold();
    if let Some(live) = find(address) {
        return live.identity.load(Ordering::Relaxed);
    }
    let id = intern(&mut held, Identity::Python(identity));
    let slot = IDENTITIES
        .get(&mut held)
        .get_or_insert_default()
        .free_slots
        .pop();
    let slot = slot.unwrap_or_else(|| LIVE.len().max(1));
    if !LIVE.ensure(&mut held, slot) {
        return id;
    }
    let entry = LIVE.get(slot);
    entry.identity.store(id, Ordering::Relaxed);
    entry.asked.store(0, Ordering::Relaxed);
    entry.address.store(address, Ordering::Release);
    if slot >= LIVE.len() {
        LIVE.set_len(&mut held, slot + 1);
    }
    if BY_ADDRESS.insert(&mut held, slot, hash_of_slot) {
        watch::add(&mut held, address as usize);
    }
    id
}

fn intern(held: &mut Held, identity: Identity) -> u32 {
    let identities = IDENTITIES.get(held).get_or_insert_default();
    if let Some(&id) = identities.ids.get(&identity) {
        return id;
    }
    let bytes = identity.heap_bytes() + ENTRY_BYTES;
    identities.bytes += bytes;
    budget::add(bytes);
    let identity = Arc::new(identity);
    let id = if let Some(id) = identities.free_ids.pop() {
        identities.all[id as usize] = Arc::clone(&identity);
        id
    } else {
        identities.all.push(Arc::clone(&identity));
        (identities.all.len() - 1) as u32
    };
    identities.ids.insert(identity, id);
    id
}

/// The identity id that stands for folded paths.
pub(crate) fn folded(held: &mut Held) -> u32 {
    intern(held, Identity::Folded)
}

/// Forgets identities that neither a live code object nor a path uses; `used[id]` tells of paths. Ids are used again
/// one sweep later.
pub(crate) fn sweep(held: &mut Held, mut used: Vec<bool>) {
    for slot in 1..LIVE.len() {
        let code = LIVE.get(slot);
        let id = code.identity.load(Ordering::Relaxed) as usize;
        if code.address.load(Ordering::Relaxed) != 0 && id < used.len() {
            used[id] = true;
        }
    }
    let identities = IDENTITIES.get(held).get_or_insert_default();
    // In rising order, as ids are gone through.
    let was_idle = std::mem::take(&mut identities.idle_ids);
    let mut was_idle = was_idle.into_iter().peekable();
    for (id, identity) in (0_u32..).zip(&mut identities.all) {
        if matches!(**identity, Identity::Free | Identity::Folded) {
            continue;
        }
        while was_idle.next_if(|&idle| idle < id).is_some() {}
        let was_idle = was_idle.next_if_eq(&id).is_some();
        if used.get(id as usize).copied().unwrap_or(false) {
            if was_idle {
                // It was taken out one sweep ago.
                identities.ids.entry(Arc::clone(identity)).or_insert(id);
            }
            continue;
        }
        if identities.ids.get(identity) == Some(&id) {
            identities.ids.remove(identity);
        }
        if was_idle {
            identities.bytes = identities
                .bytes
                .saturating_sub(identity.heap_bytes() + ENTRY_BYTES);
            *identity = Arc::new(Identity::Free);
            identities.free_ids.push(id);
        } else {
            identities.idle_ids.push(id);
        }
    }
    path_filter::forget_codes(held);
}

/// The identity id that stands for a thread.
pub(crate) fn thread(name: String) -> u32 {
    intern(&mut lock::hold(), Identity::Thread(name))
}

/// The block at `address`, which [`watch::may_hold`], is about to be freed: is it a code object that is known here?
#[cold]
#[inline(never)]
pub(crate) fn ended(address: usize) {
    // Without the lock: most addresses that share a bit with a code object are none.
    if find(address as u64).is_some() {
        forget(&mut lock::hold(), address);
    }
}

/// The code object at `address` is about to be freed: its address, and instruction pointers into it, mean nothing from
/// now on.
fn forget(held: &mut Held, address: usize) {
    let address = address as u64;
    let Some(slot) = BY_ADDRESS.find(hash(address), |slot| {
        LIVE.get(slot).address.load(Ordering::Relaxed) == address
    }) else {
        return;
    };
    // The index keeps the slot under the old hash until it is rebuilt; an address of 0 equals none.
    let live = LIVE.get(slot);
    live.address.store(0, Ordering::Relaxed);
    watch::remove(held, address as usize);
    if live.asked.load(Ordering::Relaxed) < YOUNG {
        session::forget_frames();
    } else {
        session::invalidate_caches();
    }
    let identities = IDENTITIES.get(held).get_or_insert_default();
    identities.dead_slots.push(slot);
    if identities.dead_slots.len() >= REBUILD_AFTER {
        let reusable = std::mem::take(&mut identities.dead_slots);
        identities.free_slots.extend(reusable);
        let live: Vec<u32> = (1..LIVE.len())
            .filter(|&slot| LIVE.get(slot).address.load(Ordering::Relaxed) != 0)
            .collect();
        BY_ADDRESS.rebuild(held, &live, hash_of_slot);
    }
}

/// What the identity id stands for.
pub(crate) fn identity(held: &mut Held, id: u32) -> Option<Arc<Identity>> {
    IDENTITIES.get(held).as_ref()?.all.get(id as usize).cloned()
}

/// Name of an identity, for messages.
#[cfg(feature = "verify-paths")]
pub(crate) fn name(held: &mut Held, id: u32) -> String {
    match identity(held, id).as_deref() {
        Some(Identity::Python(code)) => code.name.clone(),
        Some(Identity::Thread(name)) => name.clone(),
        _ => String::new(),
    }
}

/// What the tables below take for an identity: an entry of the map, seven eighths of which are used at most, and of
/// the list.
const ENTRY_BYTES: u64 =
    ((size_of::<(Arc<Identity>, u32)>() + 1) * 3 / 2 + size_of::<Arc<Identity>>()) as u64;

/// Bytes held outside the mapped tables.
pub(crate) fn heap_bytes(held: &mut Held) -> u64 {
    IDENTITIES
        .get(held)
        .as_ref()
        .map_or(0, |identities| identities.bytes)
}

/// The same of the identities that are `used`.
pub(crate) fn bytes_of(held: &mut Held, used: &[bool]) -> u64 {
    IDENTITIES.get(held).as_ref().map_or(0, |identities| {
        let all = identities.all.iter().zip(used);
        all.filter(|(_, is_used)| **is_used)
            .map(|(identity, _)| identity.heap_bytes() + ENTRY_BYTES)
            .sum()
    })
}

/// Forgets everything.
pub(crate) fn reset(held: &mut Held) {
    *IDENTITIES.get(held) = None;
    path_filter::forget_codes(held);
    watch::clear(held);
    BY_ADDRESS.reset(held);
    LIVE.reset(held);
}

impl Identity {
    /// The line that a frame of this code at byte `offset` of its bytecode is on; 0 when there is none.
    pub(crate) fn line_at(&self, offset: u32) -> u32 {
        match self {
            Self::Python(code) => LineTable::new(
                config::line_table_format(),
                &code.line_table,
                code.first_line,
            )
            .line_at(offset)
            .unwrap_or(0),
            Self::Thread(_) | Self::Folded | Self::Free => 0,
        }
    }

    /// The same for many offsets, in rising order.
    pub(crate) fn lines_at(&self, offsets: impl Iterator<Item = u32>) -> impl Iterator<Item = u32> {
        let code = match self {
            Self::Python(code) => Some(code),
            Self::Thread(_) | Self::Folded | Self::Free => None,
        };
        let first_line = code.map_or(0, |code| code.first_line);
        let table = code.map_or(&[][..], |code| &code.line_table);
        let table = LineTable::new(config::line_table_format(), table, first_line);
        let mut ranges = table.lines().peekable();
        let is_code = code.is_some();
        offsets.map(move |offset| {
            if !is_code || offset == NOT_STARTED {
                return first_line;
            }
            while ranges.next_if(|range| range.end <= offset).is_some() {}
            ranges.peek().and_then(|range| range.line).unwrap_or(0)
        })
    }

    /// The file of a Python code object.
    pub(crate) fn filename(&self) -> Option<&str> {
        match self {
            Self::Python(code) => Some(&code.filename),
            Self::Thread(_) | Self::Folded | Self::Free => None,
        }
    }

    /// Bytes of one entry on the heap, the allocator's headers included.
    fn heap_bytes(&self) -> u64 {
        let strings = match self {
            Self::Python(code) => {
                code.filename.capacity() + code.name.capacity() + code.line_table.capacity() + 48
            }
            Self::Thread(name) => name.capacity() + 16,
            Self::Folded | Self::Free => 0,
        };
        (size_of::<Self>() + 32 + strings) as u64
    }
}
