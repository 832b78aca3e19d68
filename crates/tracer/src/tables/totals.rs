//! Traced memory of the whole program: live bytes, the exact peak, and which peak it is.
//!
//! Two writers. Events under the one GIL (`Sharing::Gil`) use plain loads and stores: whoever holds the GIL is alone.
//! Events that run without it (raw domain, free-threaded builds, sub-interpreters with their own GIL) use atomic
//! read-modify-write on words of their own ([`shared_total`]). The sum is what people see.
//!
//! **Peak composition in O(1).** An epoch ([`crate::tables::epochs`]) begins with the first free after the traced
//! memory stood at its highest. Each site saves its live figures the first time it changes in an epoch (see
//! [`crate::tables::sites`]); a site that has not changed since still has them.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

use crate::interpreter::event::Sharing;
use crate::memory::lock::{self, Held};
use crate::tables::epochs::EPOCHS;
use crate::tables::{recorded, shared_total};
use crate::thread;

/// Words written under the GIL only.
#[repr(align(128))]
struct UnderGilWords {
    live_bytes: AtomicU64,
    peak_bytes: AtomicU64,
    /// Address of the block allocated last; 0 once it was freed.
    last_block: AtomicUsize,
}

/// Words written by anybody, but seldom. The live bytes are in [`shared_total`].
#[repr(align(128))]
struct SharedWords {
    peak_bytes: AtomicU64,
    /// Which peaks the memory stands at: [`VIEW`], [`RECORDED`].
    is_at_peak: AtomicU8,
    lost_events: AtomicU64,
}

static GIL: UnderGilWords = UnderGilWords {
    live_bytes: AtomicU64::new(0),
    peak_bytes: AtomicU64::new(0),
    last_block: AtomicUsize::new(0),
};
static ANY: SharedWords = SharedWords {
    peak_bytes: AtomicU64::new(0),
    is_at_peak: AtomicU8::new(0),
    lost_events: AtomicU64::new(0),
};

/// Bytes in live traced blocks. Either part may be negative when a block of one kind was freed as the other.
#[inline(always)]
pub(crate) fn live_bytes() -> u64 {
    GIL.live_bytes
        .load(Ordering::Relaxed)
        .wrapping_add_signed(shared_total::exact())
}

/// Highest value of [`live_bytes`] so far; while a recording knows more than the program sees, the number of bytes up
/// to which no peak is new.
#[inline(always)]
pub(crate) fn peak_bytes() -> u64 {
    GIL.peak_bytes
        .load(Ordering::Relaxed)
        .max(ANY.peak_bytes.load(Ordering::Relaxed))
}

/// The peak for people to read. An event without the GIL and one under it that meet at the very highest point may each
/// miss the other's bytes; what is live now was surely reached.
pub(crate) fn reported_peak_bytes() -> u64 {
    let peak = if recorded::differs() {
        recorded::view_peak_bytes()
    } else {
        peak_bytes()
    };
    peak.max(live_bytes())
}

/// When the present peak was left, by the clock of [`crate::tables::epochs`]: sites with an earlier stamp have not
/// changed since.
#[inline(always)]
pub(crate) fn epoch() -> u64 {
    let (own, others) = (&EPOCHS.peak_under_gil, &EPOCHS.peak_by_others);
    own.since().max(others.since())
}

/// The peak of what the program sees: of all that is traced, unless a recording knows more ([`recorded`]).
pub(crate) const VIEW: u8 = 1;
/// The peak of a recording that knows more.
pub(crate) const RECORDED: u8 = 2;

/// Is the traced memory at its highest right now: has nothing been freed since it got there?
#[inline(always)]
pub(crate) fn at_peak() -> bool {
    is_at_peak(VIEW)
}

/// Does the memory stand at that peak?
#[inline(always)]
pub(crate) fn is_at_peak(peak: u8) -> bool {
    ANY.is_at_peak.load(Ordering::Relaxed) & peak != 0
}

/// The memory has reached that peak.
pub(crate) fn enter_peak(peak: u8) {
    ANY.is_at_peak.fetch_or(peak, Ordering::Relaxed);
}

/// The memory leaves that peak; did it stand there?
pub(crate) fn leave(peak: u8) -> bool {
    is_at_peak(peak) && ANY.is_at_peak.fetch_and(!peak, Ordering::Relaxed) & peak != 0
}

#[inline(always)]
fn set_at_peak() {
    if !at_peak() {
        enter_peak(VIEW);
    }
}

/// Adds a block of `bytes` at `address`. Call after the site's counters were changed.
#[inline(always)]
pub(crate) fn allocated(sharing: Sharing, address: usize, bytes: u64) {
    match sharing {
        Sharing::Gil => {
            let own = GIL.live_bytes.load(Ordering::Relaxed).wrapping_add(bytes);
            GIL.live_bytes.store(own, Ordering::Relaxed);
            let total = own.wrapping_add_signed(shared_total::at_most());
            if total > peak_bytes() {
                if shared_total::is_divided() || recorded::differs() {
                    look_under_gil();
                } else {
                    GIL.peak_bytes.store(total, Ordering::Relaxed);
                    set_at_peak();
                }
            }
            GIL.last_block.store(address, Ordering::Relaxed);
        }
        Sharing::Shared => {
            let thread = thread::current();
            // SAFETY: the calling thread's own state, or null.
            let shard = unsafe { thread::shard(thread) };
            if !shared_total::is_divided() {
                let shared = shared_total::add_undivided(bytes.cast_signed());
                note_shared_peak(
                    GIL.live_bytes
                        .load(Ordering::Relaxed)
                        .wrapping_add_signed(shared),
                );
                GIL.last_block.store(address, Ordering::Relaxed);
                return;
            }
            if !shared_total::add(shard, bytes.cast_signed()) {
                look_from_shard(shard);
            }
            if GIL.last_block.load(Ordering::Relaxed) != 0 {
                GIL.last_block.store(0, Ordering::Relaxed);
            }
            if !thread.is_null() {
                // SAFETY: as above; no reference to the whole.
                unsafe { (*thread).last_block = address };
            }
        }
    }
}

/// Adds a sampled block of weight `bytes`. No such block is added or taken away but by the holder of the table lock.
pub(crate) fn allocated_by_holder(held: &mut Held, bytes: u64) {
    let own = GIL.live_bytes.load(Ordering::Relaxed).wrapping_add(bytes);
    GIL.live_bytes.store(own, Ordering::Relaxed);
    let total = live_bytes();
    if recorded::differs() {
        recorded::look(held);
    } else if total > peak_bytes() {
        GIL.peak_bytes.store(total, Ordering::Relaxed);
        set_at_peak();
    }
    if own.wrapping_add_signed(shared_total::at_most()) > peak_bytes() {
        shared_total::take_back(held, None);
    }
}

/// Takes one away.
pub(crate) fn freed_by_holder(_held: &mut Held, bytes: u64) {
    GIL.live_bytes.store(
        GIL.live_bytes.load(Ordering::Relaxed).wrapping_sub(bytes),
        Ordering::Relaxed,
    );
}

#[inline(always)]
fn note_shared_peak(total: u64) {
    if total > peak_bytes() {
        if recorded::differs() {
            recorded::look(&mut lock::hold());
            return;
        }
        ANY.peak_bytes.fetch_max(total, Ordering::Relaxed);
        set_at_peak();
    }
}

/// What is live under the GIL and all that other threads may have live pass the peak: looks whether they do.
#[cold]
#[inline(never)]
fn look_under_gil() {
    let total = live_bytes();
    if recorded::differs() {
        recorded::look(&mut lock::hold());
    } else if total > peak_bytes() {
        GIL.peak_bytes.store(total, Ordering::Relaxed);
        set_at_peak();
    }
    let under_gil = GIL.live_bytes.load(Ordering::Relaxed);
    if under_gil.wrapping_add_signed(shared_total::at_most()) > peak_bytes() {
        shared_total::take_back(&mut lock::hold(), None);
    }
}

/// `shard` has more live than it may without asking: looks whether it is a new peak.
#[cold]
#[inline(never)]
fn look_from_shard(shard: u8) {
    let mut held = lock::hold();
    if recorded::differs() {
        recorded::look(&mut held);
    } else {
        note_shared_peak(live_bytes());
    }
    let under_gil = GIL.live_bytes.load(Ordering::Relaxed);
    let ceiling = peak_bytes().wrapping_sub(under_gil).cast_signed();
    shared_total::allow(&mut held, shard, ceiling);
}

/// Starts a new epoch if the traced memory is at its highest. Call before the counters of the freed block's site
/// change.
#[inline(always)]
pub(crate) fn before_free(sharing: Sharing) {
    let stood_at = ANY.is_at_peak.load(Ordering::Relaxed);
    if stood_at != 0 {
        leave_peaks(sharing, stood_at);
    }
}

#[inline(always)]
fn leave_peaks(sharing: Sharing, stood_at: u8) {
    ANY.is_at_peak.store(0, Ordering::Relaxed);
    if stood_at & RECORDED != 0 {
        recorded::leave_peak();
    }
    if stood_at & VIEW == 0 {
        return;
    }
    match sharing {
        Sharing::Gil => EPOCHS.peak_under_gil.begin_under_gil(),
        Sharing::Shared => EPOCHS.peak_by_others.begin(),
    }
}

/// Takes a block of `bytes` away; true when it is the one allocated last (a temporary block): by anybody, or, once
/// several threads allocate side by side, by the thread that frees it.
#[inline(always)]
pub(crate) fn freed(sharing: Sharing, address: usize, bytes: u64) -> bool {
    match sharing {
        Sharing::Gil => {
            GIL.live_bytes.store(
                GIL.live_bytes.load(Ordering::Relaxed).wrapping_sub(bytes),
                Ordering::Relaxed,
            );
        }
        Sharing::Shared if !shared_total::is_divided() => {
            shared_total::add_undivided(-bytes.cast_signed());
        }
        Sharing::Shared => {
            let thread = thread::current();
            // SAFETY: the calling thread's own state, or null.
            unsafe {
                shared_total::subtract(thread::shard(thread), bytes.cast_signed());
                let temporary = !thread.is_null() && (*thread).last_block == address;
                if temporary {
                    (*thread).last_block = 0;
                }
                return temporary;
            }
        }
    }
    let temporary = GIL.last_block.load(Ordering::Relaxed) == address;
    if temporary {
        GIL.last_block.store(0, Ordering::Relaxed);
    }
    temporary
}

/// Counts an event that could not be recorded.
#[cold]
pub(crate) fn count_loss() {
    ANY.lost_events.fetch_add(1, Ordering::Relaxed);
}

/// Events that could not be recorded so far.
pub(crate) fn lost_events() -> u64 {
    ANY.lost_events.load(Ordering::Relaxed)
}

/// The number of bytes up to which no peak is new.
pub(crate) fn set_threshold(bytes: u64) {
    GIL.peak_bytes.store(bytes, Ordering::Relaxed);
    ANY.peak_bytes.store(0, Ordering::Relaxed);
}

/// What the program sees stands at its highest now.
pub(crate) fn begin_view_peak() {
    EPOCHS.peak_by_others.begin();
    enter_peak(VIEW);
}

/// The program sees nothing of what is live now.
pub(crate) fn forget_view() {
    GIL.live_bytes.store(0, Ordering::Relaxed);
    GIL.last_block.store(0, Ordering::Relaxed);
    shared_total::reset();
    begin_view_peak();
}

/// Makes the present the highest point.
pub(crate) fn reset_peak() {
    let mut held = lock::hold();
    let now = live_bytes();
    GIL.peak_bytes.store(now, Ordering::Relaxed);
    ANY.peak_bytes.store(0, Ordering::Relaxed);
    EPOCHS.peak_by_others.begin();
    ANY.is_at_peak.store(VIEW, Ordering::Relaxed);
    shared_total::take_back(&mut held, None);
}

/// Sets everything to zero.
pub(crate) fn reset() {
    recorded::reset();
    GIL.live_bytes.store(0, Ordering::Relaxed);
    GIL.peak_bytes.store(0, Ordering::Relaxed);
    GIL.last_block.store(0, Ordering::Relaxed);
    shared_total::reset();
    ANY.peak_bytes.store(0, Ordering::Relaxed);
    ANY.lost_events.store(0, Ordering::Relaxed);
    EPOCHS.peak_by_others.begin();
    ANY.is_at_peak.store(VIEW, Ordering::Relaxed);
}
