//! One word for each thread, read with two loads: a library that is loaded with the program may use the initial-exec
//! model on every system. `#[thread_local]` is not to be had in stable Rust, hence assembly.
//!
//! `__tls_get_addr`, which other models call, may itself call `malloc`.

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU32, Ordering};

use crate::interface::INSIDE;

global_asm!(
    ".pushsection .tbss.heapsight_busy, \"awT\", @nobits",
    ".globl heapsight_busy",
    ".hidden heapsight_busy",
    ".p2align 2",
    ".type heapsight_busy, @object",
    ".size heapsight_busy, 4",
    "heapsight_busy:",
    ".zero 4",
    ".popsection",
);

/// The calling thread's word.
#[inline(always)]
fn busy() -> &'static AtomicU32 {
    let place: *const AtomicU32;
    // SAFETY: 1. only registers are written; the GOT has the word's distance from the thread pointer, where the loader
    // put it. 2. The word lives as long as its thread, which is the one that has the reference.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!(
            "mov {place}, qword ptr [rip + heapsight_busy@GOTTPOFF]",
            "add {place}, qword ptr fs:[0]",
            place = out(reg) place,
            options(nostack, pure, readonly),
        );
        #[cfg(target_arch = "aarch64")]
        asm!(
            "adrp {place}, :gottprel:heapsight_busy",
            "ldr {place}, [{place}, :gottprel_lo12:heapsight_busy]",
            "mrs {pointer}, tpidr_el0",
            "add {place}, {place}, {pointer}",
            place = out(reg) place,
            pointer = out(reg) _,
            options(nostack, pure, readonly),
        );
        &*place
    }
}

/// The same for the tracer.
pub(crate) extern "C" fn busy_of_caller() -> *const AtomicU32 {
    busy()
}

/// While it lives, calls of this thread go straight through.
pub(crate) struct Inside {
    word: &'static AtomicU32,
    was: u32,
}

impl Inside {
    /// For a call that makes something: `None` where what it makes is not the program's.
    #[inline(always)]
    pub(crate) fn to_make() -> Option<Self> {
        let word = busy();
        if word.load(Ordering::Relaxed) != 0 {
            return None;
        }
        word.store(INSIDE, Ordering::Relaxed);
        Some(Self { word, was: 0 })
    }

    /// For a call that ends something: `None` inside a hook only.
    #[inline(always)]
    pub(crate) fn to_end() -> Option<Self> {
        let word = busy();
        let was = word.load(Ordering::Relaxed);
        if was == INSIDE {
            return None;
        }
        word.store(INSIDE, Ordering::Relaxed);
        Some(Self { word, was })
    }

    /// Does what is made now belong to the program?
    #[inline(always)]
    pub(crate) fn is_program(&self) -> bool {
        self.was == 0
    }
}

impl Drop for Inside {
    #[inline(always)]
    fn drop(&mut self) {
        self.word.store(self.was, Ordering::Relaxed);
    }
}
