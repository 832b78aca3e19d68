//! `heapsight export`.

use std::path::PathBuf;

use clap::Args;
use heapsight_analysis::Metric;
use heapsight_report::Format;

use super::select::{GroupOptions, PartOptions};
use super::values::{format, metric};

/// Options of `heapsight export`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ExportOptions {
    /// Capture to export
    #[arg(value_name = "FILE")]
    pub capture: PathBuf,

    /// Format to write: pprof, collapsed, speedscope, firefox, parquet, csv or json
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    pub to: Format,

    /// File to write, or '-' for standard output [default: beside the capture, named after it]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Overwrite the file if it exists
    #[arg(long)]
    pub force: bool,

    /// Memory that gives a stack its weight: live, allocated, freed, peak or temporary; pprof, parquet, csv and json
    /// always contain all of them [default: live]
    #[arg(long, value_name = "METRIC", value_parser = metric)]
    pub metric: Option<Metric>,

    #[command(flatten)]
    pub group: GroupOptions,

    #[command(flatten)]
    pub part: PartOptions,
}
