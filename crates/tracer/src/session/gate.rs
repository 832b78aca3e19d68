//! Keeps events without the GIL apart from changes of the session. This file is the protocol alone, so that a model
//! checker can run it.
//!
//! An event *enters* before it touches the tables and *leaves* afterwards; whoever changes the session shuts the gate
//! and waits until nobody is inside. Both sides first write their own word and then read the other's, with a full fence
//! in between: at least one of the two sees the other. So either the event stays outside, or it is waited for.
//!
//! A gate that is *held* opens again in a moment with the same tables. So events wait at it: an event that skipped the
//! tables would be missed.

use super::sync::{AtomicBool, AtomicU8, Ordering, fence};

/// What events find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// Nobody enters.
    Shut,
    /// Whoever comes enters.
    Open,
    /// Whoever comes waits until it is one of the others.
    Held,
}

/// One for each process.
pub(crate) struct Gate {
    pub(super) state: AtomicU8,
}

/// One for each thread.
pub(crate) struct Presence {
    pub(super) is_inside: AtomicBool,
}

impl Gate {
    /// Announces an event; false when the gate is not open: the event must not touch the tables.
    #[inline(always)]
    pub(crate) fn enter(&self, presence: &Presence) -> bool {
        presence.is_inside.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let is_open = self.state.load(Ordering::Acquire) == State::Open as u8;
        if !is_open {
            presence.leave();
        }
        is_open
    }

    /// The same, after waiting while the gate is held, as long as `wait` says true.
    pub(crate) fn enter_later(&self, presence: &Presence, wait: impl Fn() -> bool) -> bool {
        loop {
            let state = self.state.load(Ordering::Acquire);
            if state == State::Shut as u8 || (state == State::Held as u8 && !wait()) {
                return false;
            }
            if state == State::Open as u8 && self.enter(presence) {
                return true;
            }
        }
    }

    /// Opens, shuts or holds the gate. One that is not open still has those inside who have entered before: see
    /// [`Presence::is_inside`].
    pub(crate) fn set(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
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
