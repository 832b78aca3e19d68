//! Traces of single blocks as `tracemalloc` has them: (domain, size, frames, number of frames there were), in an order.
//!
//! A program has few different traces, however many blocks: each is kept once, with how often it comes. Everything that
//! is asked of millions of blocks costs time by the number of different traces.

mod difference;
mod group;
mod paths;

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};
use heapsight_capture::model::{CodeKind, Domain, ROOT, SiteId, Tables};

pub use difference::{Side, TraceDifference, compare_traces};
pub use group::{TraceGroup, TraceGroupBy, group_traces};
pub use paths::{FrameId, PathId, Paths, PathsBuilder};

/// Stands for "no Python code": the file name of the only frame of such a trace.
pub const UNKNOWN: &str = "<unknown>";

/// One trace; many blocks may have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceRow {
    /// Domain as `tracemalloc` numbers it: 0 for CPython's own allocators.
    pub domain: u32,
    /// Bytes requested.
    pub size_bytes: u64,
    /// The frames that were kept.
    pub path: PathId,
    /// How many frames there were; `None` in files that do not say.
    pub total_frames: Option<u32>,
}

/// Index into [`Traces::rows`].
pub type RowId = u32;

/// Traces of many blocks, in an order.
#[derive(Clone, Debug)]
pub struct Traces {
    paths: Arc<Paths>,
    rows: Vec<TraceRow>,
    order: Order,
}

/// Which trace is at which position.
#[derive(Clone, Debug)]
enum Order {
    /// Row by row; where each one ends.
    Runs(Vec<u64>),
    /// Any order.
    Each(Vec<RowId>),
}

impl Traces {
    /// The traces of blocks that are live: `counts` has site, size and number. At most `limit` frames are kept of each.
    #[must_use]
    pub fn of_tables(
        tables: &Tables,
        counts: impl IntoIterator<Item = (SiteId, u64, u64)>,
        limit: u32,
    ) -> Self {
        let mut paths = PathsOfTables::new(tables, limit);
        let mut rows = Vec::new();
        let mut ends = Vec::new();
        let mut end = 0;
        for (site, size_bytes, blocks) in counts {
            let (path, total_frames) = paths.of_site(site);
            rows.push(TraceRow {
                domain: tracemalloc_domain(tables.sites[site as usize].domain),
                size_bytes,
                path,
                total_frames: Some(total_frames),
            });
            end += blocks;
            ends.push(end);
        }
        rows.shrink_to_fit();
        ends.shrink_to_fit();
        Self {
            paths: Arc::new(paths.builder.finish()),
            rows,
            order: Order::Runs(ends),
        }
    }

    /// Traces in any order; `order` has the row of each.
    #[must_use]
    pub fn in_order(paths: Paths, rows: Vec<TraceRow>, order: Vec<RowId>) -> Self {
        Self {
            paths: Arc::new(paths),
            rows,
            order: Order::Each(order),
        }
    }

    /// The frames of the traces.
    #[must_use]
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The different traces; some of them may be equal.
    #[must_use]
    pub fn rows(&self) -> &[TraceRow] {
        &self.rows
    }

    /// Number of traces.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.order {
            Order::Runs(ends) => ends.last().copied().unwrap_or(0),
            Order::Each(order) => order.len() as u64,
        }
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The row at a position below [`Self::len`].
    #[must_use]
    pub fn row_at(&self, position: u64) -> RowId {
        match &self.order {
            Order::Runs(ends) => ends.partition_point(|end| *end <= position) as RowId,
            Order::Each(order) => order[position as usize],
        }
    }

    /// The row of each trace and how many times it follows itself, in order.
    pub fn runs(&self) -> impl Iterator<Item = (RowId, u64)> + '_ {
        let (ends, each) = match &self.order {
            Order::Runs(ends) => (Some(ends), None),
            Order::Each(order) => (None, Some(order)),
        };
        let mut begin = 0;
        let runs = (0..)
            .zip(ends.into_iter().flatten())
            .map(move |(row, end)| {
                let count = end - begin;
                begin = *end;
                (row, count)
            });
        runs.chain(each.into_iter().flatten().map(|row| (*row, 1)))
    }

    /// How often each row comes.
    #[must_use]
    pub fn counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.rows.len()];
        for (row, count) in self.runs() {
            counts[row as usize] += count;
        }
        counts
    }

    /// The traces whose row is kept, in the same order. `keep` has an answer for each row.
    #[must_use]
    pub fn filtered(&self, keep: &[bool]) -> Self {
        let mut new_ids = vec![0; self.rows.len()];
        let mut rows = Vec::new();
        for (id, row) in self.rows.iter().enumerate().filter(|(id, _)| keep[*id]) {
            new_ids[id] = rows.len() as RowId;
            rows.push(*row);
        }
        let order = match &self.order {
            Order::Runs(_) => {
                let mut end = 0;
                let kept = self.runs().filter(|(row, _)| keep[*row as usize]);
                Order::Runs(
                    kept.map(|(_, count)| {
                        end += count;
                        end
                    })
                    .collect(),
                )
            }
            Order::Each(order) => Order::Each(
                order
                    .iter()
                    .filter(|row| keep[**row as usize])
                    .map(|row| new_ids[*row as usize])
                    .collect(),
            ),
        };
        Self {
            paths: Arc::clone(&self.paths),
            rows,
            order,
        }
    }

    /// Bytes that this holds.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let order = match &self.order {
            Order::Runs(ends) => ends.capacity() * size_of::<u64>(),
            Order::Each(order) => order.capacity() * size_of::<RowId>(),
        };
        order + self.rows.capacity() * size_of::<TraceRow>() + self.paths.heap_bytes()
    }
}

/// The number that `tracemalloc` has for a domain: its own allocators are all one.
fn tracemalloc_domain(domain: Domain) -> u32 {
    domain.0.saturating_sub(Domain::EXTENSION_BASE)
}

/// The kept frames of call paths: paths that become equal when cut are one.
struct PathsOfTables<'t> {
    tables: &'t Tables,
    limit: usize,
    builder: PathsBuilder,
    /// Frames of each call path, its callers' included.
    depths: Vec<u32>,
    known: HashMap<u32, (PathId, u32)>,
    /// The builder's id of each string, once it is known there.
    strings: Vec<Option<u32>>,
    frames: Vec<FrameId>,
}

impl<'t> PathsOfTables<'t> {
    fn new(tables: &'t Tables, limit: u32) -> Self {
        let mut depths = vec![0; tables.nodes.len()];
        for (id, node) in tables.nodes.iter().enumerate().skip(1) {
            let is_frame = tables.codes[node.code as usize].kind == CodeKind::Python;
            depths[id] = depths[node.parent as usize] + u32::from(is_frame);
        }
        Self {
            tables,
            limit: limit as usize,
            builder: PathsBuilder::default(),
            depths,
            known: HashMap::new(),
            strings: vec![None; tables.strings.len()],
            frames: Vec::new(),
        }
    }

    fn of_site(&mut self, site: SiteId) -> (PathId, u32) {
        let node = self.tables.sites[site as usize].node;
        if let Some(known) = self.known.get(&node) {
            return *known;
        }
        self.frames.clear();
        let mut at = node;
        while at != ROOT && self.frames.len() < self.limit {
            let entry = self.tables.nodes[at as usize];
            let code = &self.tables.codes[entry.code as usize];
            if code.kind == CodeKind::Python {
                let known = &mut self.strings[code.filename as usize];
                let filename = match *known {
                    Some(id) => id,
                    None => {
                        let text = &self.tables.strings[code.filename as usize];
                        *known.insert(self.builder.string(text))
                    }
                };
                self.frames.push(self.builder.frame(filename, entry.line));
            }
            at = entry.parent;
        }
        let mut total = self.depths[node as usize];
        if self.frames.is_empty() {
            let filename = self.builder.string(UNKNOWN);
            self.frames.push(self.builder.frame(filename, 0));
            total = 1;
        }
        // What `tracemalloc` can count to.
        let made = (
            self.builder.path(&self.frames),
            total.min(u32::from(u16::MAX)),
        );
        self.known.insert(node, made);
        made
    }
}

#[cfg(test)]
mod tests;
