//! `heapsight run`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgGroup, Args};

use heapsight_handover::budget_bytes;

use super::values::{Frames, bytes, count, frames, tick_ms};

/// Mean distance between samples when `--sample` is given without a number.
const DEFAULT_SAMPLE: &str = "512K";

const AFTER_HELP: &str = "\
Everything after SCRIPT, MODULE or CODE is passed to the program, options included.

The program runs in plain Python: arguments, sys.path, __main__, standard streams, signals, exceptions and exit status \
are the same as with 'python SCRIPT ARGS...'.

If heapsight cannot start the recording, it prints one line and runs nothing. Its exit status is then 1 (SCRIPT has a \
syntax error, tracing cannot start), 2 (an option has a wrong value, there is no such script, the capture exists or \
cannot be created) or 74 (the disk is full). \
If recording fails later, heapsight prints one line on standard error, and the program runs to its end as usual.";

/// Options of `heapsight run`.
#[derive(Clone, Debug, Args)]
#[command(
    group(ArgGroup::new("program").args(["module", "code", "script"])),
    after_help = "Everything after SCRIPT, MODULE or CODE is passed to the program, options included.",
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

    /// Overwrite the capture file if it exists
    #[arg(long)]
    pub force: bool,

    /// Keep only the N most recent frames of each call path, or all of them
    #[arg(long, value_name = "N|all", default_value = "all", value_parser = frames, allow_negative_numbers = true)]
    pub frames: Frames,

    /// Trace a random sample of the blocks, about one for every BYTES allocated (512K), instead of every block
    #[arg(
        long,
        value_name = "BYTES",
        value_parser = bytes,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = DEFAULT_SAMPLE
    )]
    pub sample: Option<u64>,

    /// Also trace memory that C code takes from malloc, mmap and their relatives, such as that of C extensions
    #[arg(long)]
    pub native: bool,

    /// While the program runs, show its memory over time, the lines that hold it and its output on one screen;
    /// quitting the screen (q) does not stop the program
    #[arg(long)]
    pub live: bool,

    /// Limit the memory that heapsight itself uses for call paths without live blocks, such as 8M [default:
    /// PYTHONHEAPSIGHT_BUDGET if set, else 32M or 15 % of the program's memory, whichever is more]
    #[arg(long, value_name = "SIZE", value_parser = budget_bytes, allow_negative_numbers = true)]
    pub budget: Option<u64>,

    /// Record the call paths of each thread separately
    #[arg(long)]
    pub threads: bool,

    /// Record child processes too, each in its own file (NAME-PID.heapsight); see 'heapsight merge'
    #[arg(long)]
    pub follow: bool,

    /// With --follow: at the end, combine the captures of all processes into NAME-all.heapsight and show its summary
    #[arg(long, requires = "follow")]
    pub merge: bool,

    /// Replace the tracemalloc module with heapsight.tracemalloc, which answers from the recording
    #[arg(long, conflicts_with = "sample")]
    pub replace_tracemalloc: bool,

    /// Write to the capture every MS milliseconds
    #[arg(long, value_name = "MS", default_value = "100", value_parser = tick_ms, allow_negative_numbers = true)]
    pub tick: u32,

    /// Number of entries in the summary at exit
    #[arg(
        short,
        long,
        visible_alias = "top",
        value_name = "N",
        default_value = "10",
        value_parser = count,
        allow_negative_numbers = true
    )]
    pub number: usize,

    /// List memory of imported code among the entries instead of as one line below them
    #[arg(long)]
    pub imports: bool,

    /// Do not print a summary at exit
    #[arg(short, long, conflicts_with = "number")]
    pub quiet: bool,

    /// Use colours in the summary [default: if standard error is a terminal]
    #[arg(long, overrides_with = "no_color")]
    color: bool,

    /// Do not use colours in the summary
    #[arg(long)]
    no_color: bool,

    /// Script to run and its arguments; SCRIPT may also be a directory or zip archive with a __main__.py, or '-' for
    /// standard input
    #[arg(value_names = ["SCRIPT", "ARGS"], num_args = 1.., trailing_var_arg = true)]
    pub script: Vec<OsString>,
}

impl RunOptions {
    /// Whether colours were asked for or ruled out.
    pub(crate) fn color(&self) -> Option<bool> {
        (self.color || self.no_color).then_some(self.color)
    }
}
