//! `heapsight top`.

use std::path::PathBuf;

use clap::Args;

use super::select::SelectOptions;
use super::show::ShowOptions;
use super::values::{address, parts};

/// Options of `heapsight top`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TopOptions {
    /// Captures or snapshots to show; several are shown in chronological order, each compared with the one before
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    #[command(flatten)]
    pub show: ShowOptions,

    #[command(flatten)]
    pub select: SelectOptions,

    /// Group by address: one entry for each block, like '--group-by address'
    #[arg(short, long, conflicts_with_all = ["group_by", "file"])]
    pub address: bool,

    /// Show the size and the call path of the block at this address (decimal or 0x...)
    #[arg(short, long, value_name = "ADDRESS", value_parser = address, conflicts_with = "traceback")]
    pub block: Option<u64>,

    /// Show the largest blocks, each with its call path and source lines
    #[arg(short, long)]
    pub traceback: bool,

    /// Compare with the first file instead of the one before
    #[arg(long)]
    pub first: bool,

    /// Hide sizes
    #[arg(short = 'S')]
    pub no_size: bool,

    /// Hide block counts
    #[arg(short = 'C')]
    pub no_count: bool,

    /// Hide average sizes
    #[arg(short = 'A')]
    pub no_average: bool,

    /// Hide metrics
    #[arg(short = 'M')]
    pub no_metrics: bool,

    /// Show this many components of a file name [default: 3]
    #[arg(short = 'P', long, value_name = "N", value_parser = parts, allow_negative_numbers = true)]
    pub filename_parts: Option<usize>,
}

impl TopOptions {
    /// Whether an option was given that only one-line entries have.
    pub(crate) fn asks_for_lines(&self) -> bool {
        let hides = [
            self.no_size,
            self.no_count,
            self.no_average,
            self.no_metrics,
        ];
        hides.contains(&true) || self.first || self.filename_parts.is_some()
    }

    /// Whether there is one entry for each block.
    pub(crate) fn by_address(&self) -> bool {
        self.address || self.select.group.by_address()
    }
}
