//! A timer: a native thread that sleeps until a deadline, reports it, and reports it a second time if nobody has
//! reacted.
//!
//! Each arming has a number. The first report, [`Word::Due`], asks for the call to be made at the best place; whoever
//! makes the call claims the number ([`claim`]), which succeeds once. If nobody has claimed it after [`PATIENCE`], the
//! second report, [`Word::Late`], asks for the call to be made on the timer's own thread. Arming again and disarming
//! invalidate the number, so a call that was asked for earlier is dropped.
//!
//! The thread also runs errands (`run_errand`): work that needs the GIL, found by another thread of heapsight, which
//! never takes the GIL itself.
//!
//! The thread exists while something is armed or an errand waits. It ends before a fork ([`pause`]), and for good when
//! the interpreter ends ([`end`]). If it is entering the interpreter or in it at that moment, both wait for it a short
//! time, so call them without the GIL.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::interpreter::signals;

/// What the timer says to the one who armed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The time has come.
    Due,
    /// Nobody has taken the call since.
    Late,
}

/// Number of an arming.
pub type Ticket = usize;

/// What is called with each word: on the timer's thread, without the GIL and without any lock. [`Word::Due`] may come
/// on the thread that calls [`advance`].
pub type Callback = fn(Word, Ticket);

/// For how long nobody may take the call before it is made on the timer's thread; see [`expect_nobody`].
pub const PATIENCE: Duration = Duration::from_millis(100);

/// What is called may be any Python program: as much stack as a thread of Python's has.
const STACK_BYTES: usize = 8 << 20;

/// For how long [`pause`] and [`end`] wait for a call that is being made.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What is armed.
#[derive(Clone, Copy)]
struct Armed {
    ticket: Ticket,
    callback: Callback,
    word: Word,
    /// When the word is to be said, on the timer's clock.
    at: Duration,
}

struct Timer {
    armed: Option<Armed>,
    errand: Option<fn()>,
    last_ticket: Ticket,
    /// The thread, and the process that it lives in: a forked child has the handle but not the thread.
    thread: Option<(u32, JoinHandle<()>)>,
    /// Is the thread saying a word or on an errand, and so maybe in the interpreter?
    is_speaking: bool,
    is_paused: bool,
    has_ended: bool,
    /// [`PATIENCE`], or nothing.
    patience: Duration,
    /// Signals that the thread which armed it last had blocked: those that a call on the timer's thread has blocked,
    /// too, for what it starts inherits them. Otherwise the timer's thread has all of them blocked.
    mask: Option<signals::Mask>,
    /// The time, where a test has taken the clock over.
    set_by_test: Option<Duration>,
}

static TIMER: Mutex<Timer> = Mutex::new(Timer {
    armed: None,
    errand: None,
    last_ticket: 0,
    thread: None,
    is_speaking: false,
    is_paused: false,
    has_ended: false,
    patience: PATIENCE,
    mask: None,
    set_by_test: None,
});
static CHANGED: Condvar = Condvar::new();

thread_local! {
    static IS_TIMER_THREAD: Cell<bool> = const { Cell::new(false) };
    /// Held by the thread that forks, so that the child finds the lock free.
    static HELD_FOR_FORK: Cell<Option<MutexGuard<'static, Timer>>> = const { Cell::new(None) };
}

fn timer() -> MutexGuard<'static, Timer> {
    TIMER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has `callback` called when `delay` is over. Takes the place of what was armed before. Does nothing once the
/// interpreter has ended.
///
/// # Errors
/// When the system gives no thread; nothing is armed then.
pub fn arm(delay: Duration, callback: Callback) -> std::io::Result<Ticket> {
    hold_lock_in_forks();
    let mut timer = timer();
    timer.last_ticket += 1;
    let ticket = timer.last_ticket;
    if !IS_TIMER_THREAD.get() {
        timer.mask = Some(signals::Mask::of_this_thread());
    }
    timer.armed = (!timer.has_ended).then_some(Armed {
        ticket,
        callback,
        word: Word::Due,
        at: timer.now() + delay,
    });
    let started = timer.start_thread();
    if started.is_err() {
        timer.armed = None;
    }
    CHANGED.notify_all();
    started.map(|()| ticket)
}

/// Has `errand` run on the timer's thread, without any lock: soon, or after the fork that is under way. Another one
/// that still waits is dropped.
pub(crate) fn run_errand(errand: fn()) {
    hold_lock_in_forks();
    let mut timer = timer();
    if timer.has_ended {
        return;
    }
    timer.errand = Some(errand);
    // Without a thread it stays to be done.
    let _ = timer.start_thread();
    CHANGED.notify_all();
}

/// Takes back what is armed.
pub fn disarm() {
    timer().armed = None;
    CHANGED.notify_all();
}

/// Takes the call of this number: true for the first who asks, unless it was taken back.
pub fn claim(ticket: Ticket) -> bool {
    let taken = timer()
        .armed
        .take_if(|armed| armed.ticket == ticket)
        .is_some();
    CHANGED.notify_all();
    taken
}

/// From now on there is nobody who would take a call at its first word: the second one comes at once.
pub fn expect_nobody() {
    timer().patience = Duration::ZERO;
}

/// Is there a thread that [`pause`] would have to wait for?
#[must_use]
pub fn has_thread() -> bool {
    timer().thread.is_some()
}

/// Ends the thread until [`resume`]. Call this before a fork, without the GIL: Python 3.12 and newer warns of a fork
/// in a process with other threads. A call that takes longer than a second goes on.
pub fn pause() {
    let mut timer = timer();
    timer.is_paused = true;
    end_thread(timer);
}

/// Undoes [`pause`], in the parent and in the child alike.
pub fn resume() {
    let mut timer = timer();
    timer.is_paused = false;
    // Without a thread the timer says nothing; nothing better can be done here.
    let _ = timer.start_thread();
}

/// Nothing is said from now on. Call this when the interpreter ends, without the GIL. A call that takes longer than
/// a second is left alone.
pub fn end() {
    let mut timer = timer();
    timer.has_ended = true;
    timer.armed = None;
    timer.errand = None;
    end_thread(timer);
}

/// Undoes [`end`]: an interpreter has begun.
pub fn begin() {
    timer().has_ended = false;
}

/// Moves the timer's clock on, for tests: from the first time on it moves by this alone. What is due then has been said
/// when this returns; what is late then is said by the thread.
#[doc(hidden)]
pub fn advance(by: Duration) {
    let mut timer = timer();
    timer.set_by_test = Some(timer.now() + by);
    let due = timer.take_word(Some(Word::Due));
    drop(timer);
    if let Some((callback, word, ticket)) = due {
        callback(word, ticket);
    }
    CHANGED.notify_all();
}

impl Timer {
    /// Monotonic time since the first use.
    fn now(&self) -> Duration {
        static FIRST: OnceLock<Instant> = OnceLock::new();
        self.set_by_test
            .unwrap_or_else(|| FIRST.get_or_init(Instant::now).elapsed())
    }

    /// What is to be said now, if its time has come; what comes after it is armed then.
    fn take_word(&mut self, only: Option<Word>) -> Option<(Callback, Word, Ticket)> {
        let now = self.now();
        let armed = self
            .armed
            .as_mut()
            .filter(|armed| armed.at <= now && only.is_none_or(|only| only == armed.word))?;
        let said = (armed.callback, armed.word, armed.ticket);
        match armed.word {
            Word::Due => (armed.word, armed.at) = (Word::Late, now + self.patience),
            // Not said again; it can still be claimed.
            Word::Late => armed.at = Duration::MAX,
        }
        Some(said)
    }

    fn start_thread(&mut self) -> std::io::Result<()> {
        let is_alive = self
            .thread
            .as_ref()
            .is_some_and(|(pid, thread)| *pid == std::process::id() && !thread.is_finished());
        let is_idle = self.armed.is_none() && self.errand.is_none();
        if is_idle || self.is_paused || is_alive {
            return Ok(());
        }
        let spawn = || {
            std::thread::Builder::new()
                .name("heapsight-timer".to_owned())
                .stack_size(STACK_BYTES)
                .spawn(run)
        };
        let thread = signals::with_signals_blocked(spawn)?;
        // The handle of a thread that has ended, or that a fork left in the parent, must not be joined.
        if let Some((_, old)) = self.thread.replace((std::process::id(), thread)) {
            std::mem::forget(old);
        }
        self.is_speaking = false;
        Ok(())
    }
}

/// Has the thread end, and waits until it has; a moment only while it is saying something.
fn end_thread(mut timer: MutexGuard<'static, Timer>) {
    CHANGED.notify_all();
    let began = Instant::now();
    // Called by what the thread itself has called, it cannot end before that returns.
    while timer.is_speaking && !IS_TIMER_THREAD.get() {
        let Some(left) = LONGEST_WAIT.checked_sub(began.elapsed()) else {
            break;
        };
        timer = CHANGED
            .wait_timeout(timer, left)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
    if timer.is_speaking {
        return; // it ends by itself, or goes on if it may again by then
    }
    let thread = timer.thread.take();
    drop(timer);
    if let Some((pid, thread)) = thread {
        if pid == std::process::id() {
            // It does not panic.
            let _ = thread.join();
        } else {
            std::mem::forget(thread);
        }
    }
}

/// The thread.
fn run() {
    IS_TIMER_THREAD.set(true);
    let pid = std::process::id();
    let mut timer = timer();
    while !timer.is_paused && !timer.has_ended {
        let errand = timer.errand.take();
        let word = errand.map_or_else(|| timer.take_word(None), |_| None);
        if errand.is_some() || word.is_some() {
            timer.is_speaking = true;
            let mask = timer.mask;
            drop(timer);
            match (word, mask) {
                (None, _) => errand.into_iter().for_each(|errand| errand()),
                (Some((callback, word @ Word::Late, ticket)), Some(mask)) => {
                    signals::with_mask(&mask, || callback(word, ticket));
                }
                (Some((callback, word, ticket)), _) => callback(word, ticket),
            }
            if std::process::id() != pid {
                return; // a child that the call made by a fork has a thread of its own if it needs one
            }
            timer = self::timer();
            timer.is_speaking = false;
            CHANGED.notify_all();
            continue;
        }
        let Some(armed) = timer.armed else { break };
        timer = if timer.set_by_test.is_some() || armed.at == Duration::MAX {
            CHANGED.wait(timer).unwrap_or_else(PoisonError::into_inner)
        } else {
            let left = armed.at.saturating_sub(timer.now());
            CHANGED
                .wait_timeout(timer, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0
        };
    }
    timer.thread = None; // whoever waits for it has taken the handle
}

/// From now on a child made by fork finds the lock free, whatever the thread was doing.
fn hold_lock_in_forks() {
    static ONCE: Once = Once::new();
    extern "C" fn before() {
        // A thread that is ending has no such place any more; then the lock is not held.
        let _ = HELD_FOR_FORK.try_with(|held| held.set(Some(timer())));
    }
    extern "C" fn after() {
        let _ = HELD_FOR_FORK.try_with(Cell::take);
    }
    ONCE.call_once(|| {
        // SAFETY: the handlers take no arguments, do not unwind, and stay loaded: extension modules are never unloaded.
        unsafe { libc::pthread_atfork(Some(before), Some(after), Some(after)) };
    });
}
