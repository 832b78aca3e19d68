//! Releases the live map's memory together with pymalloc's: when pymalloc frees an arena, no block is live in its
//! range.

use std::ffi::c_void;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use heapsight_cpython::api::{self, PyObjectArenaAllocator};

use crate::tables::live_map;

type Free = unsafe extern "C" fn(*mut c_void, *mut c_void, usize);

static ORIGINAL_CTX: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static ORIGINAL_FREE: AtomicUsize = AtomicUsize::new(0);

/// Hooks the end of arenas, once and for good: arenas may outlive tracing, and the hook costs one call for each
/// megabyte.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut arenas = PyObjectArenaAllocator {
            ctx: std::ptr::null_mut(),
            alloc: None,
            free: None,
        };
        // SAFETY: both functions take a pointer to a PyObjectArenaAllocator; the GIL is held. `ctx` and `alloc` stay as
        // they are.
        unsafe {
            api::PyObject_GetArenaAllocator(&raw mut arenas);
            let Some(original) = arenas.free else { return };
            ORIGINAL_CTX.store(arenas.ctx, Ordering::Relaxed);
            ORIGINAL_FREE.store(original as usize, Ordering::Release);
            arenas.free = Some(free);
            api::PyObject_SetArenaAllocator(&raw mut arenas);
        }
    });
}

unsafe extern "C" fn free(_ctx: *mut c_void, start: *mut c_void, length: usize) {
    live_map::release_range(start as usize, length);
    // SAFETY: stored by `install` before this function was.
    unsafe {
        let original = std::mem::transmute::<usize, Free>(ORIGINAL_FREE.load(Ordering::Acquire));
        original(ORIGINAL_CTX.load(Ordering::Relaxed), start, length);
    }
}
