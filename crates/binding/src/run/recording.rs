//! What happens inside the process of `heapsight run`: recording begins at start-up and ends after the program.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, PoisonError};

use heapsight_edge::or_memory_error;
use heapsight_handover::{RunSpec, header_for_run};
use heapsight_report::{message, printable};
use heapsight_tracer::{Config, FrameLimit, recorder};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::api::header::python_version;
use crate::run::exit;
use crate::run::last_tick;
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
    /// Which file that was at the start: device and number.
    file: Option<(u64, u64)>,
    /// Standard error at the start; `None` when it was closed.
    pub(crate) stderr: Option<Identity>,
}

impl ActiveRun {
    /// Whether this process is the one that records, and not a forked child of it.
    pub(crate) fn is_ours(&self) -> bool {
        self.pid == process::id()
    }

    /// Whether the capture's name is still that of the file that was written.
    pub(crate) fn is_in_place(&self) -> bool {
        file_number(&self.capture) == self.file
    }
}

fn file_number(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

static ACTIVE: Mutex<Option<ActiveRun>> = Mutex::new(None);

/// Takes the recording out, so that it is ended once.
pub(crate) fn take_active() -> Option<ActiveRun> {
    ACTIVE.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Whether this process is recorded. Takes no lock that another thread of a forked child's parent may have held.
pub(crate) fn is_recorded() -> bool {
    let active = ACTIVE.try_lock();
    active.is_ok_and(|active| active.as_ref().is_some_and(ActiveRun::is_ours))
}

/// Whether the recording is to answer for the interpreter's own tracer as well.
#[pyfunction]
fn run_replaces_tracemalloc() -> bool {
    let active = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner);
    active
        .as_ref()
        .is_some_and(|run| run.is_ours() && run.spec.replace_tracemalloc)
}

/// Whether this process is recorded, and its children are to be too.
pub(crate) fn is_following() -> bool {
    let active = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner);
    active
        .as_ref()
        .is_some_and(|run| run.is_ours() && run.spec.follow)
}

/// The script that must compile before the recording of `spec` begins; None when Python itself says what is wrong.
///
/// # Errors
/// `RuntimeError` when `heapsight run` did not write `spec`.
#[pyfunction]
#[or_memory_error]
fn run_script(spec: &str) -> PyResult<Option<OsString>> {
    let spec = RunSpec::from_env_value(spec);
    let spec = spec.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    Ok(spec.script.map(OsString::from)) // not a path: that would import pathlib into the program
}

/// Ends this process, in which nothing has run yet, because the script of `spec` does not compile: one line, and the
/// capture that was made for it goes.
#[pyfunction]
fn run_refuse(spec: &str, problem: &str) {
    if let Ok(spec) = RunSpec::from_env_value(spec) {
        let script = spec.script.unwrap_or_default();
        eprintln!("{}", message(&format!("{}:{problem}", script.display())));
        let is_empty = |metadata: std::fs::Metadata| metadata.is_file() && metadata.len() == 0;
        if std::fs::metadata(&spec.output).is_ok_and(is_empty) {
            let _ = std::fs::remove_file(&spec.output);
        }
    }
    process::exit(1);
}

/// Starts tracing and recording as `heapsight run` asked in `spec`. `argv` is `sys.argv` of this process: a followed
/// child's own. Returns what the children are to find in `HEAPSIGHT_RUN`; None when they are not followed.
///
/// # Errors
/// `RuntimeError` with one line saying what failed; nothing is traced then.
#[pyfunction]
#[or_memory_error]
fn run_begin(py: Python<'_>, spec: &str, argv: Vec<OsString>) -> PyResult<Option<String>> {
    let for_children = begin(spec, argv).map_err(PyRuntimeError::new_err)?;
    say_what_is_not_seen();
    if heapsight_tracer::configuration().threads {
        // Without it threads have the names that the system knows.
        let _ = py
            .import("heapsight._threads")
            .and_then(|threads| threads.call_method0("follow_names"));
    }
    last_tick::arrange(py);
    // The module notes what the actions are when it is imported: plain Python does so before it runs anything.
    if py.import("_signal").is_ok() {
        heapsight_tracer::arrange_last_tick();
    }
    Ok(for_children)
}

fn begin(spec: &str, argv: Vec<OsString>) -> Result<Option<String>, String> {
    let mut spec = RunSpec::from_env_value(spec).map_err(|error| error.to_string())?;
    if spec.is_child && !argv.is_empty() {
        // For people: bytes that are no text may look otherwise.
        spec.argv = argv
            .iter()
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect();
        spec.program.clone_from(&spec.argv[0]);
    }
    let (capture, first) = paths(&spec)?;
    let file = Guarded::create(&capture).map_err(|error| cannot_write(&capture, &error))?;
    if spec.budget_bytes.is_some() {
        heapsight_tracer::set_budget(spec.budget_bytes);
    }
    heapsight_tracer::start_session(&tracer_config(&spec)).map_err(|error| error.to_string())?;
    let children = spec.for_children(&first);
    if let Err(error) = record(spec, capture, file) {
        heapsight_tracer::stop_session();
        return Err(error);
    }
    let value = children.map(|children| children.to_env_value());
    value.transpose().map_err(|error| error.to_string())
}

/// Tells if native memory was asked for, and the library for it is not in this process.
fn say_what_is_not_seen() {
    if heapsight_tracer::configuration().native && !heapsight_tracer::native_is_seen() {
        let text =
            "libheapsight_preload.so was not loaded (see LD_PRELOAD): native memory is not traced";
        let _ = writeln!(io::stderr(), "{}", message(text));
    }
}

/// This process's capture, and that of the first process, as absolute paths: the program may change directory.
fn paths(spec: &RunSpec) -> Result<(PathBuf, PathBuf), String> {
    let first =
        std::path::absolute(&spec.output).map_err(|error| cannot_write(&spec.output, &error))?;
    if !spec.is_child {
        return Ok((first.clone(), first));
    }
    let own = spec.create_child_output();
    let own = own.map_err(|error| cannot_write(&first, &error))?;
    Ok((own, first))
}

/// For the recorder, which never takes the GIL itself. Not by a pending call: without the GIL, interpreters before 3.12
/// put it into the queue of whatever interpreter runs, and a main thread that is alone does not look there.
fn put_hooks_back() {
    // Asked again here, where the thread attaches itself: it may have waited since the recorder asked.
    if !heapsight_tracer::attaching_is_safe() {
        return; // the recorder looks again
    }
    // None when the interpreter has ended: then nothing is traced any more.
    let _ = Python::try_attach(|_| heapsight_tracer::put_hooks_back());
}

/// Starts writing to `file`, and remembers that this process does.
fn record(spec: RunSpec, capture: PathBuf, file: Guarded) -> Result<(), String> {
    let header = header_for_run(&spec, &python_version());
    recorder::begin(file, &header, spec.tick(), Some(put_hooks_back))
        .map_err(|error| cannot_write(&capture, &error))?;
    let run = ActiveRun {
        pid: process::id(),
        spec,
        file: file_number(&capture),
        capture,
        stderr: Identity::of_stderr(),
    };
    *ACTIVE.lock().unwrap_or_else(PoisonError::into_inner) = Some(run);
    Ok(())
}

/// In a forked child: records it into a file of its own, if children are followed. Only what the child allocates itself
/// counts: what it inherited is in its parent's file. Returns one line if that fails; the child then goes on untraced.
#[pyfunction]
#[or_memory_error]
fn run_follow_fork() -> Option<String> {
    // Another thread of the parent may have held the lock: that thread is not here to give it back.
    let parent = {
        let active = ACTIVE.try_lock().ok()?;
        let run = active.as_ref().filter(|run| !run.is_ours())?;
        let first = match run.spec.is_child {
            true => run.spec.output.clone(),
            false => run.capture.clone(),
        };
        run.spec.for_children(&first)?
    };
    heapsight_tracer::clear_session();
    let (capture, _) = match paths(&parent) {
        Ok(paths) => paths,
        Err(error) => return Some(error),
    };
    let file = match Guarded::create(&capture) {
        Ok(file) => file,
        Err(error) => return Some(cannot_write(&capture, &error)),
    };
    record(parent, capture, file).err()
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
        native: spec.native,
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> String {
    // It contains a file name, which must not control the terminal where the message is shown.
    printable(&format!("cannot write {}: {error}", path.display()), true)
}

/// Gives the calling thread the name under which a recording keeps its memory, if threads are kept apart.
#[pyfunction]
fn name_thread(name: &str) {
    heapsight_tracer::name_thread(name);
}

/// Writes the last tick and stops tracing; the summary is printed when the interpreter is done. Does nothing in a
/// forked child.
#[pyfunction]
fn run_end(py: Python<'_>) {
    exit::end_recording(py);
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(run_script, module)?)?;
    module.add_function(wrap_pyfunction!(run_refuse, module)?)?;
    module.add_function(wrap_pyfunction!(run_begin, module)?)?;
    module.add_function(wrap_pyfunction!(run_follow_fork, module)?)?;
    module.add_function(wrap_pyfunction!(run_replaces_tracemalloc, module)?)?;
    module.add_function(wrap_pyfunction!(name_thread, module)?)?;
    module.add_function(wrap_pyfunction!(run_end, module)?)
}
