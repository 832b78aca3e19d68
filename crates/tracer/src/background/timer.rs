//! A timer that fires with an allocation: the first one after its time has come has the interpreter call a function.
//!
//! A native thread sleeps until the time, then makes every thread forget its cached call path: so the next traced allocation, in whichever
//! thread, takes the slow way once (`crate::path`) and finds here that the timer is due. Hooks pay nothing for it. What is
//! called runs as a *pending call*: between two instructions of the main thread, with the GIL, outside any hook.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use heapsight_cpython::api;

use crate::interpreter::signals;
use crate::session;

/// What is called. Its argument is null; it returns 0.
pub type Callback = extern "C" fn(*mut c_void) -> c_int;

struct Timer {
    /// When to fire, on [`now`]'s clock. `None`: not armed.
    due: Option<Duration>,
    /// The thread, and the process that it lives in: a forked child has the handle but not the thread.
    thread: Option<(u32, JoinHandle<()>)>,
    /// Around a fork there is no thread.
    paused: bool,
}

static TIMER: Mutex<Timer> = Mutex::new(Timer {
    due: None,
    thread: None,
    paused: false,
});
static CHANGED: Condvar = Condvar::new();

/// Has the time come, and nobody noticed yet?
static IS_DUE: AtomicBool = AtomicBool::new(false);
static CALLBACK: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
/// Nanoseconds by which tests have moved the clock on.
static ADVANCED_NS: AtomicU64 = AtomicU64::new(0);

fn timer() -> MutexGuard<'static, Timer> {
    TIMER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Monotonic time since the first use.
fn now() -> Duration {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed()
        + Duration::from_nanos(ADVANCED_NS.load(Ordering::Relaxed))
}

/// Has `callback` called once, at the first traced allocation that is at least `delay` from now. Takes the place of what was armed before.
///
/// # Errors
/// When the system gives no thread; nothing is armed then.
pub fn arm(delay: Duration, callback: Callback) -> std::io::Result<()> {
    let mut timer = timer();
    CALLBACK.store(callback as *mut c_void, Ordering::Relaxed);
    IS_DUE.store(false, Ordering::Relaxed);
    timer.due = Some(now() + delay);
    let started = timer.start_thread();
    if started.is_err() {
        timer.due = None;
    }
    CHANGED.notify_all();
    started
}

/// Calls nothing any more. A call that is already pending still comes: the callback has to know.
pub fn disarm() {
    timer().due = None;
    IS_DUE.store(false, Ordering::Relaxed);
    CHANGED.notify_all();
}

/// Ends the thread until [`resume`].
pub(super) fn pause() {
    let mut timer = timer();
    timer.paused = true;
    let thread = timer.thread.take();
    CHANGED.notify_all();
    drop(timer);
    if let Some((pid, thread)) = thread
        && pid == std::process::id()
    {
        // It does not panic.
        let _ = thread.join();
    }
}

/// Undoes [`pause`], in the parent and in the child alike.
pub fn resume() {
    let mut timer = timer();
    timer.paused = false;
    // Without a thread the timer does not fire; nothing better can be done here.
    let _ = timer.start_thread();
}

/// Moves the timer's clock on, for tests: what is due then is due when this returns.
#[doc(hidden)]
pub fn advance(by: Duration) {
    ADVANCED_NS.fetch_add(u64::try_from(by.as_nanos()).unwrap_or(0), Ordering::Relaxed);
    timer().fire_if_due();
    CHANGED.notify_all();
}

impl Timer {
    fn start_thread(&mut self) -> std::io::Result<()> {
        let alive = self
            .thread
            .as_ref()
            .is_some_and(|(pid, thread)| *pid == std::process::id() && !thread.is_finished());
        if self.due.is_none() || self.paused || alive {
            return Ok(());
        }
        let spawn = || {
            std::thread::Builder::new()
                .name("heapsight-timer".to_owned())
                .stack_size(1 << 18)
                .spawn(wait)
        };
        let thread = signals::with_signals_blocked(spawn)?;
        // The handle of a thread that has ended, or that a fork left in the parent, must not be joined.
        if let Some((_, old)) = self.thread.replace((std::process::id(), thread)) {
            std::mem::forget(old);
        }
        Ok(())
    }

    fn fire_if_due(&mut self) {
        if self.due.is_some_and(|due| due <= now()) {
            self.due = None;
            IS_DUE.store(true, Ordering::Release);
            session::invalidate_caches();
        }
    }
}

/// The thread: lives while something is armed.
fn wait() {
    let mut timer = timer();
    while !timer.paused {
        timer.fire_if_due();
        let Some(due) = timer.due else { break };
        let left = due.saturating_sub(now());
        timer = CHANGED
            .wait_timeout(timer, left)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
    if !timer.paused {
        timer.thread = None;
    }
}

/// Called on the slow way of an allocation: hands the callback to the interpreter if the time has come.
pub(crate) fn poll() {
    if !IS_DUE.load(Ordering::Relaxed) || !IS_DUE.swap(false, Ordering::Acquire) {
        return;
    }
    let callback = CALLBACK.load(Ordering::Relaxed);
    if callback.is_null() {
        return;
    }
    // SAFETY: 1. only `arm` stores to CALLBACK, and stores a `Callback`. 2. Py_AddPendingCall needs neither the GIL nor a thread state,
    // and allocates nothing: it puts two words into a fixed table.
    let refused = unsafe {
        let callback = std::mem::transmute::<*mut c_void, Callback>(callback);
        api::Py_AddPendingCall(Some(callback), std::ptr::null_mut()) != 0
    };
    if refused {
        // The table is full: the next allocation tries again.
        IS_DUE.store(true, Ordering::Relaxed);
        session::invalidate_caches();
    }
}
