//! The calling thread's attached `PyThreadState`, read in one instruction where the interpreter keeps it in memory that
//! we can find.
//!
//! Its getter costs two calls for each allocation in a shared libpython, and the registers of the hook. Up to 3.11 it
//! reads a word of `_PyRuntime`, which is exported. Since 3.12 it reads the thread-local `_Py_tss_tstate`, which is
//! not. That one is found by what it does: it lies in the thread-local block of a loaded module, holds the state while
//! the thread is attached and null while it is not. Its distance from the thread pointer is the same in every thread if
//! the module was there when the program started, which is checked on another thread. The word of `_PyRuntime` must
//! pass the same test of what it does. Where any of this fails, the getter is called as before.

use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};

use heapsight_cpython::api;
use heapsight_cpython::version::Version;

/// Address of the word of `_PyRuntime`; 0 when it was not found.
static IN_RUNTIME: AtomicUsize = AtomicUsize::new(0);

/// The attached state, `None` where it cannot be read directly.
#[inline(always)]
pub(crate) fn get<V: Version>() -> Option<*mut c_void> {
    if V::OFFSETS.runtime_current.is_none() {
        return imp::get();
    }
    let address = IN_RUNTIME.load(Ordering::Relaxed) as *const *mut c_void;
    // SAFETY: `find` made sure that this word of `_PyRuntime`, a static variable, is the thread state's. CPython writes
    // it atomically; the read is volatile because other threads do when the GIL changes hands, though not while this
    // one holds it.
    (!address.is_null()).then(|| unsafe { address.read_volatile() })
}

/// Looks for the variable, once.
///
/// # Safety
/// The calling thread has an attached thread state; it is detached and attached again.
pub(crate) unsafe fn find<V: Version>() {
    // SAFETY: promised by the caller.
    unsafe {
        match V::OFFSETS.runtime_current {
            Some(offset) => find_in_runtime(offset),
            None => imp::find(),
        }
    }
}

/// # Safety
/// As [`find`].
unsafe fn find_in_runtime(offset: usize) {
    let Some((runtime, getter)) =
        api::symbol(c"_PyRuntime").zip(api::unchecked_thread_state_getter())
    else {
        return;
    };
    // SAFETY: every version with such an offset has that many bytes in `_PyRuntime`; the thread is attached before and
    // after.
    unsafe {
        let word = runtime.cast::<u8>().add(offset).cast::<*mut c_void>();
        let state = getter();
        let held = word.read_volatile() == state;
        let saved = api::PyEval_SaveThread();
        let left = word.read_volatile() != state;
        api::PyEval_RestoreThread(saved);
        if held && left && word.read_volatile() == state {
            IN_RUNTIME.store(word as usize, Ordering::Relaxed);
        }
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
mod imp {
    use std::arch::asm;
    use std::ffi::c_void;
    use std::sync::Once;
    use std::sync::atomic::{AtomicIsize, Ordering};

    use heapsight_cpython::api;

    /// Largest thread-local block that is searched: libpython's has some hundred bytes.
    const MAX_BLOCK_BYTES: usize = 1 << 14;

    /// From the thread pointer to the variable; 0 when it was not found.
    static DISTANCE: AtomicIsize = AtomicIsize::new(0);

    /// A word of a module's thread-local block.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Candidate {
        module: usize,
        offset: usize,
        address: usize,
    }

    #[inline(always)]
    pub(super) fn get() -> Option<*mut c_void> {
        let distance = DISTANCE.load(Ordering::Relaxed);
        if distance == 0 {
            return None;
        }
        let state;
        // SAFETY: `find` made sure that a pointer-sized variable lies at this distance in every thread.
        unsafe {
            asm!("mov {state}, qword ptr fs:[{distance}]", state = out(reg) state, distance = in(reg) distance,
                options(nostack, preserves_flags, readonly));
        }
        Some(state)
    }

    fn thread_pointer() -> usize {
        let pointer;
        // SAFETY: on x86-64 the thread control block begins with its own address (ELF TLS ABI, variant II).
        unsafe {
            asm!(
                "mov {pointer}, qword ptr fs:[0]",
                pointer = out(reg) pointer,
                options(nostack, preserves_flags, readonly)
            );
        };
        pointer
    }

    pub(super) unsafe fn find() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY: promised by the caller: the state that is detached is attached again.
            let found = unsafe { search() };
            if let Some(distance) = found {
                DISTANCE.store(distance, Ordering::Relaxed);
            }
        });
    }

    unsafe fn search() -> Option<isize> {
        let getter = api::unchecked_thread_state_getter()?;
        // SAFETY: the candidates are words of this thread's own blocks; the thread is attached before and after.
        let candidates = unsafe {
            let state = getter() as usize;
            let mut candidates = blocks(state);
            let saved = api::PyEval_SaveThread();
            candidates.retain(|candidate| (candidate.address as *const usize).read_volatile() == 0);
            api::PyEval_RestoreThread(saved);
            candidates
                .retain(|candidate| (candidate.address as *const usize).read_volatile() == state);
            candidates
        };
        let [found] = candidates.as_slice() else {
            return None;
        };
        let found = *found;
        let distance = (found.address as isize).wrapping_sub(thread_pointer() as isize);
        let elsewhere = crate::interpreter::signals::with_signals_blocked(|| {
            std::thread::Builder::new()
                .stack_size(1 << 16)
                .spawn(move || {
                    let block = modules()
                        .into_iter()
                        .find(|module| module.id == found.module)?;
                    Some(
                        ((block.start + found.offset) as isize)
                            .wrapping_sub(thread_pointer() as isize),
                    )
                })
        });
        let elsewhere = elsewhere.ok()?.join().ok()??;
        (elsewhere == distance && distance != 0).then_some(distance)
    }

    /// The words of this thread's blocks that equal `state`.
    unsafe fn blocks(state: usize) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for module in modules() {
            for offset in (0..module.length / 8 * 8).step_by(8) {
                let address = module.start + offset;
                // SAFETY: inside the block, which is aligned to at least eight bytes where it holds pointers.
                if address % 8 == 0 && unsafe { (address as *const usize).read_volatile() } == state
                {
                    candidates.push(Candidate {
                        module: module.id,
                        offset,
                        address,
                    });
                }
            }
        }
        candidates
    }

    /// The calling thread's thread-local block of one loaded module.
    struct Block {
        id: usize,
        start: usize,
        length: usize,
    }

    fn modules() -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        // SAFETY: `visit` gets the vector back as it was passed.
        unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut blocks).cast()) };
        blocks
    }

    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        data: *mut c_void,
    ) -> i32 {
        // SAFETY: the loader passes a valid description, with as many program headers as it says; `data` is the vector
        // of `modules`.
        unsafe {
            let (info, blocks) = (&*info, &mut *data.cast::<Vec<Block>>());
            if info.dlpi_tls_data.is_null() {
                return 0;
            }
            let headers = std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum));
            if let Some(tls) = headers.iter().find(|header| header.p_type == libc::PT_TLS) {
                blocks.push(Block {
                    id: info.dlpi_tls_modid,
                    start: info.dlpi_tls_data as usize,
                    length: (tls.p_memsz as usize).min(MAX_BLOCK_BYTES),
                });
            }
        }
        0
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")))]
mod imp {
    use std::ffi::c_void;

    #[inline(always)]
    pub(super) fn get() -> Option<*mut c_void> {
        None
    }

    pub(super) unsafe fn find() {}
}
