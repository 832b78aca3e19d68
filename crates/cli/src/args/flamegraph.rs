//! `heapsight flamegraph`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use heapsight_analysis::recording::SeekTarget;

use super::values::range;

/// Options of `heapsight flamegraph`.
#[derive(Clone, Debug, Args)]
pub(crate) struct FlamegraphOptions {
    /// Capture to show, or two captures to compare
    #[arg(value_name = "FILE", required = true, num_args = 1..=2)]
    pub files: Vec<OsString>,

    /// File to write, or '-' for standard output [default: beside the capture, named after it]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Overwrite the file if it exists
    #[arg(long)]
    pub force: bool,

    /// Open the page in a browser
    #[arg(long)]
    pub open: bool,

    /// Open the page on the difference between two moments, such as 10..20 or start..peak
    #[arg(long, value_name = "A..B", value_parser = range)]
    pub range: Option<SeekTarget>,

    /// Do not include the program's source code
    #[arg(long)]
    pub no_source: bool,
}
