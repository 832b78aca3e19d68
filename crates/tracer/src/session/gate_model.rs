//! [`super::gate`] under every order of its steps that the memory model allows (loom).

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

mod sync {
    pub(super) use loom::sync::atomic::{AtomicBool, Ordering, fence};
}

#[path = "gate.rs"]
mod gate;

use gate::{Gate, Presence};

struct Shared {
    gate: Gate,
    presences: [Presence; 2],
    /// Stands for the tables: loom fails if two reach it at once and one of them writes.
    tables: UnsafeCell<u32>,
}

// SAFETY: that `tables` is never reached by two at once is what the models check; loom reports it if it is.
unsafe impl Sync for Shared {}
// SAFETY: as for `Sync`.
unsafe impl Send for Shared {}

fn shared() -> Arc<Shared> {
    Arc::new(Shared {
        gate: Gate {
            is_open: sync::AtomicBool::new(true),
        },
        presences: std::array::from_fn(|_| Presence {
            is_inside: sync::AtomicBool::new(false),
        }),
        tables: UnsafeCell::new(0),
    })
}

fn event(shared: &Shared, thread: usize) {
    let presence = &shared.presences[thread];
    if shared.gate.enter(presence) {
        shared.tables.with(|tables| {
            // SAFETY: read only; whoever writes waits until nobody is inside.
            unsafe { tables.read() }
        });
        presence.leave();
    }
}

/// Shuts the gate, and looks once: a real change looks again until nobody is inside, which for a model makes no
/// difference.
fn change(shared: &Shared) {
    shared.gate.set_open(false);
    if shared.presences.iter().any(Presence::is_inside) {
        return;
    }
    shared.tables.with_mut(|tables| {
        // SAFETY: nobody is inside, and nobody enters.
        unsafe { *tables += 1 }
    });
    shared.gate.set_open(true);
}

#[test]
fn no_event_touches_the_tables_while_the_session_changes() {
    loom::model(|| {
        let shared = shared();
        let other = Arc::clone(&shared);
        let in_event = thread::spawn(move || event(&other, 0));
        change(&shared);
        in_event.join().expect("the event ends");
    });
}

#[test]
fn two_threads_in_events_are_both_seen() {
    loom::model(|| {
        let shared = shared();
        let events: Vec<_> = (0..2)
            .map(|index| {
                let other = Arc::clone(&shared);
                thread::spawn(move || event(&other, index))
            })
            .collect();
        change(&shared);
        for event in events {
            event.join().expect("the event ends");
        }
    });
}
