//! The library that `heapsight run --native` has the loader load first: its `malloc`, `mmap` and their relatives are
//! those that everything in the process calls.
//!
//! ```text
//! program ─▶ malloc here ─▶ the C library's malloc (or that of a library preloaded after this one)
//!                   └─────▶ the tracer's hook, if there is one and this thread is not inside it
//! ```
//!
//! Until the tracer has put its functions into [`PRELOAD`], and after it took them out, every call costs a jump. The
//! library has no state but that, allocates nothing, and needs nothing but the C library: it is loaded into processes
//! that are no Python at all.
//!
//! **Before it is ready.** The loader may call `malloc` before any constructor has run, and looking up the C library's
//! functions may call `calloc`. What is asked for then comes from [`early`].
//!
//! **Inside a hook** the thread's word ([`thread`]) is set: what the tracer itself, or an allocator below us, asks
//! for goes straight through. So do calls of a signal handler that interrupts a hook; these are not seen.

#![no_std]

mod blocks;
mod early;
mod environment;
#[path = "../src/interface.rs"]
#[allow(dead_code)] // the other side has use for the rest
mod interface;
mod mappings;
mod thread;

use core::ffi::{CStr, c_char, c_int, c_void};
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use interface::{Hooks, Preload, System, VERSION};

#[link(name = "c")]
#[link(name = "dl")]
unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    #[cfg_attr(target_env = "gnu", link_name = "__errno_location")]
    #[cfg_attr(target_env = "musl", link_name = "__errno_location")]
    fn errno_location() -> *mut c_int;
    fn abort() -> !;
}

/// What the tracer finds by the name of its symbol.
#[unsafe(export_name = "heapsight_preload")]
static PRELOAD: Preload = Preload {
    version: VERSION,
    hooks: AtomicPtr::new(core::ptr::null_mut()),
    system: System::new(),
    busy: thread::busy_of_caller,
};

/// Out of memory, as `errno` says it: the same number on every Linux.
const ENOMEM: c_int = 12;
/// The objects that come after this one in the order in which the loader looks for symbols.
const RTLD_NEXT: *mut c_void = usize::MAX as *mut c_void;

/// Runs before the program's own code, but for that of libraries which are initialised earlier.
#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    find_system();
    environment::take_out_of_environment();
}

/// Looks up the functions that are called in place of ours. Here, while the lookup goes on, they are not known.
fn find_system() {
    static HAS_BEGUN: AtomicBool = AtomicBool::new(false);
    if HAS_BEGUN.load(Ordering::Relaxed) || HAS_BEGUN.swap(true, Ordering::AcqRel) {
        return;
    }
    let find = |name: &CStr| {
        // SAFETY: a name with its end; RTLD_NEXT asks for what comes after the object of the caller, which is this.
        unsafe { dlsym(RTLD_NEXT, name.as_ptr()) }
    };
    PRELOAD.system.find(find);
}

/// The tracer's functions, if it has any.
#[inline(always)]
fn hooks() -> Option<&'static Hooks> {
    // SAFETY: null, or what the tracer put there, which stays for good.
    unsafe { PRELOAD.hooks.load(Ordering::Acquire).as_ref() }
}

/// Runs `action`, which may change `errno`, and puts back what was there.
#[inline(always)]
fn keeping_errno(action: impl FnOnce()) {
    // SAFETY: the C library's word for the calling thread.
    unsafe {
        let place = errno_location();
        let kept = place.read();
        action();
        place.write(kept);
    }
}

fn set_errno(number: c_int) {
    // SAFETY: as in `keeping_errno`.
    unsafe { errno_location().write(number) };
}

/// Nothing here panics; the compiler asks for this all the same.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: has no preconditions.
    unsafe { abort() }
}
