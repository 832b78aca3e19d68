//! One pointer for each thread, as cheap to read as a register where the platform allows.
//!
//! A shared library's `thread_local!` costs a call (`__tls_get_addr`) for each access. On x86-64 Linux with glibc the
//! slot is declared for the initial-exec model instead: two loads. Eight bytes fit the room that glibc keeps for
//! libraries loaded later (512 bytes and more). musl refuses that model in a library that is opened at run time, other
//! systems have other relocations: they use `thread_local!`.

pub(crate) use imp::{get, set};

#[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
mod imp {
    use std::arch::{asm, global_asm};

    global_asm!(
        ".pushsection .tbss.heapsight_thread_slot, \"awT\", @nobits",
        ".globl heapsight_thread_slot",
        ".hidden heapsight_thread_slot",
        ".p2align 3",
        ".type heapsight_thread_slot, @object",
        ".size heapsight_thread_slot, 8",
        "heapsight_thread_slot:",
        ".zero 8",
        ".popsection",
    );

    /// The calling thread's pointer; null until [`set`].
    #[inline(always)]
    pub(crate) fn get<T>() -> *mut T {
        let value: *mut T;
        // SAFETY: reads eight bytes of this thread's own static TLS block, at the offset that the loader put into the
        // GOT.
        unsafe {
            asm!(
                "mov {value}, qword ptr [rip + heapsight_thread_slot@GOTTPOFF]",
                "mov {value}, qword ptr fs:[{value}]",
                value = out(reg) value,
                options(nostack, preserves_flags, readonly),
            );
        }
        value
    }

    /// Sets the calling thread's pointer.
    pub(crate) fn set<T>(value: *mut T) {
        // SAFETY: writes eight bytes of this thread's own static TLS block.
        unsafe {
            asm!(
                "mov {offset}, qword ptr [rip + heapsight_thread_slot@GOTTPOFF]",
                "mov qword ptr fs:[{offset}], {value}",
                offset = out(reg) _,
                value = in(reg) value,
                options(nostack, preserves_flags),
            );
        }
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")))]
mod imp {
    use std::cell::Cell;

    thread_local! {
        static SLOT: Cell<*mut u8> = const { Cell::new(std::ptr::null_mut()) };
    }

    /// The calling thread's pointer; null until [`set`].
    #[inline(always)]
    pub(crate) fn get<T>() -> *mut T {
        SLOT.with(Cell::get).cast()
    }

    /// Sets the calling thread's pointer.
    pub(crate) fn set<T>(value: *mut T) {
        SLOT.with(|slot| slot.set(value.cast()));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg_attr(miri, ignore = "Miri knows no assembly")]
    fn each_thread_has_its_own_pointer() {
        let mut here = 1_u8;
        super::set(&raw mut here);
        let other = std::thread::spawn(|| super::get::<u8>().is_null()).join();
        assert!(other.is_ok_and(|is_null| is_null));
        assert_eq!(super::get::<u8>(), &raw mut here);
        super::set(std::ptr::null_mut::<u8>());
    }
}
