//! Objects that come from a free list: they need no allocation, but CPython 3.13 and newer reports each new object.
//!
//! The block of such an object then gets the call path of the new object instead of the one that first asked for the
//! memory, as in `tracemalloc`. For an object that was just allocated, this is the path that it already has: one lookup
//! in the live map.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use heapsight_cpython::api;
use heapsight_cpython::version::Version;

use crate::interpreter::event;
use crate::interpreter::event::Sharing;
use crate::session;
use crate::tables::{live_map, sites, totals};
use crate::thread::{self, Event};

/// `PyRefTracer` of Include/cpython/object.h, 3.13.
type Tracer = unsafe extern "C" fn(*mut c_void, c_int, *mut c_void) -> c_int;
type SetTracer = unsafe extern "C" fn(Option<Tracer>, *mut c_void) -> c_int;
type GetTracer = unsafe extern "C" fn(*mut *mut c_void) -> Option<Tracer>;

/// `PyRefTracer_CREATE`.
const CREATE: c_int = 0;

/// Says where the memory block of an object begins.
pub type Locate = unsafe fn(*mut c_void) -> usize;

static LOCATE: AtomicUsize = AtomicUsize::new(0);
static TRACER: AtomicUsize = AtomicUsize::new(0);
/// The tracer that was there before, and its data.
static NEXT: AtomicUsize = AtomicUsize::new(0);
static NEXT_DATA: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

pub(crate) fn set_version<V: Version>(full_paths: bool) {
    let chosen: Tracer = if full_paths {
        created::<V, true>
    } else {
        created::<V, false>
    };
    TRACER.store(chosen as usize, Ordering::Release);
}

/// The interpreter's two functions; `None` before 3.13.
fn functions() -> Option<(SetTracer, GetTracer)> {
    let set = api::symbol(c"PyRefTracer_SetTracer")?;
    let get = api::symbol(c"PyRefTracer_GetTracer")?;
    // SAFETY: functions of CPython with these signatures, since 3.13.
    Some(unsafe {
        (
            std::mem::transmute::<*mut c_void, SetTracer>(set),
            std::mem::transmute::<*mut c_void, GetTracer>(get),
        )
    })
}

fn tracer() -> Option<Tracer> {
    let chosen = TRACER.load(Ordering::Acquire);
    // SAFETY: 0, which is `None`, or a function of this type.
    unsafe { std::mem::transmute::<usize, Option<Tracer>>(chosen) }
}

/// Has blocks of objects that come from a free list follow their new owner. False when the interpreter has no such
/// service (before 3.13). There is one place for such a tracer: one that is there already goes on being told. Call with
/// the GIL held, while tracing.
pub fn follow(locate: Locate) -> bool {
    let (Some((set, get)), Some(tracer)) = (functions(), tracer()) else {
        return false;
    };
    LOCATE.store(locate as usize, Ordering::Release);
    let mut data = std::ptr::null_mut();
    // SAFETY: the GIL is held; the tracer stays loaded: extension modules are never unloaded.
    unsafe {
        let present = address_of(get(&raw mut data));
        if present == tracer as usize {
            return true;
        }
        NEXT_DATA.store(data, Ordering::Relaxed);
        NEXT.store(present, Ordering::Release);
        set(Some(tracer), std::ptr::null_mut()) == 0
    }
}

/// Ends [`follow`]. Call with the GIL held.
pub fn unfollow() {
    let Some((set, get)) = functions() else {
        return;
    };
    let mut data = std::ptr::null_mut();
    // SAFETY: the GIL is held. A tracer that was put there later is left alone; it does not know of us, nor we of it.
    unsafe {
        let present = address_of(get(&raw mut data));
        if present != 0 && present == TRACER.load(Ordering::Acquire) {
            let next = std::mem::transmute::<usize, Option<Tracer>>(NEXT.swap(0, Ordering::AcqRel));
            set(next, NEXT_DATA.load(Ordering::Relaxed));
        }
    }
}

fn address_of(tracer: Option<Tracer>) -> usize {
    tracer.map_or(0, |tracer| tracer as usize)
}

/// Called by the interpreter for each object that is made or ends, with the GIL (or attached).
unsafe extern "C" fn created<V: Version, const FULL: bool>(
    object: *mut c_void,
    event: c_int,
    _: *mut c_void,
) -> c_int {
    // SAFETY: the tracer that was there before, with its own data.
    unsafe {
        let next = std::mem::transmute::<usize, Option<Tracer>>(NEXT.load(Ordering::Acquire));
        if let Some(next) = next {
            next(object, event, NEXT_DATA.load(Ordering::Relaxed));
        }
    }
    let locate = LOCATE.load(Ordering::Relaxed);
    if event != CREATE || !session::is_tracing() || locate == 0 {
        return 0;
    }
    // SAFETY: only functions of this type are stored; the object is being made: its type is set.
    let address = unsafe { std::mem::transmute::<usize, Locate>(locate)(object) };
    let Some(known) = live_map::peek(address) else {
        return 0;
    };
    let thread = thread::current();
    if thread.is_null() {
        totals::count_loss();
        return 0;
    }
    // SAFETY: the calling thread's own state; as in a hook of the obj domain.
    let Some(_event) = (unsafe { Event::begin::<V, 2>(thread) }) else {
        return 0;
    };
    let domain = sites::site(known.site).domain();
    // SAFETY: as in a hook of the obj domain: the thread is attached, its state is of the version that runs.
    let site = unsafe {
        let (thread_state, sharing) = event::thread_state::<V, 2>(std::ptr::null());
        let path = &raw mut (*thread).path;
        let node = if FULL {
            (*path).current::<V>(thread_state, sharing)
        } else {
            (*path).current_leaf::<V>(thread_state, sharing)
        };
        // Sites of the raw domain, and of extensions, are always shared.
        let alone = matches!(domain, 1 | 2);
        sites::of(node, domain, if alone { sharing } else { Sharing::Shared })
    };
    if site == known.site || site == 0 {
        return 0;
    }
    if let Some(known) = live_map::remove(address) {
        sites::freed(known.site, address, known.size as u64, 1);
        if site == sites::EXCLUDED {
            return 0;
        }
        if live_map::insert(address, live_map::Block { site, ..known }) {
            sites::allocated(site, address, known.size as u64, 1);
        } else {
            totals::count_loss();
        }
    }
    0
}
