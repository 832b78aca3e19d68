//! The one lock of the tracer, taken only where something new is inserted: never on the way of a known call path.
//!
//! A pthread mutex, because it is taken and given back around `fork` by `pthread_atfork` handlers.

use std::cell::UnsafeCell;

/// Serialises changes of the tables. Held for microseconds, never while CPython is called.
struct TableLock(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: a pthread mutex is made to be shared between threads.
unsafe impl Sync for TableLock {}

static LOCK: TableLock = TableLock(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));

/// Proof that the table lock is held; gives it back when dropped.
pub(crate) struct Held(());

/// Waits for the table lock.
pub(crate) fn hold() -> Held {
    // SAFETY: a statically initialised mutex; no thread takes it twice, as nothing under it allocates through Python.
    unsafe { libc::pthread_mutex_lock(LOCK.0.get()) };
    Held(())
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: this thread holds the mutex: `Held` is made by `hold` only.
        unsafe { libc::pthread_mutex_unlock(LOCK.0.get()) };
    }
}

/// A static that only the holder of the table lock can reach.
pub(crate) struct Guarded<T>(UnsafeCell<T>);

// SAFETY: the contents are reached through `Guarded::get` only, which takes the proof of the one global lock.
unsafe impl<T: Send> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The contents, for as long as the proof is lent.
    pub(crate) fn get<'held>(&'static self, _proof: &'held mut Held) -> &'held mut T {
        // SAFETY: 1. there is one lock and one `Held` at a time. 2. It is borrowed mutably for as long as the result lives,
        // so no second reference to this (or any other) guarded value can exist meanwhile.
        unsafe { &mut *self.0.get() }
    }
}

/// Takes the lock before `fork`, so that the tables are whole in the child.
pub(crate) extern "C" fn before_fork() {
    std::mem::forget(hold());
}

/// Gives it back, in the parent and in the child alike.
pub(crate) extern "C" fn after_fork() {
    drop(Held(()));
}
