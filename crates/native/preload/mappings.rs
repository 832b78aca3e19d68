//! `mmap` and its relatives: the tracer calls the C library's, so that it can keep others out meanwhile.

use core::ffi::{c_int, c_void};

use crate::thread::Inside;
use crate::{ENOMEM, PRELOAD, find_system, hooks, set_errno};

/// What a function returns that has no memory: -1, as a number or as an address.
trait Failed {
    const FAILED: Self;
}

impl Failed for c_int {
    const FAILED: Self = -1;
}

impl Failed for *mut c_void {
    const FAILED: Self = usize::MAX as *mut c_void;
}

macro_rules! mapping {
    ($(#[$meta:meta])* $name:ident as $hook:ident ($($argument:ident: $type:ty),*) -> $result:ty) => {
        $(#[$meta])*
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),*) -> $result {
            find_system();
            let Some(function) = PRELOAD.system.$hook() else {
                set_errno(ENOMEM);
                return <$result as Failed>::FAILED;
            };
            // SAFETY: promised by the caller.
            unsafe {
                match hooks().zip(Inside::to_make()) {
                    Some((hooks, _inside)) => (hooks.$hook)($($argument),*),
                    None => function($($argument),*),
                }
            }
        }
    };
}

mapping!(mmap as mmap(
    address: *mut c_void, length: usize, protection: c_int, flags: c_int, file: c_int, offset: i64
) -> *mut c_void);
mapping!(
    /// The same: offsets have 64 bits.
    mmap64 as mmap(
    address: *mut c_void, length: usize, protection: c_int, flags: c_int, file: c_int, offset: i64
) -> *mut c_void);
mapping!(munmap as munmap(address: *mut c_void, length: usize) -> c_int);
mapping!(mremap as mremap(
    old: *mut c_void, old_length: usize, length: usize, flags: c_int, new: *mut c_void
) -> *mut c_void);
mapping!(mprotect as mprotect(address: *mut c_void, length: usize, protection: c_int) -> c_int);
mapping!(brk as brk(address: *mut c_void) -> c_int);
mapping!(sbrk as sbrk(bytes: isize) -> *mut c_void);
