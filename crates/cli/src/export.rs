//! `heapsight export`.

use std::path::{Path, PathBuf};

use heapsight_analysis::Metric;
use heapsight_report::{ExportError, ExportOptions as What, Format, export as write};

use crate::args::ExportOptions;
use crate::console::Console;
use crate::failure::Failure;
use crate::files::Files;
use crate::output;
use crate::view::View;

/// Writes the capture in another format, beside it unless said otherwise.
pub(crate) fn export(
    options: &ExportOptions,
    files: &Files,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let select = &options.select;
    let when = select.when();
    let view = View::open(&options.capture, when, &select.filters(), files)?;
    view.must_know(&select.metric)?;
    if options.to.tells_all_metrics() {
        view.must_know(&Metric::ALL)?;
    }
    let what = What {
        metric: select.first_metric(),
        group_by: select.grouping(),
    };
    let path = match &options.output {
        Some(path) if path == Path::new("-") => {
            let mut bytes = Vec::new();
            write(&view.capture, options.to, &what, &mut bytes)
                .map_err(|error| failure(error, Path::new("-")))?;
            return console.print_bytes(&bytes);
        }
        Some(path) => path.clone(),
        None => beside(&options.capture, options.to),
    };
    output::write_whole(&path, options.force, |out| {
        write(&view.capture, options.to, &what, out).map_err(|error| failure(error, &path))
    })?;
    let shown = path.display().to_string();
    let open = options.to.how_to_open(&shown);
    console.print(&format!("Written  {shown}\nOpen     {open}\n"))
}

/// The capture's name with another ending.
fn beside(capture: &Path, format: Format) -> PathBuf {
    let is_ours = capture
        .extension()
        .is_some_and(|ending| ending == "heapsight");
    let mut name = if is_ours {
        capture.with_extension("").into_os_string()
    } else {
        capture.as_os_str().to_owned()
    };
    name.push(".");
    name.push(format.extension());
    PathBuf::from(name)
}

fn failure(error: ExportError, path: &Path) -> Failure {
    match error {
        ExportError::Io(source) => Failure::CannotWrite {
            path: path.to_path_buf(),
            source,
        },
        error @ ExportError::NotBuilt(_) => Failure::Usage(error.to_string()),
    }
}
