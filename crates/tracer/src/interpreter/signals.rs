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
/// program's own threads. What the kernel sends a thread for a write of its own, the program is not told: the write was
/// ours, and it fails with an error as well.
pub(crate) fn with_signals_blocked<T>(action: impl FnOnce() -> T) -> T {
    // What the C library needs for a thread of ours is ours.
    let _apart = heapsight_native::apart();
    with_mask(&Mask::all(), || {
        let before = of_writes_pending();
        let result = action();
        for (signal, was_pending) in before {
            if !was_pending {
                take_back(signal);
            }
        }
        result
    })
}

/// Signals of a write that failed (the file may not grow, nobody reads the pipe), and whether they wait for delivery.
fn of_writes_pending() -> [(libc::c_int, bool); 2] {
    // SAFETY: the set is written to this stack frame's value, for which zeroes are a valid one.
    unsafe {
        let mut pending = std::mem::zeroed();
        libc::sigpending(&raw mut pending);
        [libc::SIGXFSZ, libc::SIGPIPE]
            .map(|signal| (signal, libc::sigismember(&raw const pending, signal) == 1))
    }
}

/// Has a blocked signal that waits for this thread not come.
fn take_back(signal: libc::c_int) {
    // SAFETY: sets and times are values of this stack frame; with no time to wait, the call returns at once.
    unsafe {
        let mut one = std::mem::zeroed();
        libc::sigemptyset(&raw mut one);
        libc::sigaddset(&raw mut one, signal);
        let at_once: libc::timespec = std::mem::zeroed();
        libc::sigtimedwait(&raw const one, std::ptr::null_mut(), &raw const at_once);
    }
}

/// Is the signal's action the system's own?
pub(crate) fn is_default(signal: libc::c_int) -> bool {
    let actions = Actions::now(&[signal]);
    let mut actions = actions.0.iter();
    actions.all(|(_, action)| action.sa_sigaction == libc::SIG_DFL)
}

/// Has `handler` called at the signal: with all signals blocked, on the thread's stack for signals if it has one, and
/// system calls that it interrupts go on.
pub(crate) fn handle(signal: libc::c_int, handler: extern "C" fn(libc::c_int)) {
    // SAFETY: 1. zeroes are a valid action, and the fields that matter are set. 2. Without `SA_SIGINFO` the kernel
    // calls a handler of one argument; it stays loaded: extension modules are never unloaded.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_ONSTACK | libc::SA_RESTART;
        action.sa_mask = Mask::all().0;
        libc::sigaction(signal, &raw const action, std::ptr::null_mut());
    }
}

/// This process's number, asked of the kernel: a child of `vfork` must not be told what its parent remembers.
pub(crate) fn process_id() -> u32 {
    // SAFETY: has no preconditions; the number is positive.
    unsafe { libc::syscall(libc::SYS_getpid) as u32 }
}

/// For a handler of `signal`: when it returns, the system does what it does by default.
pub(crate) fn die_of(signal: libc::c_int) {
    // SAFETY: 1. calls that handlers may make (signal-safety(7)). 2. The signal is blocked while its handler runs, so
    // it comes again, to this thread, when that returns.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = libc::SIG_DFL;
        libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        libc::raise(signal);
    }
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
