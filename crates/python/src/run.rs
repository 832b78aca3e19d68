//! What happens inside the process of `heapsight run`: recording begins at start-up and ends after the program.

use std::path::PathBuf;
use std::process;
use std::sync::{Mutex, PoisonError};

use heapsight_cli::RunSpec;
use heapsight_tracer::{Config, FrameLimit, recorder};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::{cli, exit};
use heapsight_tracer::descriptor::{Guarded, Identity};

/// A recording that is going on.
#[derive(Debug)]
pub(crate) struct ActiveRun {
    /// The process that records. A forked child inherits this value but must leave the file alone.
    pid: u32,
    /// What was asked for.
    pub(crate) spec: RunSpec,
    /// The capture, as an absolute path: the program may change directory.
    pub(crate) capture: PathBuf,
    /// Standard error at the start; `None` when it was closed.
    pub(crate) stderr: Option<Identity>,
}

impl ActiveRun {
    /// Whether this process is the one that records, and not a forked child of it.
    pub(crate) fn is_ours(&self) -> bool {
        self.pid == process::id()
    }
}

static ACTIVE: Mutex<Option<ActiveRun>> = Mutex::new(None);

/// Takes the recording out, so that it is ended once.
pub(crate) fn take_active() -> Option<ActiveRun> {
    ACTIVE.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Starts tracing and recording as `heapsight run` asked in `spec`.
///
/// # Errors
/// `RuntimeError` with one line saying what failed; nothing is traced then.
#[pyfunction]
fn run_begin(spec: &str) -> PyResult<()> {
    begin(spec).map_err(PyRuntimeError::new_err)
}

fn begin(spec: &str) -> Result<(), String> {
    let spec = RunSpec::from_env_value(spec).map_err(|error| error.to_string())?;
    let capture =
        std::path::absolute(&spec.output).map_err(|error| cannot_write(&spec.output, &error))?;
    let file = Guarded::create(&capture).map_err(|error| cannot_write(&capture, &error))?;
    let header = heapsight_cli::header_for_run(&spec, &cli::python_version());
    heapsight_tracer::start(&tracer_config(&spec)).map_err(|error| error.to_string())?;
    if let Err(error) = recorder::begin(file, &header, spec.tick()) {
        heapsight_tracer::stop();
        return Err(cannot_write(&capture, &error));
    }
    let run = ActiveRun {
        pid: process::id(),
        spec,
        capture,
        stderr: Identity::of_stderr(),
    };
    *ACTIVE.lock().unwrap_or_else(PoisonError::into_inner) = Some(run);
    Ok(())
}

fn tracer_config(spec: &RunSpec) -> Config {
    Config {
        frame_limit: match spec.frames {
            None => FrameLimit::All,
            Some(1) => FrameLimit::One,
            Some(frames) => FrameLimit::UpTo(frames),
        },
        sample_bytes: spec.sample_bytes,
        threads: spec.threads,
    }
}

fn cannot_write(path: &std::path::Path, error: &std::io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}

/// Writes the last tick and stops tracing; the summary is printed when the interpreter is done. Does nothing in a forked child.
#[pyfunction]
fn run_end() {
    exit::end_recording();
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(run_begin, module)?)?;
    module.add_function(wrap_pyfunction!(run_end, module)?)
}
