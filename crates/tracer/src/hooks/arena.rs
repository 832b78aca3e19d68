//! pymalloc's arenas. When pymalloc frees one, no block is live in its range, and the live map's memory for it is
//! released. When pymalloc makes one, what is mapped for it is the arena's and no mapping of the program's.

use std::ffi::c_void;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use heapsight_cpython::api::{self, PyObjectArenaAllocator};

use crate::memory::lock;
use crate::tables::{arenas, live_map};
use crate::thread;

type Alloc = unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void, *mut c_void, usize);

static ORIGINAL_CTX: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static ORIGINAL_ALLOC: AtomicUsize = AtomicUsize::new(0);
static ORIGINAL_FREE: AtomicUsize = AtomicUsize::new(0);

/// Hooks the arenas, once and for good: arenas may outlive tracing, and the hook costs one call for each
/// megabyte.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut arenas = PyObjectArenaAllocator {
            ctx: std::ptr::null_mut(),
            alloc: None,
            free: None,
        };
        // SAFETY: both functions take a pointer to a PyObjectArenaAllocator; the GIL is held. `ctx` stays as it is.
        unsafe {
            api::PyObject_GetArenaAllocator(&raw mut arenas);
            let (Some(alloc), Some(original)) = (arenas.alloc, arenas.free) else {
                return;
            };
            ORIGINAL_ALLOC.store(alloc as usize, Ordering::Release);
            ORIGINAL_CTX.store(arenas.ctx, Ordering::Relaxed);
            ORIGINAL_FREE.store(original as usize, Ordering::Release);
            arenas.alloc = Some(self::alloc);
            arenas.free = Some(free);
            api::PyObject_SetArenaAllocator(&raw mut arenas);
        }
    });
}

unsafe extern "C" fn alloc(_ctx: *mut c_void, length: usize) -> *mut c_void {
    let thread = thread::existing();
    // SAFETY: stored by `install` before this function was; null or the thread's own state, reached field by field.
    unsafe {
        let original = std::mem::transmute::<usize, Alloc>(ORIGINAL_ALLOC.load(Ordering::Acquire));
        let ctx = ORIGINAL_CTX.load(Ordering::Relaxed);
        let arena = if thread.is_null() {
            let _apart = heapsight_native::apart();
            original(ctx, length)
        } else {
            let was_in_hook = std::mem::replace(&mut (*thread).in_hook, true);
            let arena = original(ctx, length);
            (*thread).in_hook = was_in_hook;
            arena
        };
        if !arena.is_null() {
            arenas::add(&mut lock::hold(), arena as usize, length);
        }
        arena
    }
}

unsafe extern "C" fn free(_ctx: *mut c_void, start: *mut c_void, length: usize) {
    live_map::release_range(start as usize, length);
    arenas::remove(&mut lock::hold(), start as usize);
    // SAFETY: stored by `install` before this function was.
    unsafe {
        let original = std::mem::transmute::<usize, Free>(ORIGINAL_FREE.load(Ordering::Acquire));
        original(ORIGINAL_CTX.load(Ordering::Relaxed), start, length);
    }
}
