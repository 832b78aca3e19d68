//! Where a thread's call paths begin: at the root, or at an element of the thread's own.

use crate::config;
use crate::tables::{codes, tree};

/// The path that the calling thread's outermost frame hangs from.
pub(crate) fn base_path() -> u32 {
    if !config::threads_apart() {
        return tree::ROOT;
    }
    tree::child(tree::ROOT, codes::thread(thread_name()), tree::NO_OFFSET)
}

/// The thread's name as the kernel knows it, and its id.
fn thread_name() -> String {
    let mut name = [0_u8; 16];
    // SAFETY: PR_GET_NAME writes at most 16 bytes, NUL included; gettid has no preconditions.
    let id = unsafe {
        libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr());
        libc::syscall(libc::SYS_gettid)
    };
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    format!("thread {id} ({})", String::from_utf8_lossy(name))
}
