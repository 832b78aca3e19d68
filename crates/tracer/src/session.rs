//! One period of tracing with one configuration, and the numbers by which cached values are recognised as out of date.
//!
//! * The **mode** is the one word that every hook reads first. Hooks stay installed; "off" is a mode.
//! * The **generation** goes up whenever the tables are emptied. Numbers of paths, sites and codes mean something
//!   within one generation only.
//! * The **cache epoch** goes up whenever what threads remember of call paths may be wrong, a new generation included.
//!
//! **Changing a session while hooks run.** Whoever changes a session holds the GIL, so no event under that GIL is in
//! progress. Events without it (raw domain, interpreters with a GIL of their own, free-threaded builds) announce
//! themselves in the [`Presence`] of their thread; [`close`] and [`hold`] wait until nobody is present ([`gate`]). From
//! then until [`open`], only the thread that changes the session reads or writes the tables. Events that arrive
//! meanwhile are not traced after [`close`]; after [`hold`] they wait.

mod gate;
#[cfg(all(test, not(miri)))] // loom switches stacks by itself
#[allow(clippy::duplicate_mod)] // the same source, with another library's atomics
mod gate_model;

mod sync {
    pub(super) use std::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};
}

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};
use std::time::{Duration, Instant};

use crate::memory::lock::{self, Guarded, Held};
use gate::{Gate, State};

/// What hooks do with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Mode(u8);

impl Mode {
    /// Pass it on.
    pub(crate) const OFF: Self = Self(0);
    /// Record every block with its whole call path.
    pub(crate) const EXACT_PATHS: Self = Self(1);
    /// Record every block with the running frame alone.
    pub(crate) const EXACT_FRAME: Self = Self(2);
    /// Record a sample of the blocks with their whole call paths.
    pub(crate) const SAMPLED_PATHS: Self = Self(3);
    /// Record a sample of the blocks with the running frame alone.
    pub(crate) const SAMPLED_FRAME: Self = Self(4);
    /// As [`Self::SAMPLED_PATHS`], and what Python's allocators ask of `malloc` must not be taken for the program's.
    pub(crate) const SAMPLED_PATHS_NATIVE: Self = Self(5);
    /// The same for [`Self::SAMPLED_FRAME`].
    pub(crate) const SAMPLED_FRAME_NATIVE: Self = Self(6);
    /// Note that a hook was reached, and then do as the [`unchecked_mode`] mode says. See [`while_checking`].
    pub(crate) const CHECKING: Self = Self(7);

    /// Is every block recorded?
    #[inline(always)]
    pub(crate) fn is_exact(self) -> bool {
        self.0.wrapping_sub(Self::EXACT_PATHS.0) <= 1
    }

    /// Is a sample of the blocks recorded?
    #[inline(always)]
    pub(crate) fn is_sampled(self) -> bool {
        self.0.wrapping_sub(Self::SAMPLED_PATHS.0) <= 3
    }
}

static MODE: AtomicU8 = AtomicU8::new(Mode::OFF.0);
/// What [`MODE`] says but for the moments of a check.
static UNCHECKED_MODE: AtomicU8 = AtomicU8::new(Mode::OFF.0);
static GATE: Gate = Gate {
    state: AtomicU8::new(State::Shut as u8),
};
/// The thread that has the gate held, as `pthread_self` tells it.
static HOLDER: AtomicUsize = AtomicUsize::new(0);
static GENERATION: AtomicU32 = AtomicU32::new(1);
/// The upper half goes up when all that a thread remembers is out of date, the lower when only its call path is. Never
/// 0 in the upper half, as the epoch of a new cache is.
static CACHE_EPOCH: AtomicU64 = AtomicU64::new(1 << FRAMES_BITS);

const FRAMES_BITS: u32 = 32;
/// The thread that checks, as `pthread_self` tells it, and the domains whose hooks it reached.
static CHECKER: AtomicUsize = AtomicUsize::new(0);
static REACHED: AtomicU8 = AtomicU8::new(0);

/// Held by whoever starts, stops or clears a session: in free-threaded builds, and with several GILs, there may be two.
static CHANGING: Mutex<()> = Mutex::new(());

/// What hooks do now.
#[inline(always)]
pub(crate) fn mode() -> Mode {
    Mode(MODE.load(Ordering::Relaxed))
}

/// What hooks do, whether or not somebody is checking them.
#[inline(always)]
pub(crate) fn unchecked_mode() -> Mode {
    Mode(UNCHECKED_MODE.load(Ordering::Relaxed))
}

/// Are blocks being traced?
#[inline(always)]
pub(crate) fn is_tracing() -> bool {
    unchecked_mode() != Mode::OFF
}

/// The number of the present generation of the tables.
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Acquire)
}

/// The epoch that a thread's cache must carry to be used.
#[inline(always)]
pub(crate) fn cache_epoch() -> u64 {
    CACHE_EPOCH.load(Ordering::Relaxed)
}

/// Makes every thread forget its cached call path, and all that it remembers, before it is used next.
pub(crate) fn invalidate_caches() {
    CACHE_EPOCH.fetch_add(1 << FRAMES_BITS, Ordering::Release);
}

/// Makes every thread forget its cached call path alone.
pub(crate) fn forget_frames() {
    CACHE_EPOCH.fetch_add(1, Ordering::Release);
}

/// Is what a thread remembers since epoch `then` out of date in the epoch `now`, and not only its cached call path?
pub(crate) fn is_outdated(then: u64, now: u64) -> bool {
    then >> FRAMES_BITS != now >> FRAMES_BITS
}

/// Makes everything that refers to the tables by number out of date. Call this while the session is closed.
pub(crate) fn begin_generation() {
    GENERATION.fetch_add(1, Ordering::AcqRel);
    invalidate_caches();
}

/// Runs `change` while nobody else changes the session.
pub(crate) fn change<T>(change: impl FnOnce() -> T) -> T {
    let _changing = CHANGING
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    change()
}

/// Lets hooks record as `mode` says. Call under [`change`].
pub(crate) fn open(mode: Mode) {
    UNCHECKED_MODE.store(mode.0, Ordering::SeqCst);
    MODE.store(mode.0, Ordering::SeqCst);
    GATE.set(if mode == Mode::OFF {
        State::Shut
    } else {
        State::Open
    });
}

/// Switches hooks off and waits until no event is under way. Call with the GIL, under [`change`].
pub(crate) fn close() {
    open(Mode::OFF);
    wait_for_events();
}

/// Has events wait until [`open`], and waits until none is under way: nothing is missed meanwhile. Call with the GIL,
/// under [`change`].
pub(crate) fn hold() {
    HOLDER.store(this_thread(), Ordering::SeqCst);
    GATE.set(State::Held);
    wait_for_events();
}

/// Runs `action` while no event is under way, and lets those go on that came meanwhile: what it reads is of one moment.
/// Events under this thread's GIL are its own, and heapsight makes none that count. Call with the GIL.
pub(crate) fn while_held<T>(action: impl FnOnce() -> T) -> T {
    struct Reopen(Mode);
    impl Drop for Reopen {
        fn drop(&mut self) {
            open(self.0);
        }
    }
    change(|| {
        let _reopen = is_tracing().then(|| {
            let mode = unchecked_mode();
            hold();
            Reopen(mode)
        });
        action()
    })
}

/// Whether the gate is held for a fork: by nobody else, then.
static IS_HELD_FOR_FORK: AtomicBool = AtomicBool::new(false);

/// Has events of other threads wait until the fork is over, and waits until none is under way: the child would have
/// half of it, for ever. Call before the table lock is taken, which an event may need to get done.
pub(crate) fn before_fork() {
    let (open, held) = (State::Open as u8, State::Held as u8);
    if GATE.state.load(Ordering::Acquire) != open {
        return;
    }
    let holder = HOLDER.swap(this_thread(), Ordering::SeqCst);
    let exchanged = GATE
        .state
        .compare_exchange(open, held, Ordering::SeqCst, Ordering::SeqCst);
    if exchanged.is_err() {
        // Shut, or held by another thread, which goes on once the fork is over.
        HOLDER.store(holder, Ordering::SeqCst);
        return;
    }
    IS_HELD_FOR_FORK.store(true, Ordering::SeqCst);
    std::sync::atomic::fence(Ordering::SeqCst);
    wait_for_events();
}

/// In parent and child.
pub(crate) fn after_fork() {
    if IS_HELD_FOR_FORK.swap(false, Ordering::SeqCst) {
        GATE.set(State::Open);
    }
}

/// In the child of a fork, which does not have the thread that held the session. It had the tables whole: they are
/// changed under the lock, which the forking thread had.
pub(crate) fn after_fork_in_child() {
    after_fork();
    if GATE.state.load(Ordering::Acquire) == State::Held as u8 {
        GATE.set(State::Open);
    }
}

/// One thread's announcement that it is inside an event without the GIL. Part of what is kept for the thread.
pub(crate) struct Presence {
    own: gate::Presence,
    next: AtomicPtr<Presence>,
}

/// The presences of all threads, linked.
static PRESENT: Guarded<AtomicPtr<Presence>> = Guarded::new(AtomicPtr::new(std::ptr::null_mut()));

impl Presence {
    pub(crate) const fn new() -> Self {
        Self {
            own: gate::Presence {
                is_inside: AtomicBool::new(false),
            },
            next: AtomicPtr::new(std::ptr::null_mut()),
        }
    }

    /// Announces an event; false when the session is closed: the event must not touch the tables.
    #[inline(always)]
    pub(crate) fn enter(&self) -> bool {
        GATE.enter(&self.own) || self.enter_later()
    }

    /// Whoever holds the session waits neither for himself nor, with the table lock, for a thread that forks.
    #[cold]
    #[inline(never)]
    fn enter_later(&self) -> bool {
        if lock::is_forking() && IS_HELD_FOR_FORK.load(Ordering::SeqCst) {
            // Nobody changes the session meanwhile: what the forking thread itself does goes on.
            self.own.is_inside.store(true, Ordering::Relaxed);
            return true;
        }
        let may_wait = HOLDER.load(Ordering::SeqCst) != this_thread() && !lock::is_forking();
        let waited = Cell::new(0_u32);
        GATE.enter_later(&self.own, || {
            // A changed session is back in microseconds. A snapshot takes longer, and wants the processor.
            if waited.replace(waited.get().saturating_add(1)) < 64 {
                std::thread::yield_now();
            } else {
                std::thread::sleep(Duration::from_micros(100));
            }
            may_wait
        })
    }

    /// The event is over.
    #[inline(always)]
    pub(crate) fn leave(&self) {
        self.own.leave();
    }
}

/// Adds a thread's presence to those that [`close`] waits for.
///
/// # Safety
/// `presence` stays where it is until [`remove`].
pub(crate) unsafe fn add(held: &mut Held, presence: *mut Presence) {
    let first = PRESENT.get(held).get_mut();
    // SAFETY: promised by the caller.
    unsafe { (*presence).next.store(*first, Ordering::Relaxed) };
    *first = presence;
}

/// Takes a thread's presence out.
pub(crate) fn remove(held: &mut Held, presence: *mut Presence) {
    let mut link: *mut AtomicPtr<Presence> = PRESENT.get(held);
    // SAFETY: links are those of the list, which only the holder of the lock changes; its members stay where they are
    // (`add`).
    unsafe {
        loop {
            let at = (*link).load(Ordering::Relaxed);
            if at.is_null() {
                return;
            }
            if at == presence {
                (*link).store((*at).next.load(Ordering::Relaxed), Ordering::Relaxed);
                return;
            }
            link = &raw mut (*at).next;
        }
    }
}

/// In the child of a fork: the forking thread is the only one. `own` is its presence, or null.
pub(crate) fn keep_only(held: &mut Held, own: *mut Presence) {
    *PRESENT.get(held).get_mut() = own;
    // SAFETY: the forking thread's own presence.
    if let Some(own) = unsafe { own.as_ref() } {
        own.next.store(std::ptr::null_mut(), Ordering::Relaxed);
    }
}

fn is_any_thread_inside() -> bool {
    let mut held = lock::hold();
    let mut at = PRESENT.get(&mut held).load(Ordering::Relaxed);
    // SAFETY: members of the list stay where they are while the lock is held.
    while let Some(presence) = unsafe { at.as_ref() } {
        if presence.own.is_inside() {
            return true;
        }
        at = presence.next.load(Ordering::Relaxed);
    }
    false
}

/// The longest that [`close`] waits. An event takes microseconds; one that is not over by then never will be: its
/// thread left it by `longjmp`, or is stopped by a debugger.
const LONGEST_EVENT: Duration = Duration::from_secs(1);

/// Waits until no event that found the session as it was before is under way.
pub(crate) fn wait_for_events() {
    let began = Instant::now();
    while is_any_thread_inside() && began.elapsed() < LONGEST_EVENT {
        std::thread::yield_now();
    }
}

/// Runs `action`, which allocates and frees, and tells which domains' hooks were reached by it: bit `n` for domain `n`.
/// Call with the GIL, under [`change`].
pub(crate) fn while_checking(action: impl FnOnce()) -> u8 {
    REACHED.store(0, Ordering::Relaxed);
    CHECKER.store(this_thread(), Ordering::SeqCst);
    MODE.store(Mode::CHECKING.0, Ordering::SeqCst);
    action();
    MODE.store(unchecked_mode().0, Ordering::SeqCst);
    CHECKER.store(0, Ordering::SeqCst);
    REACHED.load(Ordering::Relaxed)
}

/// A hook of `domain` was reached while the mode was [`Mode::CHECKING`]. Is it the checking thread's own call?
pub(crate) fn note_reached(domain: u32) -> bool {
    let is_own = CHECKER.load(Ordering::SeqCst) == this_thread();
    if is_own {
        REACHED.fetch_or(1 << domain, Ordering::Relaxed);
    }
    is_own
}

fn this_thread() -> usize {
    // SAFETY: has no preconditions.
    unsafe { libc::pthread_self() as usize }
}
