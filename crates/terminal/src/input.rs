//! What keys and the mouse mean in each view.

pub(crate) mod live;
pub(crate) mod tree;
mod typed;
