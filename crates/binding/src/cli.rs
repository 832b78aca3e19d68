//! The command line, for Python to call.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use pyo3::prelude::*;

/// Runs the command line and returns its exit status.
///
/// `command` is how the user called heapsight, word by word, without what follows. `heapsight run` replaces this
/// process, so it returns only if it failed. `preload` is the library for `--native`. `check_script(path)` gives
/// `"line: message"` for a script that does not compile, and `hand_over_problem()` says why a new interpreter could not
/// start tracing; both give None when all is well.
#[pyfunction]
fn cli_main(
    argv: Vec<OsString>,
    executable: PathBuf,
    command: Vec<OsString>,
    flags: Vec<OsString>,
    preload: PathBuf,
    check_script: &Bound<'_, PyAny>,
    hand_over_problem: &Bound<'_, PyAny>,
) -> PyResult<i32> {
    let syntax_check = |script: &Path| refusal(check_script.call1((script.as_os_str(),)));
    let hand_over_check = || refusal(hand_over_problem.call0());
    let context = heapsight_cli::Context {
        executable,
        command,
        flags,
        preload,
        python_version: python_version(),
        syntax_check: &syntax_check,
        hand_over_check: &hand_over_check,
    };
    Ok(heapsight_cli::main(&context, &argv))
}

/// What a check said: nothing when it returned None, else its text, or that of the exception it raised.
fn refusal(answer: PyResult<Bound<'_, PyAny>>) -> Result<(), String> {
    match answer.and_then(|text| text.extract::<Option<String>>()) {
        Ok(None) => Ok(()),
        Ok(Some(text)) => Err(text),
        Err(error) => Err(error.to_string()),
    }
}

/// `3.12.1`, as `platform.python_version()` has it.
pub(crate) fn python_version() -> String {
    let full = heapsight_tracer::running_version().text;
    full.split_ascii_whitespace()
        .next()
        .unwrap_or(&full)
        .to_owned()
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(cli_main, module)?)
}
