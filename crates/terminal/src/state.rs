//! The state of each view, and what changes it. Nothing here knows of a terminal.

pub(crate) mod live;
pub(crate) mod program;
pub(crate) mod tree;
