//! One word tells whether anything has happened since a site last changed: a new peak, a new tick of the recording.
//!
//! The *clock* goes up whenever an epoch of any kind begins, and never goes back. Each site stores as its *stamp* the
//! value of the clock at its last change. So an event makes one comparison (does the stamp equal the clock?) that
//! covers every kind of epoch. Only if they differ does the slow path ask each kind whether it has begun since:
//! [`Epoch::since`]. Another kind of epoch is another field of [`Epochs`] and costs the hot path nothing.
//!
//! **Why no change falls between two epochs.** An event changes the site first and compares afterwards
//! ([`crate::tables::sites`]). Whoever begins an epoch then runs a barrier on all threads ([`crate::memory::barrier`]).
//! After that, each event on another thread has either seen the new clock, and takes the slow path, or its changes are
//! visible to the thread that began the epoch.

use std::sync::atomic::{AtomicU64, Ordering};

/// On one cache line of their own: read by every event, written when an epoch begins.
#[repr(align(128))]
pub(crate) struct Epochs {
    clock: AtomicU64,
    /// Since the highest traced memory was left by a free under the GIL. Begun under the GIL only.
    pub(crate) peak_under_gil: Epoch,
    /// The same, by any other free. The later of the two counts.
    pub(crate) peak_by_others: Epoch,
    /// Since a recording's peak was left, while that is another than the peak of the program's view. See
    /// [`crate::tables::recorded`].
    pub(crate) recorded_peak: Epoch,
    /// Since sites that change have to be listed for the recording's next tick. See [`crate::tables::changed`].
    pub(crate) tick: Epoch,
}

pub(crate) static EPOCHS: Epochs = Epochs {
    // A site that never changed has the stamp 0.
    clock: AtomicU64::new(1),
    peak_under_gil: Epoch::new(),
    peak_by_others: Epoch::new(),
    recorded_peak: Epoch::new(),
    tick: Epoch::new(),
};

/// What the clock says.
#[inline(always)]
pub(crate) fn now() -> u64 {
    EPOCHS.clock.load(Ordering::Relaxed)
}

/// As [`now`]; what began before is visible to the caller from then on.
#[inline(always)]
pub(crate) fn now_with_epochs() -> u64 {
    EPOCHS.clock.load(Ordering::Acquire)
}

/// Since when something lasts that sites have to know of. Exactly the stamps from before are smaller than
/// [`Self::since`].
pub(crate) struct Epoch(AtomicU64);

impl Epoch {
    /// One that has not begun: no stamp is from before.
    const fn new() -> Self {
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

    /// First the epoch, then the clock: who sees the new clock sees the epoch too. Should somebody else move the clock
    /// in between, sites may already carry the stamp that was to be the first of this epoch: it begins later then.
    #[inline(always)]
    fn begin_with(&self, set: impl Fn(u64)) {
        let mut now = now_with_epochs();
        loop {
            set(now + 1);
            let moved =
                EPOCHS
                    .clock
                    .compare_exchange(now, now + 1, Ordering::AcqRel, Ordering::Acquire);
            match moved {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_begins_after_every_stamp_that_was_given_and_the_clock_never_goes_back() {
        let epochs = [Epoch::new(), Epoch::new(), Epoch::new()];
        std::thread::scope(|scope| {
            for epoch in &epochs {
                scope.spawn(move || {
                    for _ in 0..20_000 {
                        let stamp = now();
                        epoch.begin();
                        assert!(stamp < epoch.since());
                        assert!(epoch.since() <= now());
                    }
                });
            }
            scope.spawn(|| {
                let mut last = 0;
                for _ in 0..20_000 {
                    let clock = now_with_epochs();
                    assert!(last <= clock);
                    last = clock;
                }
            });
        });
        epochs[0].end();
        assert_eq!(epochs[0].since(), 0);
    }
}
