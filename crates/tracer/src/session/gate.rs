//! Keeping events without the GIL and changes of the session apart: the protocol alone, so that a model checker can run
//! it.
//!
//! An event *enters* before it touches the tables and *leaves* afterwards; whoever changes the session shuts the gate
//! and waits until nobody is inside. Both sides first write their own word and then read the other's, with a full fence
//! in between: at least one of the two sees the other. So either the event stays outside, or it is waited for.

use super::sync::{AtomicBool, Ordering, fence};

/// One for each process.
pub(crate) struct Gate {
    pub(super) is_open: AtomicBool,
}

/// One for each thread.
pub(crate) struct Presence {
    pub(super) is_inside: AtomicBool,
}

impl Gate {
    /// Announces an event; false when the gate is shut: the event must not touch the tables.
    #[inline(always)]
    pub(crate) fn enter(&self, presence: &Presence) -> bool {
        presence.is_inside.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let is_open = self.is_open.load(Ordering::Acquire);
        if !is_open {
            presence.leave();
        }
        is_open
    }

    /// Opens or shuts the gate. Shut, it still has those inside who have entered before: see [`Presence::is_inside`].
    pub(crate) fn set_open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Release);
        fence(Ordering::SeqCst);
    }
}

impl Presence {
    /// The event is over.
    #[inline(always)]
    pub(crate) fn leave(&self) {
        self.is_inside.store(false, Ordering::Release);
    }

    /// Is its thread inside?
    pub(crate) fn is_inside(&self) -> bool {
        self.is_inside.load(Ordering::Acquire)
    }
}
