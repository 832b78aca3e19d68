//! Where a thread's call paths begin: at the root, or at an element of the thread's own.
//!
//! The element is named after the thread: its name and its id. `threading` keeps names in Python objects, which a hook
//! cannot read, so whoever starts a thread there passes its name on ([`crate::thread::name_thread`]). A thread without
//! such a name gets the name that the kernel has for it, and is called native. A thread may allocate before it is
//! named: readers combine the native and the named element of the same id (`heapsight_analysis::name_threads`).

use std::cell::RefCell;

use crate::config;
use crate::tables::{codes, tree};

thread_local! {
    /// The name that the thread was given. Const, so that reading it in a hook allocates nothing.
    static GIVEN: RefCell<Option<Box<str>>> = const { RefCell::new(None) };
}

/// Names the calling thread; false when it is ending.
pub(crate) fn set_given_name(name: &str) -> bool {
    GIVEN
        .try_with(|given| *given.borrow_mut() = Some(name.into()))
        .is_ok()
}

/// The path that the calling thread's outermost frame hangs from.
pub(crate) fn base_path() -> u32 {
    if !config::threads_apart() {
        return tree::ROOT;
    }
    tree::of_thread(codes::thread(thread_name()))
}

/// What the thread is called, and its id.
fn thread_name() -> String {
    // SAFETY: gettid and getpid have no preconditions.
    let (id, process) = unsafe { (libc::syscall(libc::SYS_gettid), libc::getpid()) };
    // At the end of a thread the name is gone before the last event.
    let given = GIVEN
        .try_with(|given| given.borrow().clone())
        .ok()
        .flatten();
    match given {
        Some(name) => format!("{name} (thread {id})"),
        None if id == i64::from(process) => format!("MainThread (thread {id})"),
        None => format!("{} (native thread {id})", kernel_name()),
    }
}

/// The thread's name as the kernel knows it.
fn kernel_name() -> String {
    let mut name = [0_u8; 16];
    // SAFETY: PR_GET_NAME writes at most 16 bytes, NUL included.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}
