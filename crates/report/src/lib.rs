//! Captures as people read them.
//!
//! [`summary()`] is the text report. Everything is written for a [`Look`]: so many columns, with colours or not, with
//! Unicode or not.
//!
//! # Example
//!
//! ```
//! use heapsight_report::{Look, Selection, summary};
//!
//! # use heapsight_analysis::{EventLog, NO_CALLER};
//! # use heapsight_capture::{Capture, Header, Writer, model::Domain};
//! # let header = Header::default();
//! # let mut file = Vec::new();
//! # let mut log = EventLog::new(Writer::create(&mut file, &header)?);
//! # let main = log.code("main", "app.py", 1);
//! # let main = log.call(NO_CALLER, main, 3);
//! # let site = log.site(main, Domain::OBJ);
//! # log.allocate(0x1000, 512, site);
//! # log.allocate(0x2000, 512, site);
//! # log.tick(1_000_000_000, 0)?;
//! # log.finish(1_000_000_000)?;
//! # let capture = Capture::read(&file[..])?;
//! // `capture` is of a program that holds two blocks of 512 bytes, from line 3 of app.py.
//! let text = summary(&capture, &Selection::default(), None, &Look::plain(80));
//! assert!(text.contains("Traced memory  1.0 KiB in 2 blocks"), "{text}");
//! assert!(text.contains("app.py:3"), "{text}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod account;
mod annotate;
mod blocks;
mod callers;
mod chart;
mod children;
mod diff;
mod display;
mod export;
mod figures;
mod finding;
mod headline;
mod lines;
mod look;
mod moment;
mod page;
mod place;
mod places;
mod process;
mod secrets;
mod shell;
mod source;
mod stats;
mod summary;
mod table;
mod text;
mod tree;

pub use account::{account_sentence, account_table};
pub use annotate::{Annotate, NothingThere, annotate};
pub use blocks::{biggest_blocks, block};
pub use chart::levels;
pub use children::{children_line, combined_children_line};
pub use diff::{DiffSelection, Side, diff};
pub use display::{
    DisplayFigures, DisplayFrame, DisplayKey, DisplayMetric, DisplayOptions, DisplayTop,
    MetricFormat, display_top, grouping_title,
};
pub use export::{ExportError, ExportOptions, Format, expected_bytes, export};
pub use figures::{
    counted, format_count, format_duration, format_share, format_size, format_size_change,
    format_whole_size, format_whole_size_change,
};
pub use headline::what_is_missing;
pub use lines::{Lines, Shown, lines};
pub use look::Look;
pub use moment::{describe, exact_time, is_snapshot};
pub use page::{PageOptions, PageSide, page};
pub use place::Place;
pub use places::Places;
pub use shell::{next_steps, shell_path, shell_quoted, written};
pub use source::{NoSource, Source};
pub use stats::Statistics;
pub use summary::{Selection, summary};
pub use text::{is_safe, keep_end, keep_start, message, printable, right, width};
pub use tree::{TreeText, tree};
