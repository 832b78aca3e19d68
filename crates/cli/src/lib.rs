//! The command line: `heapsight run`, and `live`, `top`, `tree`, `annotate`, `stats`, `diff`, `flamegraph`, `merge` and
//! `export` on what it wrote.
//!
//! Everything but Python itself: whoever calls passes in what only an interpreter knows (a [`Context`]) and gets an
//! exit status back. `heapsight run` never runs the program in this process: it checks its input, hands its settings
//! over in one environment variable ([`RunSpec`]), and replaces this process with a plain interpreter, so that the
//! program is `__main__` in the ordinary way. With `--live` that interpreter is a child, and this process shows it.
//! When the program has ended, its process has the command print the summary ([`at_exit()`]).
//!
//! # Exit statuses of heapsight itself
//!
//! | status | meaning |
//! |---|---|
//! | 0 | all is well |
//! | 1 | a file is not what it should be (a script with a syntax error, no capture), or tracing cannot start |
//! | 2 | the command cannot be carried out as given: an unknown option, one that the command has no use for, a wrong
//! value, no such file, an output that exists or cannot be created |
//! | 74 | input or output failed (a full disk) |
//!
//! Once the program has started, the status is the program's.
//!
//! # Example
//!
//! ```no_run
//! use heapsight_cli::Context;
//!
//! // Outside of an interpreter captures can be read, but no program can be run.
//! let context = Context {
//!     command: vec!["heapsight".into()],
//!     interpreter: &|| Err("there is no interpreter here".into()),
//!     python_version: &|| None,
//! };
//! let status = heapsight_cli::main(&context, &["top".into(), "app.heapsight".into()]);
//! std::process::exit(status);
//! ```
#![forbid(unsafe_code)]

mod annotate;
mod args;
mod at_exit;
mod console;
mod diff;
mod export;
mod failure;
mod files;
mod flamegraph;
mod live;
mod merge;
mod output;
mod process;
mod program;
mod progress;
mod relatives;
mod run;
mod stats;
mod summary;
mod top;
mod tree;
mod view;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

pub use at_exit::at_exit;

use args::{Arguments, Command};
use console::Console;
use failure::Failure;
use files::Files;
#[cfg(doc)]
use heapsight_handover::RunSpec;
use heapsight_report::shell_quoted;

/// What this process was called with, and what only an interpreter knows.
pub struct Context<'a> {
    /// The words that the user called heapsight with: `heapsight`, or `python3 -m heapsight`.
    pub command: Vec<OsString>,
    /// Finds the interpreter that runs programs; `Err` says in one line why none could be traced.
    pub interpreter: &'a dyn Fn() -> Result<Interpreter, String>,
    /// That interpreter's version, for example `3.13.1`.
    pub python_version: &'a dyn Fn() -> Option<String>,
}

/// An interpreter that heapsight is installed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// `sys.executable`.
    pub executable: PathBuf,
    /// Options to start it with, before those that name the program.
    pub flags: Vec<OsString>,
    /// The library that comes with heapsight there, for `--native` to have the loader load.
    pub preload: PathBuf,
}

impl Context<'_> {
    /// How the user called heapsight, as a shell reads it. A program that is the first of its name on the search path
    /// goes by that name.
    fn shell_command(&self) -> String {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let words: Vec<String> = match &self.command[..] {
            [program] => vec![shell_quoted(&called(program, &path))],
            words => words.iter().map(|word| shell_quoted(word)).collect(),
        };
        words.join(" ")
    }
}

/// The shortest word by which a shell with this search path finds `program`.
fn called(program: &OsStr, search_path: &OsStr) -> OsString {
    let path = Path::new(program);
    let (Some(name), Ok(own)) = (path.file_name(), path.canonicalize()) else {
        return program.to_owned();
    };
    let mut found = std::env::split_paths(search_path).map(|folder| folder.join(name));
    let first = found.find(|candidate| candidate.is_file());
    match first.and_then(|first| first.canonicalize().ok()) {
        Some(first) if first == own => name.to_owned(),
        _ => program.to_owned(),
    }
}

/// Carries out a command (`argv` without the program's name) and gives the exit status.
///
/// `heapsight run` replaces this process, and returns only when that failed; with `--live` it gives the program's
/// status, or dies of the signal that killed it.
#[must_use]
pub fn main(context: &Context<'_>, argv: &[OsString]) -> i32 {
    output::outlive_the_limit_of_file_size();
    run_command(context, argv, &mut Console::of_process())
}

fn run_command(context: &Context<'_>, argv: &[OsString], console: &mut Console<'_>) -> i32 {
    match execute(context, argv, console) {
        Ok(status) => status,
        Err(failure) => {
            console.report_failure(&failure);
            failure.status()
        }
    }
}

fn execute(
    context: &Context<'_>,
    argv: &[OsString],
    console: &mut Console<'_>,
) -> Result<i32, Failure> {
    let arguments =
        match Arguments::parse(argv, context.python_version, (console.out_look)(None).width) {
            Ok(arguments) => arguments,
            Err(answer) => return console.answer(&answer).map(|()| 0),
        };
    let files = Files::new(console.progress);
    let result = match arguments.command {
        Command::Run(options) if options.live => return run::live(context, &options, console),
        Command::Run(options) => Err(run::exec_program(run::prepare(context, &options)?)),
        Command::Top(options) => top::top(&options, &files, console),
        Command::Live(options) => live::live(&options, console),
        Command::Tree(options) => tree::tree(&options, &files, console),
        Command::Annotate(options) => annotate::annotate(&options, &files, console),
        Command::Stats(options) => stats::stats(&options, &files, console),
        Command::Diff(options) => diff::diff(&options, &files, console),
        Command::Flamegraph(options) => flamegraph::flamegraph(&options, &files, console),
        Command::Merge(options) => {
            merge::merge(&options, &context.shell_command(), &files, console)
        }
        Command::Export(options) => export::export(&options, &files, console),
    };
    if result.is_ok() {
        for warning in files.take_warnings() {
            console.warn(&warning);
        }
    }
    result.and_then(|()| files.refuse_incomplete()).map(|()| 0)
}

#[cfg(test)]
mod tests;
