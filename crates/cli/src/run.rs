//! `heapsight run`: checks, then becomes the program.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use heapsight_handover::{
    BUDGET_VARIABLE, LOOK, RUN_VARIABLE, RunSpec, SWITCH_VARIABLE, budget_bytes, new_run_id,
};

use crate::args::{Frames, RunOptions};
use crate::failure::Failure;
use crate::program::Program;
use crate::{Context, output};

/// Most bytes of the program's arguments that are recorded: one environment variable can hold 128 KiB.
const MOST_ARGUMENT_BYTES: usize = 16 * 1024;

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
        tick_ms: options.tick,
        top: (!options.quiet).then_some(options.top),
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

/// Replaces this process; returns only if that fails. The capture at `output` was made for nothing then, and goes.
pub(crate) fn exec_program(prepared: Prepared) -> Failure {
    let Prepared {
        mut command,
        output,
    } = prepared;
    let source = command.exec();
    if std::fs::metadata(&output).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0) {
        let _ = std::fs::remove_file(&output);
    }
    Failure::Exec {
        path: PathBuf::from(command.get_program()),
        source,
    }
}

/// Where the capture goes. The process id stays the same when this process becomes the program.
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
