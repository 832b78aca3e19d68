//! `malloc` and its relatives.
//!
//! C++'s `new` and `delete` come here too: those of the C++ library call `malloc` and `free`.

use core::ffi::{c_int, c_void};
use core::ptr::null_mut;

use crate::thread::Inside;
use crate::{ENOMEM, PRELOAD, early, find_system, hooks, keeping_errno, set_errno};

/// Asks for a block of `size` bytes, and tells the tracer of it.
///
/// The thread's word is set while the C library works, too: what an allocator in its place maps for the block is the
/// block's.
#[inline(always)]
fn told(size: usize, ask: impl FnOnce() -> *mut c_void) -> *mut c_void {
    let Some((hooks, _inside)) = hooks().zip(Inside::to_make()) else {
        return ask();
    };
    let block = ask();
    if !block.is_null() {
        // SAFETY: the block was just made; the thread's word is set.
        keeping_errno(|| unsafe { (hooks.allocated)(block as usize, size) });
    }
    block
}

#[unsafe(no_mangle)]
unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    let Some(malloc) = PRELOAD.system.malloc() else {
        return malloc_early(size);
    };
    // SAFETY: has no preconditions.
    told(size, || unsafe { malloc(size) })
}

#[cold]
fn malloc_early(size: usize) -> *mut c_void {
    find_system();
    match PRELOAD.system.malloc() {
        // SAFETY: has no preconditions.
        Some(malloc) => unsafe { malloc(size) },
        None => early::allocate(size, 1),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let Some(calloc) = PRELOAD.system.calloc() else {
        return calloc_early(count, size);
    };
    // The product cannot overflow when the call succeeds.
    // SAFETY: has no preconditions.
    told(count.wrapping_mul(size), || unsafe { calloc(count, size) })
}

#[cold]
fn calloc_early(count: usize, size: usize) -> *mut c_void {
    find_system();
    match PRELOAD.system.calloc() {
        // SAFETY: has no preconditions.
        Some(calloc) => unsafe { calloc(count, size) },
        None => early::allocate(count.saturating_mul(size), 1),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn free(block: *mut c_void) {
    if block.is_null() || early::holds(block) {
        return;
    }
    let Some(free) = PRELOAD.system.free() else {
        return; // no block was made that is not early's
    };
    // SAFETY: promised by the caller; told before, since another thread may get the address at once.
    unsafe {
        let Some((hooks, _inside)) = hooks().zip(Inside::to_end()) else {
            return free(block);
        };
        keeping_errno(|| (hooks.freeing)(block as usize));
        free(block);
    }
}

/// C23: `free` of a block whose size the caller knows.
#[unsafe(no_mangle)]
unsafe extern "C" fn free_sized(block: *mut c_void, _size: usize) {
    // SAFETY: promised by the caller.
    unsafe { free(block) }
}

/// C23: the same for an aligned block.
#[unsafe(no_mangle)]
unsafe extern "C" fn free_aligned_sized(block: *mut c_void, _alignment: usize, _size: usize) {
    // SAFETY: promised by the caller.
    unsafe { free(block) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(old: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: promised by the caller.
    unsafe {
        let Some(realloc) = PRELOAD.system.realloc() else {
            return realloc_early(old, size);
        };
        if old.is_null() {
            return told(size, || realloc(old, size));
        }
        if early::holds(old) {
            return realloc_early(old, size);
        }
        match hooks().zip(Inside::to_end()) {
            Some((hooks, inside)) if inside.is_program() => (hooks.realloc)(old, size),
            Some((hooks, _inside)) => {
                keeping_errno(|| (hooks.freeing)(old as usize));
                realloc(old, size)
            }
            None => realloc(old, size),
        }
    }
}

/// A block of [`early`] is copied and stays where it is.
#[cold]
unsafe fn realloc_early(old: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: promised by the caller; the new block has that many bytes.
    unsafe {
        let block = malloc(size);
        if !block.is_null() && early::holds(old) {
            let bytes = early::size_of(old).min(size);
            core::ptr::copy_nonoverlapping(old.cast::<u8>(), block.cast::<u8>(), bytes);
        }
        block
    }
}

/// In no C library before 2017, hence not looked up.
#[unsafe(no_mangle)]
unsafe extern "C" fn reallocarray(old: *mut c_void, count: usize, size: usize) -> *mut c_void {
    let Some(bytes) = count.checked_mul(size) else {
        set_errno(ENOMEM);
        return null_mut();
    };
    // SAFETY: promised by the caller.
    unsafe { realloc(old, bytes) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(
    place: *mut *mut c_void,
    alignment: usize,
    size: usize,
) -> c_int {
    find_system();
    let Some(function) = PRELOAD.system.posix_memalign() else {
        return ENOMEM;
    };
    let mut status = 0;
    told(size, || {
        // SAFETY: promised by the caller.
        unsafe {
            status = function(place, alignment, size);
            if status == 0 { *place } else { null_mut() }
        }
    });
    status
}

/// A function that is there or not; where it is not, there is no memory.
macro_rules! aligned {
    ($name:ident) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(alignment: usize, size: usize) -> *mut c_void {
            find_system();
            match PRELOAD.system.$name() {
                // SAFETY: promised by the caller.
                Some(function) => told(size, || unsafe { function(alignment, size) }),
                None => {
                    set_errno(ENOMEM);
                    null_mut()
                }
            }
        }
    };
}

aligned!(aligned_alloc);
aligned!(memalign);

macro_rules! in_pages {
    ($name:ident) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(size: usize) -> *mut c_void {
            find_system();
            match PRELOAD.system.$name() {
                // SAFETY: has no preconditions.
                Some(function) => told(size, || unsafe { function(size) }),
                None => {
                    set_errno(ENOMEM);
                    null_mut()
                }
            }
        }
    };
}

in_pages!(valloc);
in_pages!(pvalloc);
