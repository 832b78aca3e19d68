//! Views for the terminal: the call tree of a capture, and a program as it runs.
//!
//! Each view has a state that knows of no terminal (`state`), a screen that is a function of it (`view`), and keys
//! (`input`). Names that a traced program chose go through [`heapsight_report::printable`] on their way to the screen.
#![forbid(unsafe_code)]

mod input;
mod live;
mod run;
mod screen;
mod state;
#[cfg(test)]
mod testing;
mod theme;
mod tree;
mod view;

pub use live::{LiveError, Watched, live};
pub use run::{RunError, end_as, run};
pub use screen::{TerminalError, check_terminal};
pub use state::tree::{Opened, TreeSettings};
pub use tree::tree;
