//! What the tracer keeps for each thread: whether it is inside a hook, and its last call path.
//!
//! Lives on the heap behind a raw pointer. Hooks reach its fields one by one (`(*thread).in_hook`) and never make a
//! reference to the whole: while the path cache is borrowed, the functions below it look at other fields.

use std::alloc::{self, Layout};
use std::sync::OnceLock;

use heapsight_cpython::version::Version;

use crate::config;
use crate::countdown::Countdown;
use crate::interpreter::event::{self, Sharing};
use crate::interpreter::thread_slot;
use crate::memory::lock;
use crate::path::{PathCache, base};
use crate::session::{self, Presence};
use crate::tables::shared_total;
use crate::tables::sites::OwnSites;

/// State of one thread, made at its first traced event and freed when the thread ends.
pub(crate) struct Thread {
    /// True while the original allocator runs: what it asks of other domains is part of the block being allocated.
    pub(crate) in_hook: bool,
    /// Says to others that this thread is in an event without the GIL.
    pub(crate) presence: Presence,
    /// Sampled tracing: to the next sample point among what this thread allocates side by side with others.
    pub(crate) countdown: Countdown,
    /// Sampled tracing: address of the block that it sampled last, and what told then whether anything is allocated
    /// later.
    pub(crate) last_sampled: (usize, i64),
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

/// Gives the calling thread the name under which its call paths are kept from now on, if threads are kept apart. Not to
/// be called in a hook.
pub fn name_thread(name: &str) {
    if !config::threads_apart() {
        return;
    }
    let is_set = base::set_given_name(name);
    let thread = existing();
    if is_set && !thread.is_null() {
        // SAFETY: the calling thread's own state, which lives until the thread ends; no event is going on in this
        // thread, so nothing else has a reference to its path cache.
        unsafe { (*thread).path.invalidate() };
    }
}

#[cold]
#[inline(never)]
fn make() -> *mut Thread {
    // What the C library needs to keep our pointer is ours.
    let _apart = heapsight_native::apart();
    let (Some(path), layout) = (PathCache::new(), Layout::new::<Thread>()) else {
        return std::ptr::null_mut();
    };
    // SAFETY: 1. the layout is not empty. 2. every field is written before anybody else can see the pointer. The stack
    // of the thread may be small, so the whole is never built there.
    let thread = unsafe {
        let thread = alloc::alloc(layout).cast::<Thread>();
        if thread.is_null() {
            return thread;
        }
        (&raw mut (*thread).in_hook).write(false);
        (&raw mut (*thread).presence).write(Presence::new());
        (&raw mut (*thread).countdown).write(Countdown::new());
        (&raw mut (*thread).last_sampled).write((0, 0));
        (&raw mut (*thread).shard).write(NO_SHARD);
        (&raw mut (*thread).last_block).write(0);
        (&raw mut (*thread).own_sites).write(OwnSites::default());
        (&raw mut (*thread).path).write(path);
        session::add(&mut lock::hold(), &raw mut (*thread).presence);
        thread
    };
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
    if thread.is_null() {
        return 0;
    }
    // SAFETY: promised by the caller.
    unsafe {
        if (*thread).shard == NO_SHARD {
            (*thread).shard = shared_total::new_shard();
        }
        (*thread).shard
    }
}

/// An event under way. One that may run beside others is announced, so that the session does not change meanwhile.
pub(crate) struct Event(*const Presence);

impl Event {
    /// `None` when the session is closed: the event must not touch the tables.
    ///
    /// # Safety
    /// `thread` is null or the calling thread's state, and has no event under way.
    #[inline(always)]
    pub(crate) unsafe fn of_sharing(thread: *mut Thread, sharing: Sharing) -> Option<Self> {
        if sharing == Sharing::Gil || thread.is_null() {
            return Some(Self(std::ptr::null()));
        }
        // SAFETY: promised by the caller.
        unsafe {
            let presence = &raw const (*thread).presence;
            (*presence).enter().then_some(Self(presence))
        }
    }

    /// The same for a hook of `DOMAIN`.
    ///
    /// # Safety
    /// As [`Self::of_sharing`], and the caller is a hook of `DOMAIN`.
    #[inline(always)]
    pub(crate) unsafe fn begin<V: Version, const DOMAIN: u32>(thread: *mut Thread) -> Option<Self> {
        // SAFETY: promised by the caller.
        unsafe {
            let sharing = if event::needs_no_gil(DOMAIN) || event::may_run_beside_others::<V>() {
                Sharing::Shared
            } else {
                Sharing::Gil
            };
            Self::of_sharing(thread, sharing)
        }
    }
}

impl Drop for Event {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: null, or the presence of the calling thread, which lives as long as the thread.
        if let Some(presence) = unsafe { self.0.as_ref() } {
            presence.leave();
        }
    }
}

/// In the child of a fork: forgets the other threads, which the child does not have. What is kept for them is lost:
/// they may have been changing it.
pub(crate) fn after_fork_in_child() {
    let thread = existing();
    let presence = if thread.is_null() {
        std::ptr::null_mut()
    } else {
        // SAFETY: the calling thread's state.
        unsafe { &raw mut (*thread).presence }
    };
    session::keep_only(&mut lock::hold(), presence);
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
    let thread = thread.cast::<Thread>();
    thread_slot::set(std::ptr::null_mut::<Thread>());
    // SAFETY: the value was made by `make` of this very thread with this layout, and its slot and the list of presences
    // are empty of it: nobody else can reach it.
    unsafe {
        session::remove(&mut lock::hold(), &raw mut (*thread).presence);
        thread.drop_in_place();
        alloc::dealloc(thread.cast(), Layout::new::<Thread>());
    }
}
