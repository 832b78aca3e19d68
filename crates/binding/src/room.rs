//! Whether there is memory for what the engine is about to make, asked before it begins.
//!
//! Tables that grow with the blocks or the call paths of the program can need more than the tracer's reserve
//! (`tracer::reserve`), and an allocation that fails in Rust ends the process. So what makes one asks here first, with
//! a figure that errs upwards; small things live on the reserve. Another thread may take the memory in between: then
//! the reserve has to do.

use heapsight_analysis::traces::Traces;
use heapsight_capture::model::Tables;
use heapsight_tracer as tracer;
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;

/// A block in the tracer's table (16 bytes), half of that to sort it, and what else is made of each (a row of sizes).
const BYTES_PER_TRACED_BLOCK: u64 = 64;

/// A call path or a place on one, in a table and in a hash table over it, each of which may be growing to twice its
/// size, with its share of the names.
const BYTES_PER_PATH: u64 = 256;

/// The same as a block of a capture, with what becomes of it in a file.
const BYTES_PER_ENCODED_BLOCK: u64 = 64;

/// For the tables of this process, without blocks.
///
/// # Errors
/// `MemoryError`, as from all functions here.
pub(crate) fn for_tables() -> PyResult<()> {
    for_bytes(bytes_of_tables())
}

/// For the tables of this process and its live blocks.
pub(crate) fn for_blocks() -> PyResult<()> {
    // The blocks of a sample are part of the tracer's memory, and fewer than those they stand for.
    let blocks = match tracer::configuration().sample_bytes {
        Some(_) => 0,
        None => tracer::totals().live_blocks,
    };
    for_bytes(bytes_of_tables() + blocks * BYTES_PER_TRACED_BLOCK)
}

/// For a grouping, a difference or a copy of tables.
pub(crate) fn for_paths(tables: &Tables) -> PyResult<()> {
    for_bytes(bytes_of_paths(tables))
}

/// More than zstd takes to begin with, of `malloc`. Its crate panics when there is no memory for that.
const BYTES_OF_ZSTD: usize = 2 << 20;

/// For groups of traces, or a difference of such. There are at most as many as rows, each with a key of several places
/// of a path.
pub(crate) fn for_traces(traces: &Traces) -> PyResult<()> {
    for_bytes(traces.rows().len() as u64 * BYTES_PER_PATH)
}

/// For beginning to read a file. What is in it asks for memory as it comes (`heapsight_capture`).
pub(crate) fn for_reading() -> PyResult<()> {
    granted(tracer::reserve::is_room_for_libraries(BYTES_OF_ZSTD))
}

/// For a file of tables and blocks.
pub(crate) fn for_file(tables: &Tables, blocks: usize) -> PyResult<()> {
    granted(tracer::reserve::is_room_for_libraries(BYTES_OF_ZSTD))?;
    for_bytes(bytes_of_paths(tables) + blocks as u64 * BYTES_PER_ENCODED_BLOCK)
}

fn bytes_of_tables() -> u64 {
    tracer::path_entries() * BYTES_PER_PATH
}

fn bytes_of_paths(tables: &Tables) -> u64 {
    (tables.sites.len() + tables.nodes.len()) as u64 * BYTES_PER_PATH
}

/// For this many bytes.
pub(crate) fn for_bytes(bytes: u64) -> PyResult<()> {
    granted(usize::try_from(bytes).is_ok_and(tracer::reserve::is_room_for))
}

fn granted(is_room: bool) -> PyResult<()> {
    match is_room {
        true => Ok(()),
        false => Err(PyMemoryError::new_err(())),
    }
}
