//! Limits how much processor time the recorder may use.

use std::time::Duration;

/// Of the time that passes, one part in so many may be spent on writing what changed.
const PARTS: u32 = 100;

/// What was saved up counts no longer than this.
const SAVED: Duration = Duration::from_secs(2);

/// Time that may be spent, in nanoseconds: earned by waiting.
pub(super) struct Budget {
    left_ns: i64,
    earned_until: Duration,
}

impl Budget {
    /// As much as can be saved up.
    pub(super) fn full() -> Self {
        Self {
            left_ns: full_ns(),
            earned_until: Duration::ZERO,
        }
    }

    /// Earns for the time until `now`, on any clock that only goes forward.
    pub(super) fn accrue(&mut self, now: Duration) {
        let earned = now.saturating_sub(self.earned_until) / PARTS;
        self.earned_until = now;
        self.left_ns = self.left_ns.saturating_add(as_ns(earned)).min(full_ns());
    }

    /// Is there anything left after `used` more?
    pub(super) fn allows(&self, used: Duration) -> bool {
        as_ns(used) < self.left_ns
    }

    /// Takes what was used. More than there was is owed.
    pub(super) fn spend(&mut self, used: Duration) {
        self.left_ns = self.left_ns.saturating_sub(as_ns(used)).max(-full_ns());
    }
}

fn full_ns() -> i64 {
    as_ns(SAVED / PARTS)
}

fn as_ns(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

/// Processor time that the calling thread has used so far.
pub(super) fn thread_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is written to; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_hundredth_of_the_time_that_passes_may_be_spent() {
        let mut budget = Budget::full();
        budget.spend(20 * MS);
        assert!(!budget.allows(Duration::ZERO));
        budget.accrue(100 * MS);
        assert!(budget.allows(MS / 2));
        assert!(!budget.allows(MS));
        budget.spend(3 * MS);
        budget.accrue(300 * MS);
        assert!(!budget.allows(Duration::ZERO), "2 ms were owed");
        budget.accrue(400 * MS);
        assert!(budget.allows(MS / 2));
    }

    #[test]
    fn no_more_is_saved_up_than_two_seconds_earn() {
        let mut budget = Budget::full();
        budget.accrue(Duration::from_secs(1000));
        assert!(budget.allows(19 * MS));
        assert!(!budget.allows(20 * MS));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri's threads have no time of their own")]
    fn a_thread_that_works_uses_time() {
        let before = thread_time();
        while thread_time() == before {}
        assert!(thread_time() > before);
    }
}
