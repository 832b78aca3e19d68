//! What the interpreter calls a built-in function through.

use std::ffi::c_void;

use crate::version::Offsets;

/// Fields of `PyCFunctionObject` (Include/cpython/methodobject.h), the same from 3.9 to 3.15: they begin behind the
/// object's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// `m_ml`: the definition, a `PyMethodDef`.
    pub definition: usize,
    /// `m_self`.
    pub receiver: usize,
    /// `vectorcall`: through this pointer the function is called (PEP 590).
    pub vectorcall: usize,
    /// `ml_meth` in `PyMethodDef`: the C function.
    pub definition_function: usize,
}

impl Fields {
    /// Offsets in bytes, for one build.
    #[must_use]
    pub const fn of(offsets: &Offsets) -> Self {
        let header = offsets.object_header;
        Self {
            definition: header,
            receiver: header + 8,
            vectorcall: header + 32,
            definition_function: 8,
        }
    }
}

/// The place of `vectorcall` in a built-in function; `None` if the fields beside it are not what the interpreter's API
/// says they are.
///
/// # Safety
/// 1. `function` is a live object for which `PyCFunction_GetFunction` gave `known` and `PyCFunction_GetSelf` gave
///    `receiver`.
/// 2. `offsets` are those of the interpreter that runs.
#[must_use]
pub unsafe fn vectorcall_place(
    offsets: &Offsets,
    function: *mut c_void,
    known: *const c_void,
    receiver: *const c_void,
) -> Option<*mut *const c_void> {
    let fields = Fields::of(offsets);
    let object = function.cast::<u8>();
    // SAFETY: 1. a live built-in function has these fields in the builds of the registry, which tests/interpreters
    // compares with their headers. 2. Its definition lives as long as it does.
    unsafe {
        let definition: *const u8 = object.add(fields.definition).cast::<*const u8>().read();
        let is_as_known = definition
            .add(fields.definition_function)
            .cast::<*const c_void>()
            .read()
            == known
            && object.add(fields.receiver).cast::<*const c_void>().read() == receiver
            && !receiver.is_null();
        is_as_known.then(|| object.add(fields.vectorcall).cast())
    }
}
