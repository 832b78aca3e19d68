//! What each screen shows: pure functions of the state, onto a buffer of cells.

pub(crate) mod canvas;
pub(crate) mod chart;
pub(crate) mod help;
pub(crate) mod live;
pub(crate) mod program;
pub(crate) mod source;
pub(crate) mod tree;
