//! The allocators that the hooks call.
//!
//! A hook is installed with the `ctx` of the allocator below it and passes on the `ctx` that it gets. So whatever pair
//! of function and `ctx` a thread reads while the hooks are being installed (the raw domain is called without the GIL,
//! and `PyMem_SetAllocator` writes one word after the other), the pair is one that works.
//!
//! Usually there is one allocator below the hooks of a domain, for good. Another tool that was there first may take
//! itself away, and the hooks with it; they are then installed once more, on what is left: a second *layer*. Which
//! layer a call belongs to is told by its `ctx`.

use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use heapsight_cpython::api::{self, GetThreadState, PyMemAllocatorEx};
use heapsight_cpython::version::Version;

use crate::interpreter::attached_state;
use crate::memory::lock::Held;

type Malloc = unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void;
type Calloc = unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void;
type Realloc = unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void, *mut c_void);

/// The functions of one allocator, as addresses.
#[repr(C, align(64))]
struct Functions {
    ctx: AtomicPtr<c_void>,
    malloc: AtomicUsize,
    calloc: AtomicUsize,
    realloc: AtomicUsize,
    free: AtomicUsize,
}

impl Functions {
    const fn new() -> Self {
        Self {
            ctx: AtomicPtr::new(std::ptr::null_mut()),
            malloc: AtomicUsize::new(0),
            calloc: AtomicUsize::new(0),
            realloc: AtomicUsize::new(0),
            free: AtomicUsize::new(0),
        }
    }

    fn set(&self, ctx: *mut c_void, functions: [usize; 4]) {
        let [malloc, calloc, realloc, free] = functions;
        self.ctx.store(ctx, Ordering::Relaxed);
        self.malloc.store(malloc, Ordering::Relaxed);
        self.calloc.store(calloc, Ordering::Relaxed);
        self.realloc.store(realloc, Ordering::Relaxed);
        self.free.store(free, Ordering::Release);
    }

    fn get(&self) -> [usize; 4] {
        [
            self.malloc.load(Ordering::Relaxed),
            self.calloc.load(Ordering::Relaxed),
            self.realloc.load(Ordering::Relaxed),
            self.free.load(Ordering::Acquire),
        ]
    }
}

/// More than two would take several tools that leave in the wrong order again and again.
const LAYERS: usize = 8;
const DOMAINS: usize = 3;

/// What the hooks of each domain call: the functions of the only layer, or those that choose among several.
static CALLED: [Functions; DOMAINS] = [const { Functions::new() }; DOMAINS];
static BELOW: [[Functions; LAYERS]; DOMAINS] =
    [const { [const { Functions::new() }; LAYERS] }; DOMAINS];
/// How many of each are in use; changed under the lock.
static IN_USE: [AtomicUsize; DOMAINS] = [const { AtomicUsize::new(0) }; DOMAINS];

/// Why an allocator cannot be called by the hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// One of its functions is missing.
    Incomplete,
    /// Another one below the hooks has the same `ctx`: which of the two a call belongs to could not be told.
    SameContext,
    /// There are as many layers as there can be.
    TooMany,
}

/// Makes `allocator` one that the hooks of `domain` call, for calls that come with its `ctx`. It stays so for good.
pub(crate) fn add(
    _held: &mut Held,
    domain: usize,
    allocator: &PyMemAllocatorEx,
) -> Result<(), Refused> {
    let (Some(malloc), Some(calloc), Some(realloc), Some(free)) = (
        allocator.malloc,
        allocator.calloc,
        allocator.realloc,
        allocator.free,
    ) else {
        return Err(Refused::Incomplete);
    };
    let functions = [
        malloc as usize,
        calloc as usize,
        realloc as usize,
        free as usize,
    ];
    let in_use = IN_USE[domain].load(Ordering::Relaxed);
    for layer in &BELOW[domain][..in_use] {
        if layer.ctx.load(Ordering::Relaxed) == allocator.ctx {
            return if layer.get() == functions {
                Ok(())
            } else {
                Err(Refused::SameContext)
            };
        }
    }
    let Some(layer) = BELOW[domain].get(in_use) else {
        return Err(Refused::TooMany);
    };
    layer.set(allocator.ctx, functions);
    IN_USE[domain].store(in_use + 1, Ordering::Release);
    if in_use == 0 {
        CALLED[domain].set(allocator.ctx, functions);
    } else {
        // Calls under way may meet either: both do for the `ctx` of the first layer, and no other comes yet.
        CALLED[domain].set(std::ptr::null_mut(), CHOOSING[domain].addresses());
    }
    Ok(())
}

/// The allocator that was below the hooks of `domain` first; `None` while there were none.
pub(crate) fn first(domain: usize) -> Option<PyMemAllocatorEx> {
    if IN_USE[domain].load(Ordering::Acquire) == 0 {
        return None;
    }
    let layer = &BELOW[domain][0];
    let [malloc, calloc, realloc, free] = layer.get();
    // SAFETY: functions of these types, none of them null: `add` stored them.
    unsafe {
        Some(PyMemAllocatorEx {
            ctx: layer.ctx.load(Ordering::Relaxed),
            malloc: Some(std::mem::transmute::<usize, Malloc>(malloc)),
            calloc: Some(std::mem::transmute::<usize, Calloc>(calloc)),
            realloc: Some(std::mem::transmute::<usize, Realloc>(realloc)),
            free: Some(std::mem::transmute::<usize, Free>(free)),
        })
    }
}

/// The functions that choose a layer by the `ctx` of the call.
struct LayerFunctions(Malloc, Calloc, Realloc, Free);

static CHOOSING: [LayerFunctions; DOMAINS] = [
    LayerFunctions(
        choose_malloc::<0>,
        choose_calloc::<0>,
        choose_realloc::<0>,
        choose_free::<0>,
    ),
    LayerFunctions(
        choose_malloc::<1>,
        choose_calloc::<1>,
        choose_realloc::<1>,
        choose_free::<1>,
    ),
    LayerFunctions(
        choose_malloc::<2>,
        choose_calloc::<2>,
        choose_realloc::<2>,
        choose_free::<2>,
    ),
];

impl LayerFunctions {
    fn addresses(&self) -> [usize; 4] {
        [
            self.0 as usize,
            self.1 as usize,
            self.2 as usize,
            self.3 as usize,
        ]
    }
}

fn layer_of<const DOMAIN: usize>(ctx: *mut c_void) -> &'static Functions {
    let in_use = IN_USE[DOMAIN].load(Ordering::Acquire);
    // Every `ctx` that the hooks are installed with was added before.
    BELOW[DOMAIN][..in_use]
        .iter()
        .find(|layer| layer.ctx.load(Ordering::Relaxed) == ctx)
        .unwrap_or(&BELOW[DOMAIN][0])
}

unsafe extern "C" fn choose_malloc<const DOMAIN: usize>(
    ctx: *mut c_void,
    size: usize,
) -> *mut c_void {
    let malloc = layer_of::<DOMAIN>(ctx).malloc.load(Ordering::Relaxed);
    // SAFETY: the layer's function of that name and its own `ctx`; the rest is promised by the caller.
    unsafe { std::mem::transmute::<usize, Malloc>(malloc)(ctx, size) }
}

unsafe extern "C" fn choose_calloc<const DOMAIN: usize>(
    ctx: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    let calloc = layer_of::<DOMAIN>(ctx).calloc.load(Ordering::Relaxed);
    // SAFETY: as in `choose_malloc`.
    unsafe { std::mem::transmute::<usize, Calloc>(calloc)(ctx, count, size) }
}

unsafe extern "C" fn choose_realloc<const DOMAIN: usize>(
    ctx: *mut c_void,
    block: *mut c_void,
    size: usize,
) -> *mut c_void {
    let realloc = layer_of::<DOMAIN>(ctx).realloc.load(Ordering::Relaxed);
    // SAFETY: as in `choose_malloc`.
    unsafe { std::mem::transmute::<usize, Realloc>(realloc)(ctx, block, size) }
}

unsafe extern "C" fn choose_free<const DOMAIN: usize>(ctx: *mut c_void, block: *mut c_void) {
    let free = layer_of::<DOMAIN>(ctx).free.load(Ordering::Relaxed);
    // SAFETY: as in `choose_malloc`.
    unsafe { std::mem::transmute::<usize, Free>(free)(ctx, block) }
}

/// # Safety
/// The caller is a hook of `DOMAIN`, `ctx` what it was called with; the domain's rules on the GIL are kept.
#[inline(always)]
pub(crate) unsafe fn malloc<const DOMAIN: u32>(ctx: *mut c_void, size: usize) -> *mut c_void {
    let malloc = CALLED[DOMAIN as usize].malloc.load(Ordering::Relaxed);
    // SAFETY: `add` stored a function of this type there before the hook was installed.
    unsafe { std::mem::transmute::<usize, Malloc>(malloc)(ctx, size) }
}

/// # Safety
/// As [`malloc`].
#[inline(always)]
pub(crate) unsafe fn calloc<const DOMAIN: u32>(
    ctx: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    let calloc = CALLED[DOMAIN as usize].calloc.load(Ordering::Relaxed);
    // SAFETY: as in `malloc`.
    unsafe { std::mem::transmute::<usize, Calloc>(calloc)(ctx, count, size) }
}

/// # Safety
/// As [`malloc`]; `block` is null or one of this allocator's.
#[inline(always)]
pub(crate) unsafe fn realloc<const DOMAIN: u32>(
    ctx: *mut c_void,
    block: *mut c_void,
    size: usize,
) -> *mut c_void {
    let realloc = CALLED[DOMAIN as usize].realloc.load(Ordering::Relaxed);
    // SAFETY: as in `malloc`.
    unsafe { std::mem::transmute::<usize, Realloc>(realloc)(ctx, block, size) }
}

/// # Safety
/// As [`realloc`].
#[inline(always)]
pub(crate) unsafe fn free<const DOMAIN: u32>(ctx: *mut c_void, block: *mut c_void) {
    let free = CALLED[DOMAIN as usize].free.load(Ordering::Relaxed);
    // SAFETY: as in `malloc`.
    unsafe { std::mem::transmute::<usize, Free>(free)(ctx, block) }
}

static HOLDER_OF_GIL: AtomicUsize = AtomicUsize::new(0);

/// Finds the function behind [`holder_of_gil`]. False when this interpreter has none.
pub(crate) fn find_thread_state_getter() -> bool {
    let Some(getter) = api::unchecked_thread_state_getter() else {
        return false;
    };
    HOLDER_OF_GIL.store(getter as usize, Ordering::Release);
    true
}

/// Up to 3.11 the thread state that holds the GIL, whichever thread's it is; since 3.12 the calling thread's own if it
/// is attached, else null.
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
