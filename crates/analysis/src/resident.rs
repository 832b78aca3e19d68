//! What the system has given to a process, beside what is traced of it.

use heapsight_capture::{Capture, TickSummary};

/// Resident memory of a process at one moment, and where it is: `resident = traced + heapsight + not traced`.
///
/// Traced memory counts as resident, though pages of it that were never written to are not. So the last part is too
/// small rather than too large, and 0 when the other two already exceed the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resident {
    /// All of it, in bytes.
    pub resident_bytes: u64,
    /// Bytes in live traced blocks.
    pub traced_bytes: u64,
    /// Bytes that heapsight itself holds.
    pub heapsight_bytes: u64,
    /// The rest in bytes: the interpreter and its libraries, memory of C extensions, what allocators keep of freed
    /// memory.
    pub untraced_bytes: u64,
}

/// So much is unseen in any process: the interpreter, its libraries, its stacks.
const ORDINARY_UNTRACED_BYTES: u64 = 64 << 20;

impl Resident {
    /// At one tick. `None` when its resident memory is not known.
    #[must_use]
    pub fn at(point: &TickSummary) -> Option<Self> {
        (point.rss_bytes > 0).then(|| Self {
            resident_bytes: point.rss_bytes,
            traced_bytes: point.live_bytes,
            heapsight_bytes: point.tracer_bytes,
            untraced_bytes: point
                .rss_bytes
                .saturating_sub(point.live_bytes)
                .saturating_sub(point.tracer_bytes),
        })
    }

    /// At the last tick of a recording.
    #[must_use]
    pub fn at_end(capture: &Capture) -> Option<Self> {
        Self::at(capture.timeline.last()?)
    }

    /// Is more than half of it not traced, and more than any interpreter takes for itself? Then traced memory does not
    /// tell where this process's memory is.
    #[must_use]
    pub fn is_mostly_untraced(&self) -> bool {
        self.untraced_bytes > self.resident_bytes / 2
            && self.untraced_bytes > ORDINARY_UNTRACED_BYTES
    }
}

/// The highest resident memory of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HighestResident {
    /// Bytes.
    pub bytes: u64,
    /// The first tick that knew of it, in nanoseconds since the start of tracing: it came between the tick before and
    /// this one.
    pub elapsed_ns: u64,
}

/// The highest resident memory of a recording, between ticks too where the kernel tells it. `None` when it is not
/// known.
#[must_use]
pub fn highest_resident(capture: &Capture) -> Option<HighestResident> {
    let bytes_at = |point: &TickSummary| point.highest_rss_bytes.max(point.rss_bytes);
    let bytes = capture.timeline.iter().map(bytes_at).max()?;
    let first = capture
        .timeline
        .iter()
        .find(|point| bytes_at(point) == bytes)?;
    (bytes > 0).then_some(HighestResident {
        bytes,
        elapsed_ns: first.elapsed_ns,
    })
}

/// Resident memory of several processes whose ticks come in the order of time.
///
/// What the processes had together is known at their ticks, and at the highest moment of each, if that came since its
/// tick before. The highest of these is no more than the highest that they really had, and of one process alone it is
/// just that.
#[derive(Clone, Debug, Default)]
pub struct MergedResident {
    processes: Vec<TickSummary>,
    highest_bytes: u64,
    /// Has any tick told what the kernel keeps?
    is_told: bool,
}

impl MergedResident {
    /// Of so many processes.
    #[must_use]
    pub fn new(processes: usize) -> Self {
        Self {
            processes: vec![TickSummary::default(); processes],
            highest_bytes: 0,
            is_told: false,
        }
    }

    /// Adds a tick of `process`.
    ///
    /// # Panics
    /// When there is no such process.
    pub fn add(&mut self, process: usize, point: &TickSummary) {
        self.is_told |= point.highest_rss_bytes > 0;
        let before = std::mem::replace(&mut self.processes[process], *point);
        let mut together = self.bytes();
        if point.highest_rss_bytes > before.highest_rss_bytes {
            let more = point.highest_rss_bytes.saturating_sub(point.rss_bytes);
            together = together.saturating_add(more);
        }
        self.highest_bytes = self.highest_bytes.max(together);
    }

    /// `process` has ended: the system has its memory back.
    ///
    /// # Panics
    /// When there is no such process.
    pub fn end(&mut self, process: usize) {
        self.processes[process] = TickSummary::default();
    }

    /// Resident bytes of all at their last ticks.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let each = self.processes.iter().map(|point| point.rss_bytes);
        each.fold(0, u64::saturating_add)
    }

    /// The highest so far, in bytes. 0 when no recording knows more than its ticks do.
    #[must_use]
    pub fn highest_bytes(&self) -> u64 {
        if self.is_told { self.highest_bytes } else { 0 }
    }

    /// How old, in nanoseconds, the figures of call paths may be: those of the process that lags most.
    #[must_use]
    pub fn paths_lag_ns(&self) -> u64 {
        let each = self.processes.iter().map(|point| point.paths_lag_ns);
        each.max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn point(second: u64, rss: u64, highest: u64) -> TickSummary {
        TickSummary {
            elapsed_ns: second * 1_000_000_000,
            rss_bytes: rss * MIB,
            highest_rss_bytes: highest * MIB,
            ..TickSummary::default()
        }
    }

    fn highest(timeline: Vec<TickSummary>) -> Option<(u64, u64)> {
        let capture = Capture {
            timeline,
            ..Capture::default()
        };
        let found = highest_resident(&capture)?;
        Some((found.bytes / MIB, found.elapsed_ns / 1_000_000_000))
    }

    #[test]
    fn the_highest_resident_memory_is_the_kernels_and_dated_by_the_first_tick_that_knew_it() {
        let timeline = vec![point(1, 50, 60), point(2, 100, 843), point(3, 90, 843)];
        assert_eq!(highest(timeline), Some((843, 2)));
    }

    #[test]
    fn where_the_kernel_told_nothing_the_highest_tick_counts() {
        let timeline = vec![point(1, 50, 0), point(2, 100, 0), point(3, 90, 0)];
        assert_eq!(highest(timeline), Some((100, 2)));
        assert_eq!(highest(vec![point(1, 0, 0)]), None);
        assert_eq!(highest(Vec::new()), None);
    }

    #[test]
    fn resident_memory_is_traced_and_heapsight_s_and_the_rest() {
        let at = TickSummary {
            live_bytes: 5 * MIB,
            tracer_bytes: 24 * MIB,
            ..point(1, 328, 0)
        };
        let resident = Resident::at(&at).expect("it is known");
        assert_eq!(resident.untraced_bytes, 299 * MIB);
        assert!(resident.is_mostly_untraced());
        let sum = resident.traced_bytes + resident.heapsight_bytes + resident.untraced_bytes;
        assert_eq!(sum, resident.resident_bytes);
        assert_eq!(Resident::at(&point(1, 0, 0)), None);
    }

    #[test]
    fn an_idle_interpreter_is_no_reason_to_warn() {
        let resident = Resident::at(&point(1, 12, 12)).expect("it is known");
        assert!(!resident.is_mostly_untraced());
    }

    #[test]
    fn more_traced_than_resident_leaves_nothing_untraced() {
        let at = TickSummary {
            live_bytes: 100 * MIB,
            ..point(1, 20, 20)
        };
        let resident = Resident::at(&at).expect("it is known");
        assert_eq!(resident.untraced_bytes, 0);
        assert!(!resident.is_mostly_untraced());
    }

    #[test]
    fn processes_have_together_what_they_had_at_their_ticks_and_at_the_highest_moment_of_each() {
        let mut both = MergedResident::new(2);
        both.add(0, &point(1, 10, 30));
        assert_eq!((both.bytes(), both.highest_bytes()), (10 * MIB, 30 * MIB));
        both.add(1, &point(2, 5, 6));
        assert_eq!(both.highest_bytes(), 30 * MIB, "10 + 6");
        both.add(1, &point(3, 25, 25));
        assert_eq!(both.highest_bytes(), 35 * MIB);
        both.add(0, &point(4, 8, 30));
        assert_eq!(both.highest_bytes(), 35 * MIB, "no new highest moment");
        both.end(1);
        assert_eq!(both.bytes(), 8 * MIB);
        let mut older = MergedResident::new(1);
        older.add(0, &point(1, 10, 0));
        assert_eq!(older.highest_bytes(), 0);
    }
}
