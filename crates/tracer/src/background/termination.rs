//! A last tick before SIGTERM ends the program.
//!
//! The kernel ends a process at SIGTERM without telling anybody in it. So if the program has no handler for the signal,
//! the tracer installs one: it asks the recorder's thread for a tick, waits a moment for it, and then lets the kernel
//! do what it would have done. The handler itself touches only two atomic words, because the thread that it interrupts
//! may be anywhere, inside `malloc` or a hook included.
//!
//! **What the program sees.** `signal.getsignal` returns what the interpreter noted when it started, which was before
//! our handler. If the program sets a handler, ignores the signal or asks for the default, that replaces our handler,
//! and we do not put it back. A process started by `exec` begins with the default action. A forked child inherits our
//! handler; there it finds no recorder and ends the child at once. The process still ends by SIGTERM, up to
//! [`PATIENCE`] later.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::interpreter::signals;
use crate::memory::bell::Bell;
use crate::tables::history;

/// The handler waits no longer for the tick.
const PATIENCE: Duration = Duration::from_millis(500);

/// The process whose recorder listens; 0: nobody does.
static LISTENER: AtomicU32 = AtomicU32::new(0);
static IS_ASKED: AtomicBool = AtomicBool::new(false);
static ANSWERED: Bell = Bell::new();

/// Has the program's end by SIGTERM wait for a tick, if the signal's action is the system's own. Call this with the
/// GIL, once the interpreter has looked what the actions are, and before the program runs: nobody else changes them
/// then.
pub fn arrange_last_tick() {
    // The first process of a container is never ended by a signal that it does not handle.
    let is_first = std::process::id() == 1;
    if !is_first && signals::is_default(libc::SIGTERM) {
        signals::handle(libc::SIGTERM, tick_and_die);
    }
}

/// The recorder's thread listens from now on.
pub(super) fn listen() {
    IS_ASKED.store(false, Ordering::Relaxed);
    LISTENER.store(std::process::id(), Ordering::SeqCst);
}

/// It listens no longer. Who waits for it goes on.
pub(super) fn stop_listening() {
    LISTENER.store(0, Ordering::SeqCst);
    ANSWERED.ring();
}

/// Is the process about to end?
pub(super) fn is_asked() -> bool {
    IS_ASKED.load(Ordering::Acquire)
}

/// The tick is written.
pub(super) fn answer() {
    IS_ASKED.store(false, Ordering::Release);
    ANSWERED.ring();
}

extern "C" fn tick_and_die(signal: libc::c_int) {
    let heard = ANSWERED.rung();
    if LISTENER.load(Ordering::SeqCst) == signals::process_id() {
        IS_ASKED.store(true, Ordering::Release);
        history::WRITER.ring();
        ANSWERED.wait(heard, PATIENCE);
    }
    signals::die_of(signal);
}
