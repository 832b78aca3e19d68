//! How much memory the tracer itself holds. It is measured rarely, because measuring takes time in proportion to the
//! size of the tables.

use std::time::{Duration, Instant};

use crate::readout::snapshot;

/// Asking took so long that it may take one part in so many of the time.
const PARTS: u32 = 1000;

#[derive(Default)]
pub(super) struct TracerBytes {
    bytes: u64,
    /// When to ask again.
    due: Option<Instant>,
}

impl TracerBytes {
    /// As known: exact with `now`, else of some moments ago.
    pub(super) fn get(&mut self, now: bool) -> u64 {
        let began = Instant::now();
        let is_due = self.due.is_none_or(|due| due <= began);
        let told = match now {
            true => Some(snapshot::tracer_bytes()),
            false if is_due => snapshot::try_tracer_bytes(),
            false => None,
        };
        if let Some(bytes) = told {
            self.bytes = bytes;
            let took = began.elapsed().max(Duration::from_micros(20));
            self.due = began.checked_add(took * PARTS);
        }
        self.bytes
    }
}
