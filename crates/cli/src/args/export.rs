//! `heapsight export`.

use std::path::PathBuf;

use clap::Args;
use heapsight_report::Format;

use super::select::SelectOptions;
use super::values::format;

/// Options of `heapsight export`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ExportOptions {
    /// Capture to export
    #[arg(value_name = "FILE")]
    pub capture: PathBuf,

    /// Format: pprof, collapsed, speedscope, firefox, parquet, csv or json
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    pub to: Format,

    /// File to write, or '-' for standard output [default: beside the capture, named after it]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Overwrite the file if it exists
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub select: SelectOptions,
}
