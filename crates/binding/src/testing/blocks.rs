//! What is known of single blocks, as plain tuples: for tests that compare block by block.

use std::collections::HashMap;

use heapsight_analysis::path;
use heapsight_capture::model::{Mode, NodeId, Tables};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

/// A frame: file name, line (0 when unknown), qualified name of the function.
type Frame = (String, u32, String);

/// The size of the traced block at exactly this address, and its call path, most recent frame first; None when there is
/// none.
#[pyfunction]
fn trace_of_address(address: usize) -> Option<(usize, Vec<Frame>)> {
    let (block, tables) = heapsight_tracer::trace_of(address)?;
    let site = tables.sites.get(block.site as usize)?;
    Some((block.size, frames(&tables, site.node)))
}

/// The number of the allocator domain of the traced block at exactly this address; None when there is none.
#[pyfunction]
fn domain_of_address(address: usize) -> Option<u32> {
    let (block, tables) = heapsight_tracer::trace_of(address)?;
    Some(tables.sites.get(block.site as usize)?.domain.0)
}

/// Every live traced block: address, size, number of its allocator domain, and call path, most recent frame first.
///
/// Blocks with the same call path share one tuple of it, and paths share their frames: there are many blocks, few
/// paths, fewer frames.
#[pyfunction]
fn get_blocks(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let (tables, blocks) = heapsight_tracer::snapshot_with_blocks();
    let limit = frame_limit();
    let mut paths: HashMap<NodeId, Bound<'_, PyTuple>> = HashMap::new();
    let mut known: HashMap<path::Frame<'_>, Bound<'_, PyAny>> = HashMap::new();
    let list = PyList::empty(py);
    for block in blocks.iter() {
        let Some(site) = tables.sites.get(block.site as usize) else {
            continue;
        };
        let path = if let Some(path) = paths.get(&site.node) {
            path.clone()
        } else {
            let mut frames = Vec::new();
            for frame in path::frames(&tables, site.node).take(limit) {
                let made = if let Some(made) = known.get(&frame) {
                    made.clone()
                } else {
                    let made = (frame.filename, frame.line, frame.name).into_pyobject(py)?;
                    known.insert(frame, made.clone().into_any());
                    made.into_any()
                };
                frames.push(made);
            }
            let path = PyTuple::new(py, frames)?;
            paths.insert(site.node, path.clone());
            path
        };
        list.append((block.address, block.size, site.domain.0, path))?;
    }
    Ok(list)
}

fn frames(tables: &Tables, node: NodeId) -> Vec<Frame> {
    path::frames(tables, node)
        .take(frame_limit())
        .map(|frame| (frame.filename.to_owned(), frame.line, frame.name.to_owned()))
        .collect()
}

/// Frames to show of each path.
fn frame_limit() -> usize {
    match heapsight_tracer::configuration().mode() {
        Mode::Exact {
            frame_limit: Some(limit),
        } => limit as usize,
        Mode::Exact { frame_limit: None } | Mode::Sampled { .. } => usize::MAX,
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(trace_of_address, module)?)?;
    module.add_function(wrap_pyfunction!(domain_of_address, module)?)?;
    module.add_function(wrap_pyfunction!(get_blocks, module)?)
}
