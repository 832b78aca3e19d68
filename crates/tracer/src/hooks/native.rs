//! What goes past Python's allocators: `malloc` and its relatives, as the preloaded library tells of them.
//!
//! The blocks are in the live map, beside those of Python. Such an event may come on any thread, with the GIL or
//! without it, on threads that Python knows nothing of, while the loader holds its locks, or in the middle of `fork`:
//! it is treated as one of the raw domain. What Python's allocators ask for is theirs (`in_hook`), and what the tracer
//! asks for does not come here (`heapsight_native::system`).

use std::ffi::c_void;

use heapsight_cpython::version::Version;
use heapsight_native::interface::Hooks;
use heapsight_native::system;

use crate::hooks::native_mappings::{self, Paths};
use crate::hooks::{exact, sampled};
use crate::interpreter::event::{NATIVE_MALLOC, RAW};
use crate::session;
use crate::tables::totals;
use crate::thread::{self, Thread};

/// The functions for the preloaded library, and what those of them need that are the same for all versions.
pub(crate) struct Native {
    hooks: Hooks,
    paths: Paths,
}

/// Of whole paths or the running frame alone, of all blocks or a sample.
pub(crate) const fn of<V: Version, const FULL: bool, const SAMPLED: bool>() -> &'static Native {
    const {
        &Native {
            hooks: Hooks {
                allocated: allocated::<V, FULL, SAMPLED>,
                freeing: freeing::<V, SAMPLED>,
                realloc: realloc::<V, FULL, SAMPLED>,
                mmap: native_mappings::mmap,
                munmap: native_mappings::munmap,
                mremap: native_mappings::mremap,
                mprotect: native_mappings::mprotect,
                brk: native_mappings::brk,
                sbrk: native_mappings::sbrk,
            },
            paths: native_mappings::paths::<V, FULL>(),
        }
    }
}

/// Has the preloaded library call these; `None`: nobody.
pub(crate) fn set(native: Option<&'static Native>) {
    if let Some(native) = native {
        native_mappings::begin(native.paths);
    }
    heapsight_native::set_hooks(native.map(|native| &native.hooks));
}

/// The calling thread's state, if what it asks for now is the program's own; else null.
#[inline(always)]
pub(crate) fn thread_of_program() -> *mut Thread {
    if !session::is_tracing() {
        return std::ptr::null_mut();
    }
    let thread = thread::current();
    if thread.is_null() {
        totals::count_loss();
        return thread;
    }
    // SAFETY: the calling thread's state, of which only this field is read.
    if unsafe { (*thread).in_hook } {
        return std::ptr::null_mut();
    }
    thread
}

unsafe extern "C" fn allocated<V: Version, const FULL: bool, const SAMPLED: bool>(
    address: usize,
    size: usize,
) {
    let thread = thread_of_program();
    if thread.is_null() {
        return;
    }
    // SAFETY: the calling thread's state; the library calls as a hook of this domain.
    unsafe {
        if SAMPLED {
            sampled::count_new::<V, NATIVE_MALLOC, FULL>(thread, address as *mut c_void, size);
        } else {
            exact::record_apart::<V, FULL>(NATIVE_MALLOC, thread, address, size);
        }
    }
}

/// A block of Python's may end here as well: code that knows what the raw domain is made of calls `free` itself.
unsafe extern "C" fn freeing<V: Version, const SAMPLED: bool>(address: usize) {
    if !session::is_tracing() {
        return;
    }
    // SAFETY: the library calls before the block is freed; that needs the GIL as little as the raw domain does.
    unsafe {
        if SAMPLED {
            sampled::forget_block::<V, RAW>(address);
        } else {
            exact::forget_block::<V, RAW>(address);
        }
    }
}

unsafe extern "C" fn realloc<V: Version, const FULL: bool, const SAMPLED: bool>(
    old: *mut c_void,
    size: usize,
) -> *mut c_void {
    let thread = thread_of_program();
    // SAFETY: the arguments are the program's; the calling thread's state, as a hook of this domain.
    unsafe {
        let ask = || system::realloc(old, size);
        if thread.is_null() {
            ask()
        } else if SAMPLED {
            sampled::reallocate::<V, NATIVE_MALLOC, FULL>(thread, old as usize, size, ask)
        } else {
            exact::reallocate::<V, NATIVE_MALLOC>(
                thread,
                old as usize,
                size,
                ask,
                |thread, address, size| {
                    exact::record_apart::<V, FULL>(NATIVE_MALLOC, thread, address, size);
                },
            )
        }
    }
}
