//! Memory that a program takes past Python's allocators: `malloc`, `mmap` and their relatives.
//!
//! Two parts that meet in [`interface`]: the library that `heapsight run --native` preloads (`preload/`, built by this
//! crate's build script into a file of its own), and what the tracer needs to speak to it ([`connect`]).
//!
//! The tracer's own memory is not to be counted as the program's, and must not come back into the tracer while it is in
//! the middle of something. So it asks the functions in [`system`], which lead past the preloaded library; what C code
//! asks for on our behalf is kept apart by [`apart`].

pub mod interface;
pub mod system;

use std::sync::atomic::{AtomicPtr, Ordering};

use interface::{APART, Hooks, INSIDE, Preload, SYMBOL, VERSION};

/// What the preloaded library is called. The build script builds it under this name.
pub const FILE_NAME: &str = "libheapsight_preload.so";

/// The preloaded library's, if there is one.
static PRELOAD: AtomicPtr<Preload> = AtomicPtr::new(std::ptr::null_mut());

/// Looks for the preloaded library, once. False when there is none in this process, or that of another version.
pub fn connect() -> bool {
    if preload().is_some() {
        return true;
    }
    // SAFETY: a name with its end, looked up among everything that was loaded with the program.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, SYMBOL.as_ptr()) }.cast::<Preload>();
    // SAFETY: null, or the library's static of that name, which begins with its version whatever follows.
    let is_ours = !found.is_null() && unsafe { (*found).version } == VERSION;
    if is_ours {
        PRELOAD.store(found, Ordering::Release);
    }
    is_ours
}

#[inline(always)]
fn preload() -> Option<&'static Preload> {
    // SAFETY: null, or a static of a library that is never unloaded.
    unsafe { PRELOAD.load(Ordering::Acquire).as_ref() }
}

/// From now on the preloaded library calls these; `None`: nobody. Does nothing where there is none.
pub fn set_hooks(hooks: Option<&'static Hooks>) {
    if let Some(preload) = preload() {
        let hooks = hooks.map_or(std::ptr::null_mut(), |hooks| {
            std::ptr::from_ref(hooks).cast_mut()
        });
        preload.hooks.store(hooks, Ordering::Release);
    }
}

/// While it lives, what the calling thread asks of the C library is not the program's. To be dropped on the thread that
/// made it.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Apart {
    word: *const std::sync::atomic::AtomicU32,
    was: u32,
}

/// See [`Apart`]. To be called where no code of the program's runs before it ends.
pub fn apart() -> Apart {
    busy_with(APART)
}

/// As [`apart`], and nothing that is given back comes to the tracer either: the caller may hold its locks.
fn inside() -> Apart {
    busy_with(INSIDE)
}

#[inline(always)]
fn busy_with(kind: u32) -> Apart {
    let word = preload().map_or(std::ptr::null(), |preload| (preload.busy)());
    // SAFETY: null, or the calling thread's word, which lives as long as the thread.
    let was = unsafe { word.as_ref() }.map_or(0, |word| {
        let was = word.load(Ordering::Relaxed);
        if was != INSIDE {
            word.store(kind, Ordering::Relaxed);
        }
        was
    });
    Apart { word, was }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // SAFETY: as in `apart`; a raw pointer keeps the value on the thread that made it.
        if let Some(word) = unsafe { self.word.as_ref() } {
            word.store(self.was, Ordering::Relaxed);
        }
    }
}
