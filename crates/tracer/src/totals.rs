//! Traced memory of the whole program: live bytes, the exact peak, and which peak it is.
//!
//! Two writers. Events under the one GIL (`Sharing::Gil`) use plain loads and stores: whoever holds the GIL is alone. Events
//! that run without it (raw domain, free-threaded builds, sub-interpreters with their own GIL) use atomic
//! read-modify-write on words of their own. The sum is what people see.
//!
//! **Peak composition in O(1).** `epoch` numbers the peaks: it goes up with the first free after the traced memory stood at its
//! highest. Each site saves its live figures the first time it changes in an epoch (see [`crate::sites`]); a site that has not
//! changed since still has them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Whether an event runs under the main interpreter's GIL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Alone: plain loads and stores do.
    Gil,
    /// Together with others: atomic operations.
    Shared,
}

/// Words written under the GIL only.
#[repr(align(64))]
struct UnderGil {
    live_bytes: AtomicU64,
    peak_bytes: AtomicU64,
    /// Address of the block allocated last; 0 once it was freed.
    last_block: AtomicUsize,
}

/// Words written by anybody.
#[repr(align(64))]
struct ByAnybody {
    live_bytes: AtomicU64,
    peak_bytes: AtomicU64,
    epoch: AtomicU64,
    lost_events: AtomicU64,
}

static GIL: UnderGil = UnderGil {
    live_bytes: AtomicU64::new(0),
    peak_bytes: AtomicU64::new(0),
    last_block: AtomicUsize::new(0),
};
static ANY: ByAnybody = ByAnybody {
    live_bytes: AtomicU64::new(0),
    peak_bytes: AtomicU64::new(0),
    epoch: AtomicU64::new(1),
    lost_events: AtomicU64::new(0),
};

/// Bytes in live traced blocks. The two parts wrap: one may be negative when a block of one kind was freed as the other.
#[inline(always)]
pub(crate) fn live_bytes() -> u64 {
    GIL.live_bytes
        .load(Ordering::Relaxed)
        .wrapping_add(ANY.live_bytes.load(Ordering::Relaxed))
}

/// Highest value of [`live_bytes`] so far.
#[inline(always)]
pub(crate) fn peak_bytes() -> u64 {
    GIL.peak_bytes
        .load(Ordering::Relaxed)
        .max(ANY.peak_bytes.load(Ordering::Relaxed))
}

/// The number of the present peak.
#[inline(always)]
pub(crate) fn epoch() -> u64 {
    ANY.epoch.load(Ordering::Relaxed)
}

/// Is the traced memory at its highest right now?
pub(crate) fn at_peak() -> bool {
    live_bytes() == peak_bytes()
}

/// Adds a block of `bytes` at `address`. Call after the site's counters were changed.
#[inline(always)]
pub(crate) fn allocated(sharing: Sharing, address: usize, bytes: u64) {
    match sharing {
        Sharing::Gil => {
            let own = GIL.live_bytes.load(Ordering::Relaxed).wrapping_add(bytes);
            GIL.live_bytes.store(own, Ordering::Relaxed);
            let total = own.wrapping_add(ANY.live_bytes.load(Ordering::Relaxed));
            if total > GIL.peak_bytes.load(Ordering::Relaxed) {
                GIL.peak_bytes.store(total, Ordering::Relaxed);
            }
        }
        Sharing::Shared => {
            let own = ANY
                .live_bytes
                .fetch_add(bytes, Ordering::Relaxed)
                .wrapping_add(bytes);
            let total = own.wrapping_add(GIL.live_bytes.load(Ordering::Relaxed));
            if total > ANY.peak_bytes.load(Ordering::Relaxed) {
                ANY.peak_bytes.fetch_max(total, Ordering::Relaxed);
            }
        }
    }
    GIL.last_block.store(address, Ordering::Relaxed);
}

/// Starts a new epoch if the traced memory is at its highest. Call before the counters of the freed block's site change.
#[inline(always)]
pub(crate) fn before_free(sharing: Sharing) {
    if live_bytes() == peak_bytes() {
        match sharing {
            Sharing::Gil => ANY.epoch.store(epoch() + 1, Ordering::Relaxed),
            Sharing::Shared => {
                ANY.epoch.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Takes a block of `bytes` away; true when it is the one allocated last (a temporary block).
#[inline(always)]
pub(crate) fn freed(sharing: Sharing, address: usize, bytes: u64) -> bool {
    match sharing {
        Sharing::Gil => {
            GIL.live_bytes.store(
                GIL.live_bytes.load(Ordering::Relaxed).wrapping_sub(bytes),
                Ordering::Relaxed,
            );
        }
        Sharing::Shared => {
            ANY.live_bytes.fetch_sub(bytes, Ordering::Relaxed);
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

/// Makes the present the highest point.
pub(crate) fn reset_peak() {
    let now = live_bytes();
    GIL.peak_bytes.store(now, Ordering::Relaxed);
    ANY.peak_bytes.store(0, Ordering::Relaxed);
    ANY.epoch.fetch_add(1, Ordering::Relaxed);
}

/// Sets everything to zero.
pub(crate) fn reset() {
    GIL.live_bytes.store(0, Ordering::Relaxed);
    GIL.peak_bytes.store(0, Ordering::Relaxed);
    GIL.last_block.store(0, Ordering::Relaxed);
    ANY.live_bytes.store(0, Ordering::Relaxed);
    ANY.peak_bytes.store(0, Ordering::Relaxed);
    ANY.lost_events.store(0, Ordering::Relaxed);
    ANY.epoch.fetch_add(1, Ordering::Relaxed);
}
