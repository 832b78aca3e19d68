//! Captures as people read them.
//!
//! [`summary()`] is the text report. Everything is written for a [`Look`]: so many columns, with colours or not, with Unicode or not.
#![forbid(unsafe_code)]

mod callers;
mod chart;
mod display;
mod export;
mod figures;
mod headline;
mod look;
mod moment;
mod place;
mod places;
mod source;
mod summary;
mod table;
mod text;

pub use display::{
    DisplayFigures, DisplayFrame, DisplayKey, DisplayMetric, DisplayOptions, DisplayTop, MetricFormat, display_top,
    grouping_title,
};
pub use export::{ExportError, ExportOptions, Format, export};
pub use figures::{format_count, format_duration, format_size, format_size_change};
pub use look::Look;
pub use moment::Moment;
pub use summary::{Selection, next_steps, summary};
