//! What is traced right now, as Python objects.

use std::sync::Arc;

use heapsight_analysis::truncate_with_sites;
use heapsight_capture::Block;
use heapsight_capture::model::{SiteId, Tables};
use heapsight_edge::or_memory_error;
use heapsight_tracer::{self as tracer, FrameLimit};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::api::blocks::BlockTable;
use crate::api::frame::Frame;
use crate::api::grouping::by_file_and_line;
use crate::api::trace::Trace;
use crate::arguments;
use crate::room;

/// The tables at this moment, cut to the traceback limit, with the blocks if asked for.
///
/// # Errors
/// `MemoryError`.
pub(crate) fn tables(with_blocks: bool) -> PyResult<(Tables, Option<BlockTable>)> {
    let (tables, mut blocks) = if with_blocks {
        room::for_blocks()?;
        let (tables, blocks) = tracer::snapshot_with_blocks();
        (tables, Some(BlockTable::traced(blocks)))
    } else {
        room::for_tables()?;
        (tracer::snapshot(), None)
    };
    let FrameLimit::UpTo(limit) = tracer::configuration().frame_limit else {
        return Ok((tables, blocks));
    };
    room::for_paths(&tables)?;
    let (tables, ids) = truncate_with_sites(&tables, u32::from(limit));
    if let Some(blocks) = &mut blocks {
        blocks.renumber(&ids.into_iter().map(Some).collect::<Vec<Option<SiteId>>>());
    }
    Ok((tables, blocks))
}

/// Address to Trace for the blocks.
pub(crate) fn traces<'py>(
    py: Python<'py>,
    tables: &Arc<Tables>,
    blocks: &BlockTable,
) -> PyResult<Bound<'py, PyDict>> {
    let mut made = RecentTraces::new(tables);
    let traces = PyDict::new(py);
    for block in blocks.iter() {
        traces.set_item(block.address, made.of(py, &block)?)?;
    }
    Ok(traces)
}

/// The traces made lately: many blocks have the same size and call path, and traces never change, so they can share
/// one.
struct RecentTraces<'a> {
    tables: &'a Arc<Tables>,
    /// One place for each hash: what comes later takes it.
    places: Vec<Option<(SiteId, u64, Py<Trace>)>>,
}

/// Number of places as a power of two.
const PLACES_SHIFT: u32 = 12;

impl<'a> RecentTraces<'a> {
    fn new(tables: &'a Arc<Tables>) -> Self {
        let mut places = Vec::new();
        places.resize_with(1 << PLACES_SHIFT, || None);
        Self { tables, places }
    }

    fn of<'py>(&mut self, py: Python<'py>, block: &Block) -> PyResult<Bound<'py, Trace>> {
        let mixed =
            ((u64::from(block.site) << 20) ^ block.size).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = &mut self.places[(mixed >> (u64::BITS - PLACES_SHIFT)) as usize];
        if let Some((site, size, trace)) = place
            && (*site, *size) == (block.site, block.size)
        {
            return Ok(trace.bind(py).clone());
        }
        let node = self.tables.sites[block.site as usize].node;
        let trace = Bound::new(py, Trace::in_tables(block.size, self.tables, node))?;
        *place = Some((block.site, block.size, trace.clone().unbind()));
        Ok(trace)
    }
}

/// Address to Trace for every live traced block; empty when tracing is off.
#[pyfunction]
#[or_memory_error]
fn get_traces(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    match tables(true)? {
        (found, Some(blocks)) if tracer::is_tracing() => traces(py, &Arc::new(found), &blocks),
        _ => Ok(PyDict::new(py)),
    }
}

/// File name to line to TraceStats over live blocks, by the most recent frame; empty when tracing is off.
#[pyfunction]
#[or_memory_error]
fn get_stats(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    if !tracer::is_tracing() {
        return Ok(PyDict::new(py));
    }
    by_file_and_line(py, &tables(false)?.0)
}

/// The Trace of the block at exactly this address, None when there is none.
#[pyfunction]
#[or_memory_error]
fn get_trace(address: &Bound<'_, PyAny>) -> PyResult<Option<Trace>> {
    let address = arguments::unsigned(address, "address")?;
    Ok(usize::try_from(address).ok().and_then(trace_at))
}

/// The Trace of the block that holds the object, None when it is not traced.
#[pyfunction]
#[or_memory_error]
fn get_object_trace(obj: &Bound<'_, PyAny>) -> Option<Trace> {
    trace_at(crate::api::object::block_address(obj).ok()?)
}

fn trace_at(address: usize) -> Option<Trace> {
    if !tracer::is_tracing() {
        return None;
    }
    let (block, tables) = tracer::trace_of(address)?;
    let site = tables.sites.get(block.site as usize)?;
    let limit = match tracer::configuration().frame_limit {
        FrameLimit::One => 1,
        FrameLimit::UpTo(limit) => usize::from(limit),
        FrameLimit::All => usize::MAX,
    };
    let frames = Frame::path(&tables, site.node).take(limit);
    Some(Trace::with_frames(block.size as u64, frames))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(get_traces, module)?)?;
    module.add_function(wrap_pyfunction!(get_stats, module)?)?;
    module.add_function(wrap_pyfunction!(get_trace, module)?)?;
    module.add_function(wrap_pyfunction!(get_object_trace, module)?)
}
