//! `heapsight stats`.

use std::path::PathBuf;

use clap::Args;

use super::select::PartOptions;

/// Options of `heapsight stats`.
#[derive(Clone, Debug, Args)]
pub(crate) struct StatsOptions {
    /// Captures to read
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Print one line of JSON for each file
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub part: PartOptions,
}
