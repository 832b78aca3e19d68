//! The capture file and the tables that it stores.
//!
//! [`model`] is the vocabulary shared by the tracer (which writes) and the analysis (which reads). A [`Writer`] appends
//! frames while the program runs; [`Capture`] reads them back. The format is described in docs/format.md.
//!
//! # Example
//!
//! ```
//! use heapsight_capture::model::Totals;
//! use heapsight_capture::{Capture, End, Exit, Header, Tick, Writer};
//!
//! let header = Header { program: "app.py".into(), ..Header::default() };
//! let totals = Totals { live_bytes: 512, live_blocks: 1, ..Totals::default() };
//! let mut writer = Writer::create(Vec::new(), &header)?;
//! writer.tick(&Tick { elapsed_ns: 100_000_000, totals, ..Tick::default() })?;
//! let file = writer.finish(&End { elapsed_ns: 100_000_000, exit: Exit::Interpreter, totals })?;
//!
//! let capture = Capture::read(&file[..])?;
//! assert_eq!(capture.header.program, "app.py");
//! assert_eq!(capture.timeline[0].live_bytes, 512);
//!
//! // A process that was killed leaves half a file. What is whole in it is read.
//! let cut = Capture::read(&file[..file.len() - 5])?;
//! assert_eq!(cut.timeline, capture.timeline);
//! assert!(cut.incomplete().is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod account;
mod blocks;
mod end;
mod error;
mod frame;
mod header;
pub mod model;
mod note;
mod reader;
mod room;
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
pub use reader::{Capture, Follow, Missing, Replay, TickSummary};
pub use tick::Tick;
pub use whole_file::{Existing, write_whole};
pub use writer::Writer;
