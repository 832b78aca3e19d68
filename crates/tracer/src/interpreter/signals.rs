//! The program's signals: kept away from the tracer's own threads, and what the system does at them.

/// Runs `action` with all signals blocked: a thread made by it inherits that, so signals go on being delivered to the program's own threads.
pub(crate) fn with_signals_blocked<T>(action: impl FnOnce() -> T) -> T {
    // SAFETY: plain calls on signal sets of this stack frame; the old mask is restored.
    unsafe {
        let mut all = std::mem::zeroed();
        let mut old = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut old);
        let result = action();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const old, std::ptr::null_mut());
        result
    }
}

/// What the system did at some signals at one moment.
pub struct Actions(Vec<(libc::c_int, libc::sigaction)>);

impl Actions {
    /// What it does now at the signals of these numbers. A number of no signal is left out.
    #[must_use]
    pub fn now(numbers: &[libc::c_int]) -> Self {
        let action_of = |number: &libc::c_int| {
            // SAFETY: the old action is written to a place of this stack frame, for which all zeros are a value; nothing is changed.
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
            // SAFETY: the action was in force at `now`, so its handler is a function of the process, or the system's own way.
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
