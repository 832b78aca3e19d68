//! The program's signals: kept away from the tracer's own threads, and what the system does at them.

/// Signals that a thread has blocked.
#[derive(Clone, Copy)]
pub(crate) struct Mask(libc::sigset_t);

impl Mask {
    /// Those of the calling thread.
    pub(crate) fn of_this_thread() -> Self {
        // SAFETY: without a new mask the old one is only written to this stack frame's value, for which zeroes are a
        // valid one.
        unsafe {
            let mut mask = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &raw mut mask);
            Self(mask)
        }
    }

    fn all() -> Self {
        // SAFETY: the set of this stack frame is filled, whatever it held.
        unsafe {
            let mut mask = std::mem::zeroed();
            libc::sigfillset(&raw mut mask);
            Self(mask)
        }
    }
}

/// Runs `action` with exactly the signals of `mask` blocked.
pub(crate) fn with_mask<T>(mask: &Mask, action: impl FnOnce() -> T) -> T {
    let old = Mask::of_this_thread();
    // SAFETY: plain calls with valid sets; the old mask is restored.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const mask.0, std::ptr::null_mut());
        let result = action();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const old.0, std::ptr::null_mut());
        result
    }
}

/// Runs `action` with all signals blocked: a thread made by it inherits that, so signals go on being delivered to the
/// program's own threads.
pub(crate) fn with_signals_blocked<T>(action: impl FnOnce() -> T) -> T {
    with_mask(&Mask::all(), action)
}

/// What the system did at some signals at one moment.
pub struct Actions(Vec<(libc::c_int, libc::sigaction)>);

impl Actions {
    /// What it does now at the signals of these numbers. A number of no signal is left out.
    #[must_use]
    pub fn now(numbers: &[libc::c_int]) -> Self {
        let action_of = |number: &libc::c_int| {
            // SAFETY: the old action is written to a place of this stack frame, for which all zeros are a value;
            // nothing is changed.
            unsafe {
                let mut action = std::mem::zeroed();
                let known = libc::sigaction(*number, std::ptr::null(), &raw mut action) == 0;
                known.then_some((*number, action))
            }
        };
        Self(numbers.iter().filter_map(action_of).collect())
    }

    /// Has it do that again.
    pub fn restore(&self) {
        for (number, action) in &self.0 {
            // SAFETY: the action was in force at `now`, so its handler is a function of the process, or the system's
            // own way.
            unsafe { libc::sigaction(*number, action, std::ptr::null_mut()) };
        }
    }
}

impl std::fmt::Debug for Actions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers = self.0.iter().map(|(number, _)| number);
        f.debug_list().entries(numbers).finish()
    }
}
