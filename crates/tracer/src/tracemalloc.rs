//! What only the drop-in for `tracemalloc` needs: blocks that extension modules report, and objects that
//! come from free lists.
//!
//! Nothing here runs unless the drop-in asked for it. May change the tables as a hook does.

pub(crate) mod extension;
pub mod extension_calls;
pub mod objects;

/// Ends what the drop-in has asked for. Call with the GIL held.
pub(crate) fn stop() {
    objects::unfollow();
    extension_calls::restore();
}
