//! `heapsight run`: checks, then becomes the program.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use heapsight_handover::{
    BUDGET_VARIABLE, LOOK, RUN_VARIABLE, RunSpec, SWITCH_VARIABLE, budget_bytes, new_run_id,
};
use heapsight_terminal::{RunError, check_terminal, end_as};

use crate::args::{Frames, RunOptions};
use crate::console::Console;
use crate::failure::Failure;
use crate::program::Program;
use crate::{Context, output};

/// Most bytes of the program's arguments that are recorded: one environment variable can hold 128 KiB.
const MOST_ARGUMENT_BYTES: usize = 16 * 1024;

/// Libraries that the loader loads before those of the program.
const LOADER_VARIABLE: &str = "LD_PRELOAD";

/// A program that is ready to start.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The interpreter with its arguments and environment.
    command: Command,
    /// The capture, created empty.
    output: PathBuf,
}

/// Checks everything that can be checked before the program starts, and creates the capture.
pub(crate) fn prepare(context: &Context<'_>, options: &RunOptions) -> Result<Prepared, Failure> {
    let (program, arguments) = Program::of(options)?;
    let script = program.check()?;
    let interpreter = (context.interpreter)().map_err(Failure::HandOver)?;
    let budget_bytes = match options.budget {
        Some(bytes) => Some(bytes),
        None => budget_of_environment()?,
    };
    let output = output_path(options, &program);
    let combined = RunSpec::combined(&output);
    if options.merge && !options.force && combined.exists() {
        return Err(Failure::FileExists(combined));
    }
    let libraries = options
        .native
        .then(|| preloaded(&interpreter.preload))
        .transpose()?;
    output::create(&output, options.force)?;
    let spec = RunSpec {
        output: output.clone(),
        frames: match options.frames {
            Frames::All => None,
            Frames::AtMost(limit) => Some(limit),
        },
        sample_bytes: options.sample,
        budget_bytes,
        threads: options.threads,
        native: options.native,
        tick_ms: options.tick,
        top: (!options.quiet).then_some(options.number),
        imports: options.imports,
        color: options.color(),
        command: context.shell_command(),
        follow: options.follow,
        merge: options.merge,
        run_id: new_run_id(),
        is_child: false,
        replace_tracemalloc: options.replace_tracemalloc,
        script,
        summarizer: std::env::current_exe().ok(),
        program: program.title(),
        argv: recorded_arguments(&program, arguments),
    };
    let value = spec
        .to_env_value()
        .map_err(|error| Failure::HandOver(error.to_string()))?;
    let mut command = Command::new(&interpreter.executable);
    command
        .args(&interpreter.flags)
        .args(program.words())
        .args(arguments)
        .env(RUN_VARIABLE, value);
    if std::env::var_os(SWITCH_VARIABLE).is_none() {
        command.env(SWITCH_VARIABLE, LOOK);
    }
    if let Some(libraries) = libraries {
        command.env(LOADER_VARIABLE, libraries);
    }
    Ok(Prepared { command, output })
}

/// The budget that [`BUDGET_VARIABLE`] asks for, if it does.
fn budget_of_environment() -> Result<Option<u64>, Failure> {
    let value = std::env::var_os(BUDGET_VARIABLE).filter(|value| !value.is_empty());
    let Some(value) = value else {
        return Ok(None);
    };
    let text = value.to_string_lossy();
    let bytes = budget_bytes(&text).map_err(|help| {
        Failure::BadValue(format!(
            "invalid value '{text}' for {BUDGET_VARIABLE}: {help}"
        ))
    })?;
    Ok(Some(bytes))
}

/// The libraries to be loaded before all others: ours, and then those that the user has there. It takes itself out of
/// this list again (`crates/native/preload/environment.rs`).
fn preloaded(library: &Path) -> Result<OsString, Failure> {
    let refuse = |problem: &str| {
        let path = library.display();
        Err(Failure::HandOver(format!(
            "--native cannot have {path} loaded: {problem}"
        )))
    };
    if !library.is_file() {
        return refuse("there is no such file; install heapsight again");
    }
    let name = library.as_os_str().as_bytes();
    if name.iter().any(|byte| matches!(byte, b':' | b' ')) {
        return refuse(
            "the loader takes no path with a blank or a colon in it; install heapsight elsewhere",
        );
    }
    let mut libraries = library.as_os_str().to_owned();
    if let Some(others) = std::env::var_os(LOADER_VARIABLE) {
        libraries.push(":");
        libraries.push(others);
    }
    Ok(libraries)
}

/// Replaces this process; returns only if that fails. The capture at `output` was made for nothing then, and goes.
pub(crate) fn exec_program(prepared: Prepared) -> Failure {
    let Prepared {
        mut command,
        output,
    } = prepared;
    let source = command.exec();
    remove_if_empty(&output);
    Failure::Exec {
        path: PathBuf::from(command.get_program()),
        source,
    }
}

/// Runs the program within a view; gives its status, or ends this process by the signal that killed it.
pub(crate) fn live(
    context: &Context<'_>,
    options: &RunOptions,
    console: &Console<'_>,
) -> Result<i32, Failure> {
    /// What else there is, without a terminal that can show it.
    const INSTEAD: &str =
        "leave --live out, and look at the capture with 'heapsight live' from another terminal";
    let no_view = |error| Failure::NoView(error, INSTEAD);
    check_terminal().map_err(no_view)?;
    let title = Program::of(options)?.0.title();
    let Prepared { command, output } = prepare(context, options)?;
    let program = PathBuf::from(command.get_program());
    let look = (console.out_look)(options.color());
    match heapsight_terminal::run(command, &output, &title, look) {
        Ok(status) => Ok(end_as(status)),
        Err(error) => {
            remove_if_empty(&output);
            Err(match error {
                RunError::Terminal(error) => no_view(error),
                RunError::Start(source) => Failure::Exec {
                    path: program,
                    source,
                },
            })
        }
    }
}

/// A capture that was made for nothing goes.
fn remove_if_empty(output: &Path) {
    if std::fs::metadata(output).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0) {
        let _ = std::fs::remove_file(output);
    }
}

/// Where the capture goes. The process id stays the same when this process becomes the program; with `--live` it is
/// that of the view.
fn output_path(options: &RunOptions, program: &Program<'_>) -> PathBuf {
    options.output.clone().unwrap_or_else(|| {
        PathBuf::from(format!(
            "heapsight-{}-{}.heapsight",
            program.file_name(),
            std::process::id()
        ))
    })
}

/// The arguments for the capture's header, cut if they are very long.
fn recorded_arguments(program: &Program<'_>, arguments: &[OsString]) -> Vec<String> {
    let mut left = MOST_ARGUMENT_BYTES;
    let mut recorded = vec![program.title()];
    for argument in arguments {
        let argument = argument.to_string_lossy();
        let Some(rest) = left.checked_sub(argument.len() + 1) else {
            recorded.push("…".to_owned());
            break;
        };
        left = rest;
        recorded.push(argument.into_owned());
    }
    recorded
}

#[cfg(test)]
mod tests;
