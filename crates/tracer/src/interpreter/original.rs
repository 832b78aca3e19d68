//! The allocators that were there before the hooks, and the functions of the running interpreter found at start-up.

use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use heapsight_cpython::api::{self, GetThreadState, PyMemAllocatorEx};
use heapsight_cpython::version::Version;

use crate::interpreter::attached_state;

/// An allocator that the hooks call. All fields are set before a hook can run and then stay.
#[repr(C, align(64))]
pub(crate) struct Original {
    ctx: AtomicPtr<c_void>,
    malloc: AtomicUsize,
    calloc: AtomicUsize,
    realloc: AtomicUsize,
    free: AtomicUsize,
}

type Malloc = unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void;
type Calloc = unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void;
type Realloc = unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void, *mut c_void);

impl Original {
    const fn new() -> Self {
        Self {
            ctx: AtomicPtr::new(std::ptr::null_mut()),
            malloc: AtomicUsize::new(0),
            calloc: AtomicUsize::new(0),
            realloc: AtomicUsize::new(0),
            free: AtomicUsize::new(0),
        }
    }

    #[inline(always)]
    fn ctx(&self) -> *mut c_void {
        self.ctx.load(Ordering::Relaxed)
    }

    /// # Safety
    /// [`remember`] was called, and the domain's rules on the GIL are kept.
    #[inline(always)]
    pub(crate) unsafe fn malloc(&self, size: usize) -> *mut c_void {
        // SAFETY: a `malloc` of PyMemAllocatorEx was stored there.
        unsafe {
            std::mem::transmute::<usize, Malloc>(self.malloc.load(Ordering::Relaxed))(
                self.ctx(),
                size,
            )
        }
    }

    /// # Safety
    /// As [`Self::malloc`].
    #[inline(always)]
    pub(crate) unsafe fn calloc(&self, count: usize, size: usize) -> *mut c_void {
        // SAFETY: a `calloc` of PyMemAllocatorEx was stored there.
        unsafe {
            std::mem::transmute::<usize, Calloc>(self.calloc.load(Ordering::Relaxed))(
                self.ctx(),
                count,
                size,
            )
        }
    }

    /// # Safety
    /// As [`Self::malloc`]; `block` is null or one of this allocator's.
    #[inline(always)]
    pub(crate) unsafe fn realloc(&self, block: *mut c_void, size: usize) -> *mut c_void {
        // SAFETY: a `realloc` of PyMemAllocatorEx was stored there.
        unsafe {
            std::mem::transmute::<usize, Realloc>(self.realloc.load(Ordering::Relaxed))(
                self.ctx(),
                block,
                size,
            )
        }
    }

    /// # Safety
    /// As [`Self::realloc`].
    #[inline(always)]
    pub(crate) unsafe fn free(&self, block: *mut c_void) {
        // SAFETY: a `free` of PyMemAllocatorEx was stored there.
        unsafe {
            std::mem::transmute::<usize, Free>(self.free.load(Ordering::Relaxed))(
                self.ctx(),
                block,
            );
        }
    }
}

static ORIGINALS: [Original; 3] = [Original::new(), Original::new(), Original::new()];
static HOLDER_OF_GIL: AtomicUsize = AtomicUsize::new(0);

/// The `ctx` of the hooks of `domain`.
pub(crate) fn context(domain: u32) -> *mut c_void {
    std::ptr::from_ref(&ORIGINALS[domain as usize])
        .cast_mut()
        .cast()
}

/// Remembers `allocator` as what the hooks of `domain` call. False when one of its functions is missing.
pub(crate) fn remember(domain: u32, allocator: &PyMemAllocatorEx) -> bool {
    let (Some(malloc), Some(calloc), Some(realloc), Some(free)) = (
        allocator.malloc,
        allocator.calloc,
        allocator.realloc,
        allocator.free,
    ) else {
        return false;
    };
    let original = &ORIGINALS[domain as usize];
    original.ctx.store(allocator.ctx, Ordering::Relaxed);
    original.malloc.store(malloc as usize, Ordering::Relaxed);
    original.calloc.store(calloc as usize, Ordering::Relaxed);
    original.realloc.store(realloc as usize, Ordering::Relaxed);
    original.free.store(free as usize, Ordering::Release);
    true
}

/// Finds the function behind [`holder_of_gil`]. False when this interpreter has none.
pub(crate) fn find_thread_state_getter() -> bool {
    let Some(getter) = api::unchecked_thread_state_getter() else {
        return false;
    };
    HOLDER_OF_GIL.store(getter as usize, Ordering::Release);
    true
}

/// The thread state that holds the GIL: the calling thread's, as hooks of the mem and obj domains hold it.
///
/// # Safety
/// [`find_thread_state_getter`] returned true.
#[inline(always)]
pub(crate) unsafe fn holder_of_gil<V: Version>() -> *mut c_void {
    if let Some(state) = attached_state::get::<V>() {
        return state;
    }
    // SAFETY: promised by the caller.
    unsafe { std::mem::transmute::<usize, GetThreadState>(HOLDER_OF_GIL.load(Ordering::Relaxed))() }
}

/// What [`remember`] was told of `domain`.
///
/// # Safety
/// [`remember`] returned true for `domain`.
pub(crate) unsafe fn recall(domain: u32) -> PyMemAllocatorEx {
    let original = &ORIGINALS[domain as usize];
    // SAFETY: promised by the caller: each word holds the function of that name.
    unsafe {
        PyMemAllocatorEx {
            ctx: original.ctx(),
            malloc: Some(std::mem::transmute::<usize, Malloc>(
                original.malloc.load(Ordering::Relaxed),
            )),
            calloc: Some(std::mem::transmute::<usize, Calloc>(
                original.calloc.load(Ordering::Relaxed),
            )),
            realloc: Some(std::mem::transmute::<usize, Realloc>(
                original.realloc.load(Ordering::Relaxed),
            )),
            free: Some(std::mem::transmute::<usize, Free>(
                original.free.load(Ordering::Relaxed),
            )),
        }
    }
}
