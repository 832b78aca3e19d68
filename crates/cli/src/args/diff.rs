//! `heapsight diff`.

use std::ffi::OsString;

use clap::Args;

use super::select::SelectOptions;
use super::show::ShowOptions;

/// Options of `heapsight diff`.
#[derive(Clone, Debug, Args)]
#[command(
    override_usage = "heapsight diff [OPTIONS] OLD[@TIME] NEW[@TIME]\n       \
                            heapsight diff [OPTIONS] --range A..B FILE"
)]
pub(crate) struct DiffOptions {
    /// Two captures, each at its end or at the moment after @ (run.heapsight@10s, run.heapsight@peak), or one capture
    /// with --range
    #[arg(value_name = "FILE[@TIME]", required = true, num_args = 1..=2)]
    pub files: Vec<OsString>,

    #[command(flatten)]
    pub show: ShowOptions,

    #[command(flatten)]
    pub select: SelectOptions,
}
