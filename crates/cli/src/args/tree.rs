//! `heapsight tree`.

use std::path::PathBuf;

use clap::Args;
use heapsight_analysis::Metric;

use super::select::PartOptions;
use super::values::{metric, percent};

const AFTER_HELP: &str = "\
On a terminal the tree can be opened, searched and turned; '?' lists the keys. Anywhere else it is printed, all open.";

/// Options of `heapsight tree`.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct TreeOptions {
    /// Capture to show
    #[arg(value_name = "FILE")]
    pub capture: PathBuf,

    /// Memory to show: live, allocated, freed, peak or temporary [default: live]
    #[arg(long, value_name = "METRIC", value_parser = metric)]
    pub metric: Option<Metric>,

    /// Count blocks rather than bytes
    #[arg(long)]
    pub blocks: bool,

    /// Begin with what allocated: below a branch is who calls it
    #[arg(long)]
    pub callers: bool,

    /// Make the lines of a function one branch
    #[arg(long)]
    pub functions: bool,

    /// Show memory of imported code in the branches, not as one line
    #[arg(long)]
    pub imports: bool,

    /// Where the tree is printed: only add up branches with less than this part of all memory
    #[arg(long, value_name = "PERCENT", default_value = "1", value_parser = percent, allow_negative_numbers = true)]
    pub min_share: f64,

    #[command(flatten)]
    pub part: PartOptions,
}
