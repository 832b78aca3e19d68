//! One word tells whether anything has happened since a site last changed: a new peak, a new tick of the recording.
//!
//! The *clock* goes up whenever an epoch of any kind begins, and never back. A site keeps, as its *stamp*, what the clock said at its last
//! change; so the one comparison that an event makes (is the stamp what the clock says?) covers every kind of epoch. Only if they differ
//! does the slow way ask each kind whether it has begun since: [`Epoch::since`]. A further kind is a further [`Epoch`], and costs the hot path
//! nothing.
//!
//! **Why no change falls between two epochs.** An event changes the site first and compares then ([`crate::tables::sites`]). Whoever begins
//! an epoch and then runs a barrier on all threads ([`crate::memory::barrier`]) knows of each event on another thread: either it sees the
//! new clock, and takes the slow way; or its changes are visible to him.

use std::sync::atomic::{AtomicU64, Ordering};

/// On a cache line of its own: read by every event, written when an epoch begins.
#[repr(align(128))]
struct Clock(AtomicU64);

/// Starts at 1: a site that never changed has the stamp 0.
static CLOCK: Clock = Clock(AtomicU64::new(1));

/// What the clock says.
#[inline(always)]
pub(crate) fn now() -> u64 {
    CLOCK.0.load(Ordering::Relaxed)
}

/// As [`now`]; what began before is visible to the caller from then on.
#[inline(always)]
pub(crate) fn now_with_epochs() -> u64 {
    CLOCK.0.load(Ordering::Acquire)
}

/// Since when something lasts that sites have to know of. Exactly the stamps from before are smaller than [`Self::since`].
pub(crate) struct Epoch(AtomicU64);

impl Epoch {
    /// One that has not begun: no stamp is from before.
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// What the clock said when it began last; 0: it has not, or has ended.
    #[inline(always)]
    pub(crate) fn since(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Begins, anew if it has begun before. Any thread may.
    pub(crate) fn begin(&self) {
        self.begin_with(|since| {
            self.0.fetch_max(since, Ordering::AcqRel);
        });
    }

    /// The same, for an epoch that is begun under the GIL only.
    #[inline(always)]
    pub(crate) fn begin_under_gil(&self) {
        self.begin_with(|since| self.0.store(since, Ordering::Release));
    }

    /// First the epoch, then the clock: who sees the new clock sees the epoch too. Should somebody else move the clock in between, sites may
    /// already carry the stamp that was to be the first of this epoch: it begins later then.
    #[inline(always)]
    fn begin_with(&self, set: impl Fn(u64)) {
        let mut now = CLOCK.0.load(Ordering::Acquire);
        loop {
            set(now + 1);
            match CLOCK
                .0
                .compare_exchange(now, now + 1, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return,
                Err(later) => now = later,
            }
        }
    }

    /// Has begun when another epoch did.
    pub(crate) fn set(&self, since: u64) {
        self.0.store(since, Ordering::Release);
    }

    /// Is over: no stamp is from before until it begins again.
    pub(crate) fn end(&self) {
        self.0.store(0, Ordering::Release);
    }
}
