//! `heapsight tree`.

use std::path::PathBuf;

use clap::Args;
use heapsight_analysis::Metric;

use super::select::PartOptions;
use super::values::{metric, percent};

const AFTER_HELP: &str = "\
On a terminal the tree is interactive; '?' lists the keys. Elsewhere it is printed with all branches open.";

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

    /// Count blocks instead of bytes
    #[arg(long)]
    pub blocks: bool,

    /// Turn the tree around: begin with the frames that allocate, and open their callers below them
    #[arg(long)]
    pub callers: bool,

    /// Combine the lines of a function into one branch
    #[arg(long)]
    pub functions: bool,

    /// Show memory of imported code in the branches instead of as one line
    #[arg(long)]
    pub imports: bool,

    /// When the tree is printed: combine branches that hold less than this share of all memory
    #[arg(long, value_name = "PERCENT", default_value = "1", value_parser = percent, allow_negative_numbers = true)]
    pub min_share: f64,

    #[command(flatten)]
    pub part: PartOptions,
}
