//! `heapsight live`.

use std::fs::File;
use std::path::Path;

use heapsight_terminal::{LiveError, Watched, check_terminal, live as show};

use crate::args::LiveOptions;
use crate::console::Console;
use crate::failure::Failure;
use crate::files::named_file;
use crate::process::Process;

/// What else there is, where nothing can be drawn.
const INSTEAD: &str = "'heapsight top FILE' shows how far a capture is";

/// Shows a program as it runs, by the capture that it writes.
pub(crate) fn live(options: &LiveOptions, console: &Console<'_>) -> Result<(), Failure> {
    let path = Path::new(&options.target);
    let pid = options.target.to_str().and_then(|text| text.parse().ok());
    let (file, name, process) = match pid.filter(|_| !path.exists()) {
        Some(pid) => {
            let process = Process::find(pid)?;
            let (file, path) = process.capture()?;
            (file, title(&path, Some(pid)), Some(process))
        }
        None => (regular_file(path)?, title(path, None), None),
    };
    let no_view = |error| Failure::NoView(error, INSTEAD);
    check_terminal().map_err(no_view)?;
    let is_alive = || process.as_ref().is_some_and(Process::is_there);
    let watched = Watched {
        capture: file,
        name,
        is_alive: process.is_some().then_some(&is_alive),
    };
    let look = (console.out_look)(options.color());
    show(watched, look).map_err(|error| match error {
        LiveError::Terminal(error) => no_view(error),
        LiveError::Capture(source) => Failure::Unreadable {
            path: path.to_path_buf(),
            source,
        },
    })
}

/// What the view calls it.
fn title(path: &Path, pid: Option<u32>) -> String {
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    match pid {
        Some(pid) => format!("process {pid} ({name})"),
        None => name.into_owned(),
    }
}

/// A pipe would be read empty, and a folder has nothing to follow.
fn regular_file(path: &Path) -> Result<File, Failure> {
    let file = named_file(path)?;
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(file),
        _ => Err(Failure::BadValue(format!(
            "{} is no file: give a capture that a program is writing, or the id of its process",
            path.display()
        ))),
    }
}
