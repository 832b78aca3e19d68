//! Large arrays made where they stay: on the heap, zeroed by the system, never on a stack that may be small.

use std::alloc::{self, Layout};

/// Types of which all-zero bytes are a value.
///
/// # Safety
/// As said.
pub(crate) unsafe trait Zeroable: Copy {}

/// An array of zeroes; `None` when there is no memory.
pub(crate) fn boxed<T: Zeroable, const N: usize>() -> Option<Box<[T; N]>> {
    let layout = Layout::new::<[T; N]>();
    debug_assert!(layout.size() > 0);
    // SAFETY: 1. the layout is not empty. 2. it is that of the type, which zeroes are a value of. 3. the block is the
    // global allocator's, as `Box` wants it.
    unsafe {
        let block = alloc::alloc_zeroed(layout).cast::<[T; N]>();
        (!block.is_null()).then(|| Box::from_raw(block))
    }
}
