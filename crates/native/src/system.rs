//! The C library's functions, past the preloaded library where there is one.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::{c_int, c_void};

use crate::{inside, interface, preload};

/// What `malloc` aligns to on every supported processor, if the block has as many bytes.
const ALIGNMENT: usize = 16;

#[inline(always)]
fn is_ordinary(layout: Layout, size: usize) -> bool {
    layout.align() <= ALIGNMENT && layout.align() <= size
}

macro_rules! passes {
    ($(#[$meta:meta])* $name:ident($($argument:ident: $type:ty),*) -> $result:ty) => {
        $(#[$meta])*
        ///
        /// # Safety
        /// As the C library's function.
        #[inline]
        pub unsafe fn $name($($argument: $type),*) -> $result {
            let known = preload().and_then(|preload| preload.system.$name());
            // SAFETY: promised by the caller.
            unsafe {
                match known {
                    Some(function) => function($($argument),*),
                    None => here::$name($($argument),*),
                }
            }
        }
    };
}

mod here {
    use std::ffi::{c_int, c_void};

    pub(super) use libc::{brk, mmap, mprotect, munmap, realloc, sbrk};

    pub(super) unsafe fn mremap(
        old: *mut c_void,
        old_length: usize,
        length: usize,
        flags: c_int,
        new: *mut c_void,
    ) -> *mut c_void {
        // SAFETY: promised by the caller.
        unsafe { libc::mremap(old, old_length, length, flags, new) }
    }
}

passes!(
    /// `realloc`.
    realloc(old: *mut c_void, size: usize) -> *mut c_void);
passes!(
    /// `mmap`.
    mmap(
        address: *mut c_void,
        length: usize,
        protection: c_int,
        flags: c_int,
        file: c_int,
        offset: i64
    ) -> *mut c_void);
passes!(
    /// `munmap`.
    munmap(address: *mut c_void, length: usize) -> c_int);
passes!(
    /// `mremap`.
    mremap(
        old: *mut c_void,
        old_length: usize,
        length: usize,
        flags: c_int,
        new: *mut c_void
    ) -> *mut c_void);
passes!(
    /// `mprotect`.
    mprotect(address: *mut c_void, length: usize, protection: c_int) -> c_int);
passes!(
    /// `brk`.
    brk(address: *mut c_void) -> c_int);
passes!(
    /// `sbrk`.
    sbrk(bytes: isize) -> *mut c_void);

/// The system's allocator for our own blocks. What a program has in its place may map and unmap memory for them, or
/// hold locks of its own meanwhile, and the caller may hold the tracer's: none of that may come back to the tracer.
///
/// Blocks that were made before the preloaded library was found came from the same allocator by way of that library, so
/// either may free them.
#[derive(Clone, Copy, Debug)]
pub struct OwnBlocks;

#[inline(always)]
fn system() -> Option<&'static interface::System> {
    preload().map(|preload| &preload.system)
}

// Apart from their callers, which are many: copies of them would be resident in every traced process.
//
// SAFETY: every function does what the standard library's `System` does, with the same functions of the C library; what
// they cannot do for an alignment is left to `System`, whose blocks are of the same allocator. Nothing here unwinds.
unsafe impl GlobalAlloc for OwnBlocks {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: promised by the caller.
        unsafe {
            let _inside = inside();
            match system() {
                Some(system) if is_ordinary(layout, layout.size()) => match system.malloc() {
                    Some(malloc) => malloc(layout.size()).cast(),
                    None => System.alloc(layout),
                },
                Some(system) => match system.posix_memalign() {
                    Some(memalign) => {
                        let mut block = std::ptr::null_mut();
                        let status = memalign(&raw mut block, layout.align(), layout.size());
                        if status == 0 {
                            block.cast()
                        } else {
                            std::ptr::null_mut()
                        }
                    }
                    None => System.alloc(layout),
                },
                None => System.alloc(layout),
            }
        }
    }

    #[inline(never)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: promised by the caller; a block of `alloc` has that many bytes.
        unsafe {
            let _inside = inside();
            let Some(system) = system() else {
                return System.alloc_zeroed(layout);
            };
            if is_ordinary(layout, layout.size())
                && let Some(calloc) = system.calloc()
            {
                return calloc(layout.size(), 1).cast();
            }
            let block = self.alloc(layout);
            if !block.is_null() {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: promised by the caller.
        unsafe {
            let _inside = inside();
            match system().and_then(interface::System::free) {
                Some(free) => free(block.cast()),
                None => System.dealloc(block, layout),
            }
        }
    }

    #[inline(never)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: promised by the caller; where `realloc` does not align enough, the contents are moved by hand.
        unsafe {
            let _inside = inside();
            if system().is_none() {
                return System.realloc(block, layout, size);
            }
            if is_ordinary(layout, size) {
                return realloc(block.cast(), size).cast();
            }
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                std::ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}
