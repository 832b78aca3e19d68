//! Where the memory block of an object begins.

use crate::version::Offsets;

/// `Py_TPFLAGS_HAVE_GC` (Include/object.h): the collector knows the type's instances.
const HAVE_GC: u64 = 1 << 14;

/// `MANAGED_DICT` or `MANAGED_WEAKREF`: pointers to an instance's dictionary (or values) and to its weak references.
const MANAGED_BYTES: usize = 2 * size_of::<usize>();

/// Bytes of the memory block that stand before an object whose type has these flags (`PyType_GetFlags`).
#[must_use]
pub fn pre_header_bytes(offsets: &Offsets, type_flags: u64) -> usize {
    let pre_header = offsets.pre_header;
    let bytes_if = |flags: u64, bytes| if type_flags & flags == 0 { 0 } else { bytes };
    bytes_if(HAVE_GC, pre_header.collector_bytes)
        + bytes_if(pre_header.managed_flags, MANAGED_BYTES)
}
