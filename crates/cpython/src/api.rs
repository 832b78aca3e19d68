//! The few C functions of CPython that the tracer needs, declared by hand.
//!
//! `PyMem_*Allocator` and `PyGILState_GetThisThreadState` are exported by every build since 3.5 although the limited
//! API does not list them; the others differ between versions and are looked up by name at start-up.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

use crate::version::{ForVersion, Known, UnsupportedVersion, with_version};

/// `PyMemAllocatorEx` of Include/cpython/pymem.h, unchanged since 3.5.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PyMemAllocatorEx {
    /// First argument of every function below.
    pub ctx: *mut c_void,
    /// `malloc(ctx, size)`.
    pub malloc: Option<unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void>,
    /// `calloc(ctx, nelem, elsize)`.
    pub calloc: Option<unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void>,
    /// `realloc(ctx, ptr, new_size)`.
    pub realloc: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> *mut c_void>,
    /// `free(ctx, ptr)`.
    pub free: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
}

impl PyMemAllocatorEx {
    /// A value to be filled in by [`PyMem_GetAllocator`].
    pub const EMPTY: Self = Self {
        ctx: std::ptr::null_mut(),
        malloc: None,
        calloc: None,
        realloc: None,
        free: None,
    };
}

/// `PyObjectArenaAllocator` of Include/cpython/objimpl.h.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PyObjectArenaAllocator {
    /// First argument of both functions.
    pub ctx: *mut c_void,
    /// `alloc(ctx, size)`.
    pub alloc: Option<unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void>,
    /// `free(ctx, ptr, size)`.
    pub free: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, usize)>,
}

/// `PYMEM_DOMAIN_RAW`.
pub const DOMAIN_RAW: c_int = 0;
/// `PYMEM_DOMAIN_MEM`.
pub const DOMAIN_MEM: c_int = 1;
/// `PYMEM_DOMAIN_OBJ`.
pub const DOMAIN_OBJ: c_int = 2;

unsafe extern "C" {
    /// Copies the allocator of `domain` to `allocator`.
    pub fn PyMem_GetAllocator(domain: c_int, allocator: *mut PyMemAllocatorEx);
    /// Makes `allocator` the one of `domain`.
    pub fn PyMem_SetAllocator(domain: c_int, allocator: *mut PyMemAllocatorEx);
    /// `malloc` of the raw domain; needs no GIL.
    pub fn PyMem_RawMalloc(size: usize) -> *mut c_void;
    /// `free` of the raw domain; needs no GIL.
    pub fn PyMem_RawFree(block: *mut c_void);
    /// `malloc` of the mem domain.
    pub fn PyMem_Malloc(size: usize) -> *mut c_void;
    /// `free` of the mem domain.
    pub fn PyMem_Free(block: *mut c_void);
    /// `malloc` of the obj domain.
    pub fn PyObject_Malloc(size: usize) -> *mut c_void;
    /// `free` of the obj domain.
    pub fn PyObject_Free(block: *mut c_void);
    /// Copies the allocator of pymalloc's arenas.
    pub fn PyObject_GetArenaAllocator(allocator: *mut PyObjectArenaAllocator);
    /// Sets the allocator of pymalloc's arenas.
    pub fn PyObject_SetArenaAllocator(allocator: *mut PyObjectArenaAllocator);
    /// The thread state that belongs to the calling thread, null when it has none; needs no GIL.
    pub fn PyGILState_GetThisThreadState() -> *mut c_void;
    /// Detaches the calling thread's state (gives the GIL back) and returns it.
    pub fn PyEval_SaveThread() -> *mut c_void;
    /// Attaches the state that [`PyEval_SaveThread`] returned.
    pub fn PyEval_RestoreThread(state: *mut c_void);
    fn PyTraceMalloc_Untrack(domain: c_uint, address: usize) -> c_int;
    fn PyInterpreterState_Get() -> *mut c_void;
    fn PyInterpreterState_Main() -> *mut c_void;
    fn Py_GetVersion() -> *const c_char;
}

/// Does the calling thread run in the main interpreter, and not in a sub-interpreter of the process?
///
/// # Safety
/// The thread is attached.
#[must_use]
pub unsafe fn in_main_interpreter() -> bool {
    // SAFETY: 1. both are exported by every build since 3.9. 2. The first wants an attached thread, which the caller
    // promises.
    unsafe { PyInterpreterState_Get() == PyInterpreterState_Main() }
}

/// Does the interpreter's own `tracemalloc` trace? May be asked without the GIL.
#[must_use]
pub fn tracemalloc_is_tracing() -> bool {
    // Told by the answer to a question about a block that nobody has: -2 when it is off (Include/tracemalloc.h).
    const NOT_TRACING: c_int = -2;
    const NO_DOMAIN: c_uint = c_uint::MAX;
    // SAFETY: every version takes any domain and address, and needs no GIL; it reads its state under its own lock.
    unsafe { PyTraceMalloc_Untrack(NO_DOMAIN, 0) != NOT_TRACING }
}

/// A function that gives the thread state holding the GIL, without checks.
pub type GetThreadState = unsafe extern "C" fn() -> *mut c_void;

/// Looks up `_PyThreadState_UncheckedGet`: on ≤ 3.11 the state that holds the GIL, from 3.12 on the calling thread's
/// attached one.
#[must_use]
pub fn unchecked_thread_state_getter() -> Option<GetThreadState> {
    [
        c"_PyThreadState_UncheckedGet",
        c"PyThreadState_GetUnchecked",
    ]
    .into_iter()
    .find_map(|name| {
        let address = symbol(name)?;
        // SAFETY: both names are functions of CPython with the signature `PyThreadState *(void)`.
        Some(unsafe { std::mem::transmute::<*mut c_void, GetThreadState>(address) })
    })
}

/// Address of an exported symbol of the process, `None` when there is none of that name.
#[must_use]
pub fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: dlsym reads a NUL-terminated name; RTLD_DEFAULT needs no handle.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}

/// What [`running_version`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningVersion {
    /// The `x` of `3.x`; `None` for anything that is not Python 3.
    pub minor: Option<u8>,
    /// Is this a free-threaded build?
    pub free_threaded: bool,
    /// Is this a debug build (`--with-pydebug`)? Layouts are the same, but its assertions forbid frame marks.
    pub debug: bool,
    /// `Py_GetVersion()`, for messages.
    pub text: String,
}

impl RunningVersion {
    /// Calls `action` for this version.
    ///
    /// # Errors
    /// When the registry does not have it.
    pub fn call<A: ForVersion>(&self, action: A) -> Result<A::Output, UnsupportedVersion> {
        self.minor
            .and_then(|minor| with_version(minor, self.free_threaded, action))
            .ok_or_else(|| UnsupportedVersion(self.text.clone()))
    }
}

/// The registry's entry of the interpreter that runs in this process.
///
/// # Errors
/// When there is none.
pub fn running_build() -> Result<&'static Known, UnsupportedVersion> {
    static BUILD: OnceLock<Option<&'static Known>> = OnceLock::new();
    let build = BUILD.get_or_init(|| {
        let running = running_version();
        Known::find(running.minor?, running.free_threaded)
    });
    build.ok_or_else(|| UnsupportedVersion(running_version().text))
}

/// Which interpreter runs in this process.
#[must_use]
pub fn running_version() -> RunningVersion {
    // SAFETY: Py_GetVersion returns a static NUL-terminated string and may be called at any time, even before
    // initialisation.
    let text = unsafe { CStr::from_ptr(Py_GetVersion()) }
        .to_string_lossy()
        .into_owned();
    let minor = text
        .strip_prefix("3.")
        .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok());
    RunningVersion {
        minor,
        free_threaded: text.contains("free-threading"),
        debug: symbol(c"_Py_NegativeRefcount").is_some(),
        text,
    }
}
