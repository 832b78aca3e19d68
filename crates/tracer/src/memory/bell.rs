//! A wake-up call that a signal handler may send: a counter on which threads sleep in the kernel (a futex).
//!
//! A condition variable would not do: it needs a lock, and the thread that the signal interrupts may hold it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Counts how often it was rung.
pub(crate) struct Bell(AtomicU32);

impl Bell {
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// How often it was rung so far; for [`Self::wait`].
    pub(crate) fn rung(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    /// Wakes all who wait. May be called in a signal handler.
    pub(crate) fn ring(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
        // SAFETY: the word is live, and waking has no other effect than that.
        unsafe {
            let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
            libc::syscall(libc::SYS_futex, self.0.as_ptr(), operation, i32::MAX);
        }
    }

    /// Waits until it has been rung more often than `heard` times, or `timeout` is over. May be called in a signal
    /// handler.
    pub(crate) fn wait(&self, heard: u32, timeout: Duration) {
        let began = Instant::now();
        while self.rung() == heard {
            let Some(left) = timeout
                .checked_sub(began.elapsed())
                .filter(|left| !left.is_zero())
            else {
                return;
            };
            let left = libc::timespec {
                tv_sec: libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            // SAFETY: 1. the word and the time are live. 2. The thread sleeps only if the word is still `heard`.
            // 3. Whatever wakes it, the loop looks.
            unsafe {
                let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
                libc::syscall(
                    libc::SYS_futex,
                    self.0.as_ptr(),
                    operation,
                    heard,
                    &raw const left,
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(100);

    #[test]
    fn who_waits_is_woken_by_a_ring() {
        static BELL: Bell = Bell::new();
        let heard = BELL.rung();
        let waiting = thread::spawn(move || BELL.wait(heard, LONG));
        BELL.ring();
        waiting.join().expect("it was woken");
        assert_eq!(BELL.rung(), heard + 1);
    }

    #[test]
    fn a_ring_before_the_wait_is_not_missed() {
        let bell = Bell::new();
        let heard = bell.rung();
        bell.ring();
        bell.wait(heard, LONG);
    }

    #[test]
    fn nobody_waits_longer_than_the_time_given() {
        let bell = Bell::new();
        bell.wait(bell.rung(), Duration::ZERO);
        bell.wait(bell.rung(), Duration::from_nanos(1));
    }
}
