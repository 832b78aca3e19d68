//! Sends the calls of one exported function of the interpreter to another function, for as long as is wanted.
//!
//! the interpreter's own tracer's C functions are called by extension modules directly; there is no hook. So the first
//! bytes of such a function become a jump. What makes this safe:
//!
//! 1. **No memory is ever writable and executable.** The page is copied to a new one, changed there, made executable
//!    and no longer writable, and then put in the place of the old one by a single `mremap`. Nothing on disk is
//!    touched. The new page is a private mapping of the same place in the same file, so that perf and debuggers still
//!    know the functions there (`file_pages`).
//! 2. **Other threads see the old page or the new one**, never a mixture: the kernel exchanges the mapping under its
//!    own lock, and a processor that runs from it is interrupted to drop its copy.
//! 3. **The function is long enough**, by the size in its symbol, so the jump destroys nothing but the function itself;
//!    that is not entered any more but through its first byte.
//! 4. What is left: a thread that stands between the first instructions at that very moment, in the few that set up its
//!    stack frame. The caller holds the GIL, as callers of the redirected functions do; see `docs/safety.md`.

mod file_pages;

use std::ffi::{CStr, c_int, c_void};
use std::io;

use crate::api;

/// Bytes of [`jump_to`].
const JUMP_BYTES: usize = 12;

/// A function whose calls go elsewhere.
#[derive(Debug)]
pub struct Redirect {
    entry: usize,
    original: [u8; JUMP_BYTES],
}

/// Why a function's calls cannot be redirected.
#[derive(Debug, thiserror::Error)]
pub enum RedirectError {
    /// The interpreter exports no such function, or one that is too short for a jump.
    #[error("{0} is not a function that can be redirected")]
    NoFunction(String),
    /// There is no such code for this kind of processor.
    #[error("redirecting functions is known for x86-64 only")]
    UnknownProcessor,
    /// The system does not allow code to be replaced.
    #[error("the system does not let code be replaced: {0}")]
    Refused(#[from] io::Error),
}

impl Redirect {
    /// Has every call of the interpreter's function `name` go to `target`.
    ///
    /// # Errors
    /// [`RedirectError`]; nothing has changed then.
    ///
    /// # Safety
    /// `target` is a function of the same signature that is never unloaded. The GIL is held.
    pub unsafe fn install(name: &CStr, target: usize) -> Result<Self, RedirectError> {
        if !cfg!(target_arch = "x86_64") {
            return Err(RedirectError::UnknownProcessor);
        }
        let no_function = || RedirectError::NoFunction(name.to_string_lossy().into_owned());
        let entry = api::symbol(name).ok_or_else(no_function)?;
        if function_bytes(entry).is_none_or(|bytes| bytes < JUMP_BYTES) {
            return Err(no_function());
        }
        // SAFETY: the function has that many bytes, and code can be read.
        let original = unsafe { entry.cast::<[u8; JUMP_BYTES]>().read_unaligned() };
        let entry = entry as usize;
        // SAFETY: by the argument of this module.
        unsafe { exchange(entry, &jump_to(target))? };
        Ok(Self { entry, original })
    }

    /// Has the calls go where they went before.
    ///
    /// # Errors
    /// [`RedirectError::Refused`]: the redirection is still in force, and it can be tried again.
    ///
    /// # Safety
    /// The GIL is held, and nobody has changed the function since.
    pub unsafe fn remove(&self) -> Result<(), RedirectError> {
        // SAFETY: by the argument of this module.
        unsafe { exchange(self.entry, &self.original) }?;
        Ok(())
    }
}

/// `movabs rax, target; jmp rax`: rax holds nothing at a function's entry.
fn jump_to(target: usize) -> [u8; JUMP_BYTES] {
    let mut code = [0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0];
    code[2..10].copy_from_slice(&target.to_le_bytes());
    code
}

/// `dladdr1` of glibc, and the flag that asks for the symbol (dlfcn.h).
type DlAddr1 =
    unsafe extern "C" fn(*const c_void, *mut libc::Dl_info, *mut *mut c_void, c_int) -> c_int;
const RTLD_DL_SYMENT: c_int = 1;

/// The length of the exported function that begins at `entry`.
fn function_bytes(entry: *const c_void) -> Option<usize> {
    let dladdr1 = api::symbol(c"dladdr1")?;
    let mut symbol: *mut c_void = std::ptr::null_mut();
    // SAFETY: a function of this signature, where it exists; with this flag the last argument receives an
    // `Elf64_Sym *`, valid as long as the library is loaded, which the interpreter is.
    unsafe {
        let dladdr1 = std::mem::transmute::<*mut c_void, DlAddr1>(dladdr1);
        let mut info: libc::Dl_info = std::mem::zeroed();
        if dladdr1(entry, &raw mut info, &raw mut symbol, RTLD_DL_SYMENT) == 0
            || info.dli_saddr.cast_const() != entry
            || symbol.is_null()
        {
            return None;
        }
        usize::try_from((*symbol.cast::<libc::Elf64_Sym>()).st_size).ok()
    }
}

/// Puts `code` at `entry`, in a copy of the pages it is on that takes their place.
///
/// # Safety
/// The module's argument holds for `entry`, which is code that can be read.
unsafe fn exchange(entry: usize, code: &[u8]) -> io::Result<()> {
    // SAFETY: sysconf has no preconditions.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let first = entry & !(page - 1);
    let length = (entry + code.len()).next_multiple_of(page) - first;
    let copy = match file_pages::remap(first, length, page) {
        Some(copy) => copy,
        None => map_nameless(length)?,
    };
    // SAFETY: 1. the copy is as long as the pages that are copied, which are mapped and readable; nobody else knows of
    // it.
    // 2. `entry` and its code lie inside. 3. The exchange replaces exactly the pages that were copied.
    unsafe {
        std::ptr::copy_nonoverlapping(first as *const u8, copy.cast::<u8>(), length);
        std::ptr::copy_nonoverlapping(
            code.as_ptr(),
            copy.cast::<u8>().add(entry - first),
            code.len(),
        );
        let executable = libc::PROT_READ | libc::PROT_EXEC;
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        if libc::mprotect(copy, length, executable) != 0
            || libc::mremap(copy, length, length, flags, first as *mut c_void) == libc::MAP_FAILED
        {
            let error = io::Error::last_os_error();
            libc::munmap(copy, length);
            return Err(error);
        }
    }
    Ok(())
}

/// A new mapping of no file, readable and writable: where the interpreter's file was replaced or removed since it
/// started.
fn map_nameless(length: usize) -> io::Result<*mut c_void> {
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory that exists.
    let copy = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if copy == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(copy)
}
