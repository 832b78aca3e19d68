//! [`super::gate`] under every order of its steps that the memory model allows (loom).

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

mod sync {
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};
}

#[path = "gate.rs"]
mod gate;

use gate::{Gate, Presence, State};

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
            state: sync::AtomicU8::new(State::Open as u8),
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
    shared.gate.set(State::Shut);
    if shared.presences.iter().any(Presence::is_inside) {
        return;
    }
    shared.tables.with_mut(|tables| {
        // SAFETY: nobody is inside, and nobody enters.
        unsafe { *tables += 1 }
    });
    shared.gate.set(State::Open);
}

/// As [`event`], where the gate may be held: it waits. Tells whether it took part.
fn patient_event(shared: &Shared, thread: usize) -> bool {
    let presence = &shared.presences[thread];
    let wait = || {
        thread::yield_now();
        true
    };
    let took_part = shared.gate.enter(presence) || shared.gate.enter_later(presence, wait);
    if took_part {
        shared.tables.with(|tables| {
            // SAFETY: as in `event`.
            unsafe { tables.read() }
        });
        presence.leave();
    }
    took_part
}

/// Holds the gate, waits until nobody is inside, and opens it again.
fn held_change(shared: &Shared) {
    shared.gate.set(State::Held);
    while shared.presences.iter().any(Presence::is_inside) {
        thread::yield_now();
    }
    shared.tables.with_mut(|tables| {
        // SAFETY: nobody is inside, and nobody enters.
        unsafe { *tables += 1 }
    });
    shared.gate.set(State::Open);
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

#[test]
fn an_event_waits_while_the_session_is_held_and_is_not_missed() {
    loom::model(|| {
        let shared = shared();
        let other = Arc::clone(&shared);
        let in_event = thread::spawn(move || patient_event(&other, 0));
        held_change(&shared);
        assert!(in_event.join().expect("the event ends"));
    });
}
