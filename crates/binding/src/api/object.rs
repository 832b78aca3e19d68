//! Where the memory block of an object begins.

use std::ffi::{c_ulong, c_void};

use heapsight_edge::or_memory_error;
use heapsight_tracer::{UnsupportedVersion, pre_header_bytes, running_build};
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;

/// The address of the memory block that holds the object: what stands before the object itself is part of it.
#[pyfunction]
#[or_memory_error]
fn get_object_address(obj: &Bound<'_, PyAny>) -> PyResult<usize> {
    block_address(obj).map_err(|error| PyRuntimeError::new_err(error.to_string()))
}

/// The address of the memory block that holds `object`, for the tracer.
///
/// # Safety
/// `object` is a live object, the thread is attached, and the interpreter's version is known.
pub(crate) unsafe fn raw_block_address(object: *mut c_void) -> usize {
    // SAFETY: promised by the caller; reading flags runs no Python code and allocates nothing.
    let flags = unsafe { ffi::PyType_GetFlags(ffi::Py_TYPE(object.cast())) };
    object as usize - bytes_before(flags).unwrap_or(0)
}

/// The address of the memory block that holds the object.
///
/// # Errors
/// When it is not known how the interpreter that runs lays out objects.
pub(crate) fn block_address(obj: &Bound<'_, PyAny>) -> Result<usize, UnsupportedVersion> {
    // SAFETY: the object and so its type are alive, and the thread is attached.
    let flags = unsafe { ffi::PyType_GetFlags(ffi::Py_TYPE(obj.as_ptr())) };
    Ok(obj.as_ptr() as usize - bytes_before(flags)?)
}

fn bytes_before(type_flags: c_ulong) -> Result<usize, UnsupportedVersion> {
    Ok(pre_header_bytes(&running_build()?.offsets, type_flags))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(get_object_address, module)?)
}
