//! `heapsight run`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgGroup, Args};

use heapsight_handover::budget_bytes;

use super::values::{Frames, bytes, count, frames, tick_ms};

/// Mean distance between samples when `--sample` is given without a number.
const DEFAULT_SAMPLE: &str = "512K";

const AFTER_HELP: &str = "\
What follows SCRIPT, MODULE or CODE belongs to the program, options included.

The program runs in a plain Python of its own: arguments, sys.path, __main__, standard streams, signals, exceptions \
and exit status are those of 'python SCRIPT ARGS...'.

If heapsight cannot do what was asked, it says so in one line before anything runs, with exit status 1 (a syntax error \
in SCRIPT, tracing cannot start), 2 (a value that is wrong, no such script, the capture exists or cannot be created) \
or 74 (the disk is full). \
If it fails later, a line on standard error says so, and the program runs to its end with its own result.";

/// Options of `heapsight run`.
#[derive(Clone, Debug, Args)]
#[command(
    group(ArgGroup::new("program").args(["module", "code", "script"])),
    after_help = "What follows SCRIPT, MODULE or CODE belongs to the program, options included.",
    after_long_help = AFTER_HELP,
    override_usage = "heapsight run [OPTIONS] SCRIPT [ARGS]...\n       \
                      heapsight run [OPTIONS] -m MODULE [ARGS]...\n       \
                      heapsight run [OPTIONS] -c CODE [ARGS]..."
)]
pub(crate) struct RunOptions {
    /// Run a module, like 'python -m'
    #[arg(short, value_names = ["MODULE", "ARGS"], num_args = 1.., allow_hyphen_values = true)]
    pub module: Option<Vec<OsString>>,

    /// Run code, like 'python -c'
    #[arg(short, value_names = ["CODE", "ARGS"], num_args = 1.., allow_hyphen_values = true)]
    pub code: Option<Vec<OsString>>,

    /// Capture file to write [default: heapsight-PROGRAM-PID.heapsight]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    // Elsewhere -f is --file: here it is still understood, and not told of.
    /// Overwrite the capture file if it exists
    #[arg(long, short_alias = 'f')]
    pub force: bool,

    /// Frames to keep of each call path, the most recent ones, or 'all'
    #[arg(long, value_name = "N|all", default_value = "all", value_parser = frames, allow_negative_numbers = true)]
    pub frames: Frames,

    /// Trace a sample of the blocks, about one in every BYTES allocated (512K), instead of all
    #[arg(
        long,
        value_name = "BYTES",
        value_parser = bytes,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = DEFAULT_SAMPLE
    )]
    pub sample: Option<u64>,

    /// Trace what is asked of malloc, mmap and their relatives as well: memory of C extensions
    #[arg(long)]
    pub native: bool,

    /// Show memory over time, who holds it and what the program prints on one screen while it runs; leaving the screen
    /// (q) leaves the program alone
    #[arg(long)]
    pub live: bool,
    /// Memory for call paths on which nothing is live, such as 8M [default: PYTHONHEAPSIGHT_BUDGET, or 32M or 15 % of
    /// the program's own, whichever is more]
    #[arg(long, value_name = "SIZE", value_parser = budget_bytes, allow_negative_numbers = true)]
    pub budget: Option<u64>,

    /// Keep threads apart
    #[arg(long)]
    pub threads: bool,

    /// Record child processes too, each into a file of its own (NAME-PID.heapsight); see 'heapsight merge'
    #[arg(long)]
    pub follow: bool,

    /// With --follow: combine the captures of all processes into NAME-all.heapsight at the end, and show that
    #[arg(long, requires = "follow")]
    pub merge: bool,

    /// Have 'import tracemalloc' give heapsight's, which answers from the recording
    #[arg(long, conflicts_with = "sample")]
    pub replace_tracemalloc: bool,

    /// Milliseconds between two writes to the capture
    #[arg(long, value_name = "MS", default_value = "100", value_parser = tick_ms, allow_negative_numbers = true)]
    pub tick: u32,

    /// Entries in the summary at exit
    #[arg(
        short = 'n',
        long,
        alias = "number",
        value_name = "N",
        default_value = "10",
        value_parser = count,
        allow_negative_numbers = true
    )]
    pub top: usize,

    /// Show memory of imported code in the entries, not as one line below them
    #[arg(long)]
    pub imports: bool,

    /// Do not print a summary at exit
    #[arg(short, long, conflicts_with = "top")]
    pub quiet: bool,

    /// Use colours in the summary [default: if standard error is a terminal]
    #[arg(long, overrides_with = "no_color")]
    color: bool,

    /// Do not use colours in the summary
    #[arg(long)]
    no_color: bool,

    /// Script to run, or a directory or zip archive with a __main__.py, or '-' for standard input; then its arguments
    #[arg(value_names = ["SCRIPT", "ARGS"], num_args = 1.., trailing_var_arg = true)]
    pub script: Vec<OsString>,
}

impl RunOptions {
    /// Whether colours were asked for or ruled out.
    pub(crate) fn color(&self) -> Option<bool> {
        (self.color || self.no_color).then_some(self.color)
    }
}
