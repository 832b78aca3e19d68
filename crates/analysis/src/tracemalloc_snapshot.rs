//! Snapshots of CPython's own tracer: what `tracemalloc.Snapshot.dump` wrote.
//!
//! The file is a pickle, a program for a small machine that could call anything. Here it is read by a machine
//! that builds numbers, texts, tuples, lists and dictionaries, and refuses everything else by name.

mod pickle;

use std::collections::HashMap;

use heapsight_capture::model::{
    Code, CodeKind, Counters, Domain, Node, NodeId, ROOT, Site, Tables,
};

use crate::builder::Builder;
use pickle::{Heap, Value};

pub use pickle::PickleError;

/// What such a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TracemallocSnapshot {
    /// Call paths with what is live on them; frames have no function names, and blocks no addresses. What was freed or
    /// live at the peak is not known: the peak is what is live.
    pub tables: Tables,
    /// Frames kept of each call path.
    pub traceback_limit: u32,
}

/// Classes that a snapshot is made of, and the only names that may occur.
const SNAPSHOT: (&str, &str) = ("tracemalloc", "Snapshot");
const TRACES: (&str, &str) = ("tracemalloc", "_Traces");

/// Reads a pickled snapshot of CPython 3.6 or newer, in linear time and memory.
///
/// # Errors
/// [`PickleError`] when the bytes are no pickle, no snapshot, or refer to anything that is not part of one.
pub fn read(bytes: &[u8]) -> Result<TracemallocSnapshot, PickleError> {
    let (heap, root) = pickle::parse(bytes, &[SNAPSHOT, TRACES])?;
    let state = heap.state(root, SNAPSHOT)?;
    let limit = match heap.entry(state, "traceback_limit") {
        Some(Value::Int(limit)) => u32::try_from(limit).unwrap_or(u32::MAX),
        _ => return Err(PickleError::NotASnapshot("it has no traceback_limit")),
    };
    let traces = heap
        .entry(state, "traces")
        .ok_or(PickleError::NotASnapshot("it has no traces"))?;
    let traces = match heap.state(traces, TRACES) {
        Ok(inner) => heap
            .entry(inner, "_traces")
            .ok_or(PickleError::NotASnapshot("it has no traces"))?,
        Err(_) => traces, // of a snapshot that was filtered
    };
    let mut reader = Reader {
        heap: &heap,
        builder: Builder::new(),
        paths: HashMap::new(),
    };
    for trace in heap
        .items(traces)
        .ok_or(PickleError::NotASnapshot("its traces are no sequence"))?
    {
        reader.add(*trace).ok_or(PickleError::NotASnapshot(
            "a trace is not (domain, size, frames)",
        ))?;
    }
    let mut tables = reader.builder.finish();
    tables.totals.live_bytes = tables
        .counters
        .iter()
        .fold(0, |sum, site| site.live_bytes().saturating_add(sum));
    tables.totals.live_blocks = tables
        .counters
        .iter()
        .fold(0, |sum, site| site.live_blocks().saturating_add(sum));
    tables.totals.peak_bytes = tables.totals.live_bytes;
    Ok(TracemallocSnapshot {
        tables,
        traceback_limit: limit,
    })
}

struct Reader<'h> {
    heap: &'h Heap,
    builder: Builder,
    /// Call paths that were seen: the pickle shares them between traces.
    paths: HashMap<Value, NodeId>,
}

impl Reader<'_> {
    fn add(&mut self, trace: Value) -> Option<()> {
        let [Value::Int(domain), Value::Int(size), frames, ..] = *self.heap.items(trace)? else {
            return None;
        };
        let size = u64::try_from(size).ok()?;
        let domain = Domain(
            u32::try_from(domain)
                .ok()?
                .checked_add(Domain::EXTENSION_BASE)?,
        );
        let node = match self.paths.get(&frames) {
            Some(node) => *node,
            None => {
                let node = self.path(frames)?;
                self.paths.insert(frames, node);
                node
            }
        };
        let site = self.builder.site(Site { node, domain });
        let block = Counters {
            allocated_bytes: size,
            allocated_blocks: 1,
            peak_bytes: size,
            peak_blocks: 1,
            ..Counters::default()
        };
        self.builder.add(site, &block);
        Some(())
    }

    /// The frames are given most recent first.
    fn path(&mut self, frames: Value) -> Option<NodeId> {
        let mut parent = ROOT;
        for frame in self.heap.items(frames)?.iter().rev() {
            let [filename, Value::Int(line)] = *self.heap.items(*frame)? else {
                return None;
            };
            let filename = self.builder.string(self.heap.text(filename)?);
            let name = self.builder.string("");
            let code = self.builder.code(Code {
                kind: CodeKind::Python,
                filename,
                name,
                first_line: 0,
            });
            let line = u32::try_from(line).unwrap_or(0);
            parent = self.builder.node(Node { parent, code, line });
        }
        Some(parent)
    }
}
