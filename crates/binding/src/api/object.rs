//! Where the memory block of an object begins.

use std::ffi::{c_ulong, c_void};
use std::sync::atomic::{AtomicU8, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

/// The collector's links, `sizeof(PyGC_Head)`: two words before every object of a collected type; none in free-threaded builds.
const GC_HEADER_BYTES: usize = if cfg!(Py_GIL_DISABLED) {
    0
} else {
    2 * size_of::<usize>()
};
/// Pointers to an instance's dictionary (or values) and weak references: two words before those (`_PyType_PreHeaderSize`, 3.11+).
const PRE_HEADER_BYTES: usize = 2 * size_of::<usize>();

/// `Py_TPFLAGS_HAVE_GC` (object.h).
const HAVE_GC: c_ulong = 1 << 14;
/// `Py_TPFLAGS_MANAGED_DICT`, 3.11+ (object.h).
const MANAGED_DICT: c_ulong = 1 << 4;
/// `Py_TPFLAGS_MANAGED_WEAKREF`, 3.12+ (object.h).
const MANAGED_WEAKREF: c_ulong = 1 << 3;

/// The address of the memory block that holds the object: what stands before the object itself is part of it.
#[pyfunction]
fn get_object_address(obj: &Bound<'_, PyAny>) -> usize {
    block_address(obj)
}

/// The minor version that [`raw_block_address`] works for.
static MINOR: AtomicU8 = AtomicU8::new(0);

/// The function that tells where an object's block begins, for the tracer.
pub(crate) fn locate(py: Python<'_>) -> unsafe fn(*mut c_void) -> usize {
    MINOR.store(py.version_info().minor, Ordering::Relaxed);
    raw_block_address
}

/// # Safety
/// `object` is a live object, and the thread is attached.
unsafe fn raw_block_address(object: *mut c_void) -> usize {
    // SAFETY: promised by the caller; reading flags runs no Python code and allocates nothing.
    let flags = unsafe { ffi::PyType_GetFlags(ffi::Py_TYPE(object.cast())) };
    object as usize - header_bytes(flags, MINOR.load(Ordering::Relaxed))
}

pub(crate) fn block_address(obj: &Bound<'_, PyAny>) -> usize {
    // SAFETY: the object and so its type are alive, and the thread is attached.
    let flags = unsafe { ffi::PyType_GetFlags(ffi::Py_TYPE(obj.as_ptr())) };
    obj.as_ptr() as usize - header_bytes(flags, obj.py().version_info().minor)
}

/// Bytes before an object whose type has these flags, in Python 3.`minor`.
fn header_bytes(flags: c_ulong, minor: u8) -> usize {
    let pre_header_flags = match minor {
        ..=10 => 0,
        11 => MANAGED_DICT,
        12.. => MANAGED_DICT | MANAGED_WEAKREF,
    };
    let collected = if flags & HAVE_GC == 0 {
        0
    } else {
        GC_HEADER_BYTES
    };
    let managed = if flags & pre_header_flags == 0 {
        0
    } else {
        PRE_HEADER_BYTES
    };
    collected + managed
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(get_object_address, module)?)
}
