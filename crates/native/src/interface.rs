//! What the preloaded library and the tracer know of each other. Compiled into both, which may come from different
//! builds: the tracer takes only a library that says the same [`VERSION`].

use core::ffi::{CStr, c_int, c_void};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// Changes with everything below.
pub const VERSION: u32 = 1;

/// In a thread's word: a hook is under way, and calls go straight to the C library.
pub const INSIDE: u32 = 1;

/// In a thread's word: what is asked for is not the program's. What is given back may be, and is told.
pub const APART: u32 = 2;

/// The symbol under which the preloaded library has its [`Preload`].
pub const SYMBOL: &CStr = c"heapsight_preload";

/// What the preloaded library shows.
#[repr(C)]
pub struct Preload {
    /// [`VERSION`] of the library.
    pub version: u32,
    /// The tracer's functions, or null: then calls go straight to the C library. They stay where they are for good.
    pub hooks: AtomicPtr<Hooks>,
    /// The functions that a program would have called.
    pub system: System,
    /// The calling thread's word: 0, [`INSIDE`] or [`APART`].
    pub busy: extern "C" fn() -> *const AtomicU32,
}

/// The tracer's functions. The library calls them with the thread's word set, and keeps `errno` for those that are told
/// of a block.
#[repr(C)]
pub struct Hooks {
    /// A block of so many bytes was made at that address.
    pub allocated: unsafe extern "C" fn(usize, usize),
    /// The block at that address is about to be freed.
    pub freeing: unsafe extern "C" fn(usize),
    /// In place of `realloc` of a block that is not null.
    pub realloc: Realloc,
    /// In place of the function of that name, as the following.
    pub mmap: Mmap,
    /// See [`Self::mmap`].
    pub munmap: Munmap,
    /// See [`Self::mmap`].
    pub mremap: Mremap,
    /// See [`Self::mmap`].
    pub mprotect: Mprotect,
    /// See [`Self::mmap`].
    pub brk: Brk,
    /// See [`Self::mmap`].
    pub sbrk: Sbrk,
}

/// `malloc`, `valloc`, `pvalloc`.
pub type Malloc = unsafe extern "C" fn(usize) -> *mut c_void;
/// `calloc`.
pub type Calloc = unsafe extern "C" fn(usize, usize) -> *mut c_void;
/// `realloc`.
pub type Realloc = unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void;
/// `free`.
pub type Free = unsafe extern "C" fn(*mut c_void);
/// `posix_memalign`.
pub type PosixMemalign = unsafe extern "C" fn(*mut *mut c_void, usize, usize) -> c_int;
/// `aligned_alloc`, `memalign`.
pub type Memalign = unsafe extern "C" fn(usize, usize) -> *mut c_void;
/// `mmap`.
pub type Mmap = unsafe extern "C" fn(*mut c_void, usize, c_int, c_int, c_int, i64) -> *mut c_void;
/// `munmap`.
pub type Munmap = unsafe extern "C" fn(*mut c_void, usize) -> c_int;
/// `mremap`. The last argument is there or not: on the processors that are supported, the call is the same.
pub type Mremap =
    unsafe extern "C" fn(*mut c_void, usize, usize, c_int, *mut c_void) -> *mut c_void;
/// `mprotect`.
pub type Mprotect = unsafe extern "C" fn(*mut c_void, usize, c_int) -> c_int;
/// `brk`.
pub type Brk = unsafe extern "C" fn(*mut c_void) -> c_int;
/// `sbrk`.
pub type Sbrk = unsafe extern "C" fn(isize) -> *mut c_void;

macro_rules! functions {
    ($($name:ident: $type:ty,)*) => {
        /// Functions of the C library, or of whatever the program has in its place. 0: there is none, or not yet.
        #[repr(C)]
        pub struct System {
            $(#[doc = concat!("Address of `", stringify!($name), "`.")] pub $name: AtomicUsize,)*
        }

        impl System {
            /// Nothing is known yet.
            #[allow(clippy::new_without_default)] // in a static, and nowhere else
            #[must_use]
            pub const fn new() -> Self {
                Self { $($name: AtomicUsize::new(0),)* }
            }

            $(
                #[doc = concat!("`", stringify!($name), "`, if it is known.")]
                #[inline(always)]
                #[must_use]
                pub fn $name(&self) -> Option<$type> {
                    let address = self.$name.load(Ordering::Relaxed);
                    // SAFETY: 0, which is `None`, or what the loader found under that name: C's function of this type.
                    unsafe { core::mem::transmute::<usize, Option<$type>>(address) }
                }
            )*

            /// Looks every function up.
            pub fn find(&self, look_up: impl Fn(&CStr) -> *mut c_void) {
                $(
                    let name = concat!(stringify!($name), "\0");
                    if let Ok(name) = CStr::from_bytes_with_nul(name.as_bytes()) {
                        self.$name.store(look_up(name) as usize, Ordering::Release);
                    }
                )*
            }
        }
    };
}

functions! {
    malloc: Malloc,
    calloc: Calloc,
    realloc: Realloc,
    free: Free,
    posix_memalign: PosixMemalign,
    aligned_alloc: Memalign,
    memalign: Memalign,
    valloc: Malloc,
    pvalloc: Malloc,
    mmap: Mmap,
    munmap: Munmap,
    mremap: Mremap,
    mprotect: Mprotect,
    brk: Brk,
    sbrk: Sbrk,
}
