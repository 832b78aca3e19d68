//! The capture file and the tables that it stores.
//!
//! [`model`] is the vocabulary shared by the tracer (which writes) and the analysis (which reads). A [`Writer`] appends
//! frames while the program runs; [`Capture`] reads them back. The format is described in docs/format.md.
#![forbid(unsafe_code)]

mod blocks;
mod end;
mod error;
mod frame;
mod header;
pub mod model;
mod note;
mod reader;
mod tick;
mod varint;
mod whole_file;
mod writer;

pub use blocks::Block;
pub use end::{End, Exit};
pub use error::{Damage, ReadError, Truncation, WriteError};
pub use frame::{FORMAT_VERSION, MAGIC};
pub use header::Header;
pub use note::Note;
pub use reader::{Capture, Replay, TickSummary};
pub use tick::Tick;
pub use whole_file::{Existing, write_whole};
pub use writer::Writer;
