//! `heapsight merge`.

use std::path::PathBuf;

use clap::Args;

use super::select::SelectOptions;
use super::show::ShowOptions;

/// Options of `heapsight merge`.
#[derive(Clone, Debug, Args)]
pub(crate) struct MergeOptions {
    /// Captures to combine. That of the first process of 'heapsight run --follow' also adds those of its child
    /// processes, which are beside it, unless you name some of them
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Combined capture to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,

    /// Overwrite the combined capture if it exists
    #[arg(long)]
    pub force: bool,

    /// Do not print the top call sites of the combined capture
    #[arg(short, long)]
    pub quiet: bool,

    #[command(flatten)]
    pub show: ShowOptions,

    #[command(flatten)]
    pub select: SelectOptions,
}
