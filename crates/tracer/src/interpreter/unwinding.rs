//! What happens to threads that are inside heapsight's code when the interpreter ends: they wait there for ever.
//!
//! Up to Python 3.13, a daemon thread that asks for the GIL while the interpreter is being finalized is ended with
//! `pthread_exit`. On glibc that unwinds the thread's stack, which Rust does not support: destructors would drop Python
//! references without the GIL, and the `catch_unwind` around every function that Python can call would take the
//! unwinding for an exception and not pass it on. glibc then aborts the process. Python 3.14 makes such threads wait
//! for ever instead. This file does the same on every version.
//!
//! This can happen wherever our code calls something that may run Python or release the GIL: reading an attribute of a
//! user's object, a garbage collection, `Py_DECREF`. So we do not guard the places where it begins, but the one where
//! it arrives. Before an unwinder does anything to a frame, it asks the frame's *personality function* what to do. All
//! Rust frames of a library share one personality function, which is found through one word of memory.
//! [`hang_ended_threads`] replaces it by a function of ours. Frames without a personality function need nothing, and
//! threads outside our code end as usual.
//!
//! **Consequence:** never hold a lock across a call that may run Python or release the GIL. The thread may not come
//! back.

use crate::interpreter::finalization;

/// From now on, a thread that the interpreter ends while it is in our code waits there instead. Call this when the
/// library is loaded.
pub(crate) fn hang_ended_threads() {
    finalization::find();
    imp::hang_ended_threads();
}

#[cfg(all(
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod imp {
    use std::ffi::{c_int, c_void};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::interpreter::finalization;
    use crate::memory::mapping::page_size;

    /// `_Unwind_Personality_Fn`: version, actions, class of the exception, the exception, the frame. Gives what is to
    /// be done.
    type Personality = unsafe extern "C" fn(c_int, c_int, u64, *mut c_void, *mut c_void) -> c_int;

    /// `_UA_FORCE_UNWIND`: the stack is unwound to its end, whatever its frames say.
    const FORCED: c_int = 8;

    unsafe extern "C" {
        /// The word by which the unwind tables of this library find the personality function of Rust frames: the
        /// compiler makes it, with this name.
        #[link_name = "DW.ref.rust_eh_personality"]
        static PLACE: AtomicUsize;
    }

    /// The personality function that was there; 0 while ours is not.
    static ORIGINAL: AtomicUsize = AtomicUsize::new(0);

    pub(super) fn hang_ended_threads() {
        if ORIGINAL.load(Ordering::Relaxed) != 0 {
            return;
        }
        // SAFETY: a word of this library's own, which is never unloaded.
        let place = unsafe { &PLACE };
        ORIGINAL.store(place.load(Ordering::Relaxed), Ordering::Release);
        // The loader takes the right to write away from the pages that it alone had to write.
        let page = std::ptr::from_ref(place) as usize & !(page_size() - 1);
        let protect = |protection| {
            // SAFETY: one page of this library's data, which stays readable throughout.
            unsafe { libc::mprotect(page as *mut c_void, page_size(), protection) == 0 }
        };
        let is_protected = is_read_only_after_loading(page);
        if is_protected && !protect(libc::PROT_READ | libc::PROT_WRITE) {
            return; // as ever, then
        }
        place.store(personality as *const () as usize, Ordering::Release);
        if is_protected {
            protect(libc::PROT_READ);
        }
    }

    /// In the place of the personality function of every Rust frame of this library.
    unsafe extern "C" fn personality(
        version: c_int,
        actions: c_int,
        class: u64,
        exception: *mut c_void,
        frame: *mut c_void,
    ) -> c_int {
        if actions & FORCED != 0 && finalization::is_finalizing() {
            hang();
        }
        // SAFETY: 1. the address was that of the personality function of these frames before ours took its place. 2.
        // The arguments are passed on as they came.
        unsafe {
            let original = ORIGINAL.load(Ordering::Acquire);
            std::mem::transmute::<usize, Personality>(original)(
                version, actions, class, exception, frame,
            )
        }
    }

    /// What `PyThread_hang_thread` of 3.14 does.
    fn hang() -> ! {
        loop {
            // SAFETY: has no preconditions; returns after each signal.
            unsafe { libc::pause() };
        }
    }

    /// Is `page` one of those that the loader made read-only when it had loaded its library (`PT_GNU_RELRO`)?
    fn is_read_only_after_loading(page: usize) -> bool {
        unsafe extern "C" fn visit(
            info: *mut libc::dl_phdr_info,
            _size: usize,
            data: *mut c_void,
        ) -> c_int {
            let whole_pages = |address: u64| address as usize & !(page_size() - 1);
            // SAFETY: the loader passes a valid description, with as many program headers as it says; `data` is the
            // pair below.
            unsafe {
                let (info, (page, found)) = (&*info, &mut *data.cast::<(usize, bool)>());
                let headers =
                    std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum));
                *found |= headers.iter().any(|header| {
                    let start = info.dlpi_addr.wrapping_add(header.p_vaddr);
                    let end = start.wrapping_add(header.p_memsz);
                    header.p_type == libc::PT_GNU_RELRO
                        && (whole_pages(start)..whole_pages(end)).contains(page)
                });
            }
            0
        }
        let mut search = (page, false);
        // SAFETY: `visit` gets the pair back as it was passed.
        unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
        search.1
    }
}

/// Elsewhere ending a thread unwinds nothing, or nothing is known of how.
#[cfg(not(all(
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
mod imp {
    pub(super) fn hang_ended_threads() {}
}
