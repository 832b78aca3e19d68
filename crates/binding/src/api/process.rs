//! Memory of this process as the system counts it.

use heapsight_edge::or_memory_error;
use pyo3::prelude::*;

/// Resident and virtual memory in bytes, None where the platform does not tell.
#[pyfunction]
#[or_memory_error]
pub(crate) fn process_memory() -> Option<(u64, u64)> {
    // /proc/self/statm: total size, then resident pages (proc(5)).
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split_ascii_whitespace().map(str::parse::<u64>);
    let (size, resident) = (pages.next()?.ok()?, pages.next()?.ok()?);
    let page = heapsight_tracer::page_bytes() as u64;
    Some((resident * page, size * page))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(process_memory, module)?)
}
