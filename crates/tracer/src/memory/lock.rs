//! The tracer's only lock. It is taken to insert something new, never for a known call path.
//!
//! It is a pthread mutex, because `pthread_atfork` handlers acquire it before `fork` and release it afterwards.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Serialises changes of the tables. Held for microseconds, never while CPython is called.
struct TableLock(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: a pthread mutex is made to be shared between threads.
unsafe impl Sync for TableLock {}

static LOCK: TableLock = TableLock(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));

/// The thread that forks, as `pthread_self` tells it, while it does: the lock is its own then. 0: nobody.
static FORKING: AtomicUsize = AtomicUsize::new(0);

/// Proof that the table lock is held; unlocks it when dropped.
pub(crate) struct Held {
    is_nested: bool,
}

/// The table lock, if it is free within a few milliseconds. For somebody who has better things to do than to wait for a
/// sweep.
pub(crate) fn try_hold() -> Option<Held> {
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            std::thread::sleep(Duration::from_micros(100));
        }
        // SAFETY: as in `hold`.
        if unsafe { libc::pthread_mutex_trylock(LOCK.0.get()) } == 0 {
            return Some(Held { is_nested: false });
        }
    }
    None
}

const ATTEMPTS: u32 = 20;

/// Waits for the table lock.
pub(crate) fn hold() -> Held {
    if is_forking() {
        // Between `before_fork` and `after_fork` other handlers of this thread may allocate. Nothing of ours is in the
        // middle of a change then, so this is the one proof in use.
        return Held { is_nested: true };
    }
    // SAFETY: a statically initialised mutex; no thread takes it twice, as nothing under it allocates through Python.
    unsafe { libc::pthread_mutex_lock(LOCK.0.get()) };
    Held { is_nested: false }
}

/// Does the calling thread fork, and so hold the lock?
pub(crate) fn is_forking() -> bool {
    FORKING.load(Ordering::Relaxed) == this_thread()
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_nested {
            // SAFETY: this thread holds the mutex: such a value is made by `hold` and `try_hold` only.
            unsafe { libc::pthread_mutex_unlock(LOCK.0.get()) };
        }
    }
}

fn this_thread() -> usize {
    // SAFETY: has no preconditions.
    unsafe { libc::pthread_self() as usize }
}

/// Serialises changes of the program's mappings and of what is known of them: held while the kernel makes one. Taken
/// before the table lock where both are.
static MAPPINGS_LOCK: TableLock = TableLock(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));

/// Proof that the mappings are this thread's alone; unlocks them when dropped.
pub(crate) struct HeldMappings {
    is_nested: bool,
}

/// Waits for the lock of the mappings. The caller does not hold the table lock.
pub(crate) fn hold_mappings() -> HeldMappings {
    if FORKING.load(Ordering::Relaxed) == this_thread() {
        return HeldMappings { is_nested: true };
    }
    // SAFETY: a statically initialised mutex; no thread takes it twice: what is called under it maps nothing but by
    // `heapsight_native::system`.
    unsafe { libc::pthread_mutex_lock(MAPPINGS_LOCK.0.get()) };
    HeldMappings { is_nested: false }
}

impl Drop for HeldMappings {
    fn drop(&mut self) {
        if !self.is_nested {
            // SAFETY: this thread holds the mutex: such a value is made by `hold_mappings` only.
            unsafe { libc::pthread_mutex_unlock(MAPPINGS_LOCK.0.get()) };
        }
    }
}

/// A static that only the holder of the table lock can reach.
pub(crate) struct Guarded<T>(UnsafeCell<T>);

/// The same for the holder of the mappings' lock.
pub(crate) struct OfMappings<T>(UnsafeCell<T>);

// SAFETY: as for `Guarded`, with the other lock.
unsafe impl<T: Send> Sync for OfMappings<T> {}

impl<T> OfMappings<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The contents, for as long as the proof is lent.
    pub(crate) fn get<'held>(&'static self, _proof: &'held mut HeldMappings) -> &'held mut T {
        // SAFETY: as in `Guarded::get`, with the other lock.
        unsafe { &mut *self.0.get() }
    }
}

// SAFETY: the contents are reached through `Guarded::get` only, which takes the proof of the one global lock.
unsafe impl<T: Send> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The contents, for as long as the proof is lent.
    pub(crate) fn get<'held>(&'static self, _proof: &'held mut Held) -> &'held mut T {
        // SAFETY: 1. there is one lock and one `Held` in use at a time (see `hold` for the nested one). 2. It is
        // borrowed mutably for as long as the result lives, so no second reference to this (or any other) guarded value
        // can exist meanwhile.
        unsafe { &mut *self.0.get() }
    }
}

/// Takes the lock before `fork`, so that the tables are whole in the child.
pub(crate) extern "C" fn before_fork() {
    std::mem::forget(hold_mappings());
    std::mem::forget(hold());
    FORKING.store(this_thread(), Ordering::Relaxed);
}

/// Unlocks it, in the parent and in the child alike. The forking thread has the same number in both.
pub(crate) extern "C" fn after_fork() {
    FORKING.store(0, Ordering::Relaxed);
    drop(Held { is_nested: false });
    drop(HeldMappings { is_nested: false });
}
