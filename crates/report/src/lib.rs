//! Captures as people read them.
//!
//! [`summary()`] is the text report. Everything is written for a [`Look`]: so many columns, with colours or not, with
//! Unicode or not.
#![forbid(unsafe_code)]

mod blocks;
mod callers;
mod chart;
mod children;
mod diff;
mod display;
mod export;
mod figures;
mod headline;
mod lines;
mod look;
mod moment;
mod place;
mod places;
mod process;
mod shell;
mod source;
mod stats;
mod summary;
mod table;
mod text;

pub use blocks::{biggest_blocks, block};
pub use children::{children_line, combined_children_line};
pub use diff::{DiffSelection, Side, diff};
pub use display::{
    DisplayFigures, DisplayFrame, DisplayKey, DisplayMetric, DisplayOptions, DisplayTop,
    MetricFormat, display_top, grouping_title,
};
pub use export::{ExportError, ExportOptions, Format, expected_bytes, export};
pub use figures::{
    format_count, format_duration, format_size, format_size_change, format_whole_size,
    format_whole_size_change,
};
pub use lines::{Lines, Shown, lines};
pub use look::Look;
pub use moment::is_snapshot;
pub use shell::{next_steps, shell_path, shell_quoted, written};
pub use stats::Statistics;
pub use summary::{Selection, summary};
pub use text::printable;
