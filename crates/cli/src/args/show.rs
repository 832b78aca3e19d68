//! Options of every command that shows a list.

use clap::Args;
use heapsight_analysis::Imports;
use heapsight_capture::model::Mode;

use super::values::count;

/// How much is shown.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ShowOptions {
    /// Number of entries to show
    #[arg(short, long, value_name = "N", default_value = "10", value_parser = count, allow_negative_numbers = true)]
    pub number: usize,

    /// List memory of imported code among the entries instead of as one line below them
    #[arg(long)]
    pub imports: bool,
}

impl ShowOptions {
    /// Where memory of imported code goes, in a recording of this mode.
    pub(crate) fn imports(self, mode: Mode) -> Imports {
        Imports::for_people(mode, self.imports)
    }
}
