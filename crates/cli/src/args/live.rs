//! `heapsight live`.

use std::ffi::OsString;

use clap::Args;

/// Options of `heapsight live`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "heapsight only reads the capture and does not disturb the program. '?' lists the keys."
)]
pub(crate) struct LiveOptions {
    /// Capture that a program is writing, or the process id of a program that 'heapsight run' started
    #[arg(value_name = "FILE|PID")]
    pub target: OsString,

    /// Use colours [default: unless NO_COLOR is set]
    #[arg(long, overrides_with = "no_color")]
    color: bool,

    /// Do not use colours
    #[arg(long)]
    no_color: bool,
}

impl LiveOptions {
    /// Whether colours were asked for or ruled out.
    pub(crate) fn color(&self) -> Option<bool> {
        (self.color || self.no_color).then_some(self.color)
    }
}
