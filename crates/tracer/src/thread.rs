//! What the tracer keeps for each thread: whether it is inside a hook, and its last call path.

use std::sync::OnceLock;

use crate::hooks::sampled::Countdown;
use crate::interpreter::thread_slot;
use crate::path::PathCache;
use crate::tables::shared_total;
use crate::tables::sites::OwnSites;

/// State of one thread, made at its first traced event and freed when the thread ends.
pub(crate) struct Thread {
    /// True while the original allocator runs: what it asks of other domains is part of the block being allocated.
    pub(crate) in_hook: bool,
    /// Sampled tracing: to the next sample point among what this thread allocates side by side with others.
    pub(crate) countdown: Countdown,
    /// Where it counts what it does side by side with other threads; [`NO_SHARD`] until it does. See [`shared_total`].
    shard: u8,
    /// Address of the block that it allocated last side by side with other threads; 0 once it was freed.
    pub(crate) last_block: usize,
    pub(crate) own_sites: OwnSites,
    pub(crate) path: PathCache,
}

const NO_SHARD: u8 = u8::MAX;

/// The calling thread's state, made if necessary; null when there is no memory.
#[inline(always)]
pub(crate) fn current() -> *mut Thread {
    let thread: *mut Thread = thread_slot::get();
    if thread.is_null() { make() } else { thread }
}

/// The calling thread's state if it has one; else null.
#[inline(always)]
pub(crate) fn existing() -> *mut Thread {
    thread_slot::get()
}

#[cold]
#[inline(never)]
fn make() -> *mut Thread {
    let thread = Thread {
        in_hook: false,
        countdown: Countdown::new(),
        shard: NO_SHARD,
        last_block: 0,
        own_sites: OwnSites::default(),
        path: PathCache::new(),
    };
    let thread = Box::into_raw(Box::new(thread));
    thread_slot::set(thread);
    if let Some(key) = end_of_thread_key() {
        // SAFETY: the key exists; its destructor gets the pointer back when this thread ends.
        unsafe { libc::pthread_setspecific(key, thread.cast()) };
    }
    thread
}

/// The shard of `thread`; 0 for none.
///
/// # Safety
/// `thread` is null or the calling thread's state.
#[inline(always)]
pub(crate) unsafe fn shard(thread: *mut Thread) -> u8 {
    // SAFETY: promised by the caller.
    let Some(thread) = (unsafe { thread.as_mut() }) else {
        return 0;
    };
    if thread.shard == NO_SHARD {
        thread.shard = shared_total::new_shard();
    }
    thread.shard
}

fn end_of_thread_key() -> Option<libc::pthread_key_t> {
    static KEY: OnceLock<Option<libc::pthread_key_t>> = OnceLock::new();
    *KEY.get_or_init(|| {
        let mut key = 0;
        // SAFETY: `key` is written before use; the destructor matches the values that `make` stores.
        (unsafe { libc::pthread_key_create(&raw mut key, Some(end_of_thread)) } == 0).then_some(key)
    })
}

unsafe extern "C" fn end_of_thread(thread: *mut libc::c_void) {
    thread_slot::set(std::ptr::null_mut::<Thread>());
    // SAFETY: the value was made by `make` of this very thread, and its slot is empty now: nobody else can reach it.
    drop(unsafe { Box::from_raw(thread.cast::<Thread>()) });
}
