//! A full memory barrier on all threads of the process at once. It is expensive and rare, and saves the frequent
//! operations a barrier of their own.

use std::sync::atomic::{Ordering, fence};

const CMD_PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
const CMD_REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: changes nothing that the process can see; a kernel that does not know the call or the command says so.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// Tells the kernel that [`on_all_threads`] is going to be used: Linux 4.14 and newer want to know before.
pub(crate) fn register() {
    membarrier(CMD_REGISTER_PRIVATE_EXPEDITED);
}

/// When it returns, every thread of the process has passed a full memory barrier since it was called.
///
/// Where the kernel cannot do that, the thread's own barrier has to do: stores of other threads become visible within
/// nanoseconds, and a system call lies between this and whatever the caller does next.
pub(crate) fn on_all_threads() {
    if !membarrier(CMD_PRIVATE_EXPEDITED) {
        fence(Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri knows no membarrier")]
    fn the_kernel_does_it_once_it_was_told() {
        register();
        // SAFETY: a query.
        let known = unsafe { libc::syscall(libc::SYS_membarrier, 0, 0, 0) };
        if known & i64::from(CMD_PRIVATE_EXPEDITED) > 0 && known > 0 {
            assert!(membarrier(CMD_PRIVATE_EXPEDITED));
        }
        on_all_threads();
    }
}
