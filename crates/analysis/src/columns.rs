//! What each site did over time, in so few spans that a reader can hold all of them.
//!
//! A recording has a tick every tenth of a second, and may be of days. [`Columns`] follows it tick by tick and keeps,
//! for each span of time, how the counters of each site changed in it. Once there are too many spans, or too many
//! changes, neighbours are joined: all spans are twice as long then, and what is kept is half as much. So one pass over
//! a recording of any length does, in bounded memory, and every span begins and ends at a tick, at which all figures
//! are exact.

mod packed;

use heapsight_capture::Capture;
use heapsight_capture::model::{Counters, SiteId};

use packed::Packed;

/// Fewer spans than this are not joined to save memory: a timeline would say nothing any more.
const FEWEST: usize = 16;

/// How the counters of a site changed. Counters only grow, so no change is negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SiteChange {
    /// Bytes allocated.
    pub allocated_bytes: u64,
    /// Blocks allocated.
    pub allocated_blocks: u64,
    /// Bytes freed.
    pub freed_bytes: u64,
    /// Blocks freed.
    pub freed_blocks: u64,
    /// Bytes freed before anything else was allocated.
    pub temporary_bytes: u64,
    /// Blocks freed before anything else was allocated.
    pub temporary_blocks: u64,
}

impl SiteChange {
    /// As numbers, in the order of the fields.
    #[must_use]
    pub fn figures(self) -> [u64; 6] {
        [
            self.allocated_bytes,
            self.allocated_blocks,
            self.freed_bytes,
            self.freed_blocks,
            self.temporary_bytes,
            self.temporary_blocks,
        ]
    }

    fn of_figures(figures: [u64; 6]) -> Self {
        let [
            allocated_bytes,
            allocated_blocks,
            freed_bytes,
            freed_blocks,
            temporary_bytes,
            temporary_blocks,
        ] = figures;
        Self {
            allocated_bytes,
            allocated_blocks,
            freed_bytes,
            freed_blocks,
            temporary_bytes,
            temporary_blocks,
        }
    }

    /// What the counters are so far.
    fn so_far(counters: &Counters) -> Self {
        Self {
            allocated_bytes: counters.allocated_bytes,
            allocated_blocks: counters.allocated_blocks,
            freed_bytes: counters.freed_bytes,
            freed_blocks: counters.freed_blocks,
            temporary_bytes: counters.temporary_bytes,
            temporary_blocks: counters.temporary_blocks,
        }
    }

    /// How `self` came from `before`. A damaged file may count backwards; that is no change.
    fn since(self, before: Self) -> Self {
        let (now, then) = (self.figures(), before.figures());
        Self::of_figures(std::array::from_fn(|at| now[at].saturating_sub(then[at])))
    }
}

impl std::ops::AddAssign for SiteChange {
    fn add_assign(&mut self, other: Self) {
        let (mine, others) = (self.figures(), other.figures());
        *self = Self::of_figures(std::array::from_fn(|at| {
            mine[at].saturating_add(others[at])
        }));
    }
}

/// One span of time.
#[derive(Debug)]
struct Column {
    until_ns: u64,
    /// Whether somebody asked for this moment: then the span is not joined with the next one.
    is_kept: bool,
    changes: Packed,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnLimits {
    /// Spans: beyond twice as many, neighbours are joined.
    pub columns: usize,
    /// Bytes of all changes: beyond that, neighbours are joined while there are enough of them.
    pub bytes: usize,
}

impl Default for ColumnLimits {
    fn default() -> Self {
        Self {
            columns: 120,
            bytes: 24 << 20,
        }
    }
}

/// Follows a recording.
#[derive(Debug)]
pub struct Columns {
    limits: ColumnLimits,
    /// Moments at which a span shall end, in milliseconds; the last tick before each is meant.
    kept_ms: Vec<u64>,
    /// The counters of each site when it last changed.
    known: Vec<SiteChange>,
    columns: Vec<Column>,
    bytes: usize,
    peak_bytes: u64,
    /// The span that ends at the tick that first knew of the peak.
    peak: Option<usize>,
}

impl Columns {
    /// Keeps no more than `limits`. One span ends at each of `kept_ns` (in nanoseconds since the start: at the last
    /// tick before it), and one at the tick that first knew of the peak.
    #[must_use]
    pub fn new(limits: ColumnLimits, kept_ns: &[u64]) -> Self {
        Self {
            limits,
            kept_ms: kept_ns.iter().map(|ns| milliseconds(*ns)).collect(),
            known: Vec::new(),
            columns: Vec::new(),
            bytes: 0,
            peak_bytes: 0,
            peak: None,
        }
    }

    /// Takes one tick: what is known after it, and the sites that it changed.
    pub fn tick(&mut self, capture: &Capture, changed: &[SiteId]) {
        let Some(point) = capture.timeline.last() else {
            return;
        };
        let now_ms = milliseconds(point.elapsed_ns);
        if let Some(last) = self.columns.last_mut() {
            let last_ms = milliseconds(last.until_ns);
            let is_between = |kept: &u64| last_ms <= *kept && *kept < now_ms;
            last.is_kept |= self.kept_ms.iter().any(is_between);
        }
        let counters = &capture.tables.counters;
        self.known.resize(counters.len(), SiteChange::default());
        let mut sites = changed.to_vec();
        sites.sort_unstable();
        sites.dedup();
        let mut changes = Packed::default();
        for site in sites {
            let now = SiteChange::so_far(&counters[site as usize]);
            let before = std::mem::replace(&mut self.known[site as usize], now);
            changes.push(site, now.since(before));
        }
        self.bytes += changes.bytes();
        self.columns.push(Column {
            until_ns: point.elapsed_ns,
            is_kept: false,
            changes,
        });
        if point.peak_bytes > self.peak_bytes {
            self.peak_bytes = point.peak_bytes;
            self.peak = Some(self.columns.len() - 1);
        }
        let is_full = self.columns.len() > 2 * self.limits.columns;
        if is_full || (self.bytes > self.limits.bytes && self.columns.len() > FEWEST) {
            self.join_neighbours();
        }
    }

    /// The ends of the spans, in nanoseconds since the start of tracing. The first span begins at the start.
    pub fn ends_ns(&self) -> impl Iterator<Item = u64> {
        self.columns.iter().map(|column| column.until_ns)
    }

    /// How many changes are kept in all.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.columns.iter().map(|column| column.changes.len()).sum()
    }

    /// What changed in the span `index`, by ascending site.
    pub fn column(&self, index: usize) -> impl Iterator<Item = (SiteId, SiteChange)> {
        self.columns[index].changes.iter()
    }

    /// Gives up what the recording was followed with, which is of no use after its end.
    pub fn finish(&mut self) {
        self.known = Vec::new();
    }

    /// Joins neighbours until no more than `changes` are kept, or too few spans are left to join.
    pub fn shrink_to(&mut self, changes: usize) {
        while self.changes() > changes && self.columns.len() > FEWEST {
            let before = self.columns.len();
            self.join_neighbours();
            if self.columns.len() == before {
                return;
            }
        }
    }

    fn join_neighbours(&mut self) {
        let mut joined: Vec<Column> = Vec::with_capacity(self.columns.len() / 2 + 1);
        let mut peak = None;
        let mut may_join = false;
        for (index, column) in self.columns.drain(..).enumerate() {
            let is_peak = self.peak == Some(index);
            match joined.last_mut() {
                Some(last) if may_join && !last.is_kept => {
                    last.until_ns = column.until_ns;
                    last.is_kept = column.is_kept;
                    last.changes = last.changes.joined(&column.changes);
                    may_join = false;
                }
                _ => {
                    joined.push(column);
                    may_join = true;
                }
            }
            if is_peak {
                peak = Some(joined.len() - 1);
                may_join = false;
            }
        }
        self.columns = joined;
        self.peak = peak;
        self.bytes = self.columns.iter().map(|of| of.changes.bytes()).sum();
    }
}

/// To the millisecond, as people read and write times.
fn milliseconds(elapsed_ns: u64) -> u64 {
    elapsed_ns / 1_000_000
}

#[cfg(test)]
mod tests;
