//! The counters of every call path, as plain tuples: for tests that compare a sample with what was there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use heapsight_analysis::path;
use heapsight_capture::model::Tables;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// Traced bytes now and at the peak, and the counters of every call path.
type Counters<'py> = ((u64, u64), Bound<'py, PyList>);

/// Traced bytes now and at the peak, and every call path that anything was ever allocated on: number of the allocator
/// domain, file name and line of each frame, most recent first, and (bytes, blocks) allocated, freed, temporary, and
/// live at the peak.
#[pyfunction]
fn get_counters(py: Python<'_>) -> PyResult<Counters<'_>> {
    listed(py, &heapsight_tracer::snapshot_of_all_paths())
}

/// The same of a capture at its last tick.
///
/// # Errors
/// `ValueError` when the file cannot be read or is no capture.
#[pyfunction]
fn capture_counters(py: Python<'_>, path: PathBuf) -> PyResult<Counters<'_>> {
    listed(py, &super::capture::open(&path)?.tables)
}

fn listed<'py>(py: Python<'py>, tables: &Tables) -> PyResult<Counters<'py>> {
    let list = PyList::empty(py);
    for (site, counters) in tables.sites.iter().zip(&tables.counters) {
        let frames: Vec<(&str, u32)> = path::frames(tables, site.node)
            .map(|frame| (frame.filename, frame.line))
            .collect();
        let figures = (
            (counters.allocated_bytes, counters.allocated_blocks),
            (counters.freed_bytes, counters.freed_blocks),
            (counters.temporary_bytes, counters.temporary_blocks),
            (counters.peak_bytes, counters.peak_blocks),
        );
        list.append((site.domain.0, frames, figures))?;
    }
    Ok(((tables.totals.live_bytes, tables.totals.peak_bytes), list))
}

/// Live memory of each allocator domain, by its number: bytes and blocks. Makes few objects, so that it hardly changes
/// what it tells of.
#[pyfunction]
fn get_live_by_domain() -> BTreeMap<u32, (u64, u64)> {
    let tables = heapsight_tracer::snapshot_of_all_paths();
    let mut live = BTreeMap::new();
    for (site, counters) in tables.sites.iter().zip(&tables.counters) {
        let sum: &mut (u64, u64) = live.entry(site.domain.0).or_default();
        sum.0 += counters.live_bytes();
        sum.1 += counters.live_blocks();
    }
    live
}

/// Draws every later sample from this seed, so that it can be repeated; None: from another one each time.
#[pyfunction]
fn fix_sampling_seed(seed: Option<u64>) {
    heapsight_tracer::fix_sampling_seed(seed);
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(get_counters, module)?)?;
    module.add_function(wrap_pyfunction!(get_live_by_domain, module)?)?;
    module.add_function(wrap_pyfunction!(capture_counters, module)?)?;
    module.add_function(wrap_pyfunction!(fix_sampling_seed, module)?)
}
