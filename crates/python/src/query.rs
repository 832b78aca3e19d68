//! What is known of single blocks, as plain tuples: for tests that compare block by block, and for the classes of the package.

use heapsight_analysis::path;
use heapsight_capture::model::{Mode, NodeId, Tables};
use pyo3::prelude::*;

/// A frame: file name, line (0 when unknown), qualified name of the function.
type Frame = (String, u32, String);

/// The size of the traced block at exactly this address, and its call path, most recent frame first; None when there is none.
#[pyfunction]
fn trace_of_address(address: usize) -> Option<(usize, Vec<Frame>)> {
    let (block, tables) = heapsight_tracer::trace_of(address)?;
    let site = tables.sites.get(block.site as usize)?;
    Some((block.size, frames(&tables, site.node)))
}

/// Every live traced block: address, size, number of its allocator domain, and call path, most recent frame first.
#[pyfunction]
fn get_blocks() -> Vec<(usize, usize, u32, Vec<Frame>)> {
    let (tables, blocks) = heapsight_tracer::snapshot_with_blocks();
    let found = blocks.iter().filter_map(|block| {
        let site = tables.sites.get(block.site as usize)?;
        Some((
            block.address,
            block.size,
            site.domain.0,
            frames(&tables, site.node),
        ))
    });
    found.collect()
}

fn frames(tables: &Tables, node: NodeId) -> Vec<Frame> {
    let limit = match heapsight_tracer::configuration().mode() {
        Mode::Exact {
            frame_limit: Some(limit),
        } => limit as usize,
        Mode::Exact { frame_limit: None } | Mode::Sampled { .. } => usize::MAX,
    };
    let most_recent = path::frames(tables, node).take(limit);
    most_recent
        .map(|frame| (frame.filename.to_owned(), frame.line, frame.name.to_owned()))
        .collect()
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(trace_of_address, module)?)?;
    module.add_function(wrap_pyfunction!(get_blocks, module)?)
}
