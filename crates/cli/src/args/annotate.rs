//! `heapsight annotate`.

use std::path::PathBuf;

use clap::Args;
use heapsight_analysis::Imports;
use heapsight_capture::model::Mode;

use super::select::PartOptions;
use super::values::count;

/// Options of `heapsight annotate`.
#[derive(Clone, Debug, Args)]
pub(crate) struct AnnotateOptions {
    /// Capture to show
    #[arg(value_name = "FILE")]
    pub capture: PathBuf,

    /// Source file to show, as reports name it (cache/store.py) or as a path [default: the files with the most memory]
    #[arg(value_name = "SOURCE")]
    pub source: Option<PathBuf>,

    /// Number of files to show if SOURCE is not given
    #[arg(short, long, value_name = "N", default_value = "3", value_parser = count, allow_negative_numbers = true)]
    pub number: usize,

    /// Show lines without memory too
    #[arg(long)]
    pub all: bool,

    /// Count a block on every line of its call path, not only on the line that allocated it
    #[arg(short, long)]
    pub cumulative: bool,

    /// Show memory of imported code in the lines instead of as one line below them
    #[arg(long)]
    pub imports: bool,

    #[command(flatten)]
    pub part: PartOptions,
}

impl AnnotateOptions {
    /// Where memory of imported code goes, in a recording of this mode.
    pub(crate) fn imports(&self, mode: Mode) -> Imports {
        Imports::for_people(mode, self.imports)
    }
}
