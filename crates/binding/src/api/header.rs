//! The header of a snapshot's file: this process's particulars.

use heapsight_capture::Header;
use heapsight_tracer::Config;
use pyo3::prelude::*;

/// Who is being traced, and how. The time is not filled in.
pub(crate) fn of_this_process(py: Python<'_>, config: &Config) -> Header {
    // A program may do to sys.argv what it likes: what is not a list of strings is left out.
    let argv: Vec<String> = py
        .import("sys")
        .and_then(|sys| sys.getattr("argv"))
        .and_then(|argv| argv.extract())
        .unwrap_or_default();
    let text = |path: std::io::Result<std::path::PathBuf>| {
        path.map_or_else(
            |_| String::new(),
            |path| path.to_string_lossy().into_owned(),
        )
    };
    Header {
        program: argv.first().cloned().unwrap_or_default(),
        argv,
        working_directory: text(std::env::current_dir()),
        python_version: python_version(),
        executable: text(std::env::current_exe()),
        platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        pid: std::process::id(),
        mode: config.mode(),
        by_thread: config.threads,
        heapsight_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Header::default()
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
