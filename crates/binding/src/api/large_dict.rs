//! Dictionaries with millions of entries, made at their final size.
//!
//! A dictionary that grows to four million entries copies its table six times, and looks keys up in tables that are two thirds full.
//! CPython has a function that makes one larger, but not beyond some 87 000 entries; what grows a dictionary to any size at once is `dict.update()`,
//! by the length of the other one. So the new one is updated from one that says it is as long as wanted.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// From here on it pays: below, growing costs less than a millisecond.
const SMALLEST: usize = 10_000;

/// The beginning of every dictionary, `PyDictObject` in `cpython/dictobject.h`: the same from Python 3.6 to 3.15.
#[repr(C)]
struct Head {
    base: ffi::PyObject,
    used: ffi::Py_ssize_t,
}

/// A dictionary of `entries`, of which there are `count` or fewer.
pub(crate) fn of_entries<'py, K: IntoPyObject<'py>, V: IntoPyObject<'py>>(
    py: Python<'py>,
    mut entries: impl Iterator<Item = PyResult<(K, V)>>,
    count: usize,
) -> PyResult<Bound<'py, PyDict>> {
    let Some(first) = entries.next() else {
        return Ok(PyDict::new(py));
    };
    let (key, value) = first?;
    let dict = with_room(py, key, value, count)?;
    for entry in entries {
        let (key, value) = entry?;
        dict.set_item(key, value)?;
    }
    Ok(dict)
}

/// A dictionary with one entry and room for `entries`, if this interpreter's dictionaries are as we know them; else with that entry.
fn with_room<'py>(
    py: Python<'py>,
    key: impl IntoPyObject<'py>,
    value: impl IntoPyObject<'py>,
    entries: usize,
) -> PyResult<Bound<'py, PyDict>> {
    let one = PyDict::new(py);
    one.set_item(key, value)?;
    let is_known = py.version_info() <= (3, 15);
    let Some(length) = ffi::Py_ssize_t::try_from(entries)
        .ok()
        .filter(|_| is_known && entries >= SMALLEST)
    else {
        return Ok(one);
    };
    let roomy = PyDict::new(py);
    // SAFETY: 1. `one` is a dictionary that nobody else has: it was made above and never handed out, so what is done to it is seen here alone.
    // 2. Its head is as declared, in the versions let through, and what is written is put back before anybody else can look; should the field
    // not be the length after all, the length that the API tells does not change, and nothing more is done.
    // 3. `PyDict_Merge` takes the length as a hint of how large to make the table. It goes over the entries by their table, not by
    // the length, so it finds one.
    let merged = unsafe {
        let used = &raw mut (*one.as_ptr().cast::<Head>()).used;
        if used.read() != 1 {
            return Ok(one);
        }
        used.write(length);
        let merged = if ffi::PyDict_Size(one.as_ptr()) == length {
            ffi::PyDict_Merge(roomy.as_ptr(), one.as_ptr(), 1)
        } else {
            -1
        };
        used.write(1);
        merged
    };
    if merged == 0 && roomy.len() == 1 {
        return Ok(roomy);
    }
    // No memory for so large a table: adding the entries will say so, if they do not fit either.
    drop(PyErr::take(py));
    Ok(one)
}
