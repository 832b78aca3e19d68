//! Keeping the program's signals away from the tracer's own threads.

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
