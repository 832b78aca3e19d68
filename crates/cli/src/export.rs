//! `heapsight export`.

use std::ffi::OsStr;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use heapsight_analysis::Metric;
use heapsight_capture::Capture;
use heapsight_report::{
    ExportError, ExportOptions as What, Format, expected_bytes, export as write, format_size,
    shell_path, shell_quoted, written,
};

use crate::args::ExportOptions;
use crate::console::Console;
use crate::failure::Failure;
use crate::files::Files;
use crate::output;
use crate::view::View;

/// A file that is said to be large before it is written.
const HUGE_BYTES: u64 = 100 << 20;

/// Writes the capture in another format, beside it unless said otherwise.
pub(crate) fn export(
    options: &ExportOptions,
    files: &Files,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let part = &options.part;
    options.group.must_be_of_call_paths()?;
    if options.to == Format::Json && options.group.grouping().is_some() {
        return Err(Failure::Usage(
            "--group-by and --file are not for --to json, which has everything ungrouped: csv and parquet have a row \
             for each key"
                .to_owned(),
        ));
    }
    let view = View::open(&options.capture, part.when(), &part.filters(), files)?;
    view.require_metrics(options.metric.as_slice())?;
    if options.to.tells_all_metrics() {
        view.require_metrics(&Metric::ALL)?;
    }
    view.warn_of_what_is_missing(files);
    let what = What {
        metric: options.metric.unwrap_or_default(),
        group_by: options.group.grouping(),
    };
    let path = match &options.output {
        Some(path) => path.clone(),
        None => beside(&options.capture, options.to),
    };
    let expected = expected_bytes(&view.capture, options.to, &what);
    if let Some(bytes) = expected.filter(|bytes| *bytes >= HUGE_BYTES) {
        console.warn(&format!(
            "{} will have about {}, for every call path is spelled out in it: --group-by function, filters \
             (-i, -I, -x, -X) and the formats that are no text of stacks (pprof, firefox, parquet, csv, json) \
             make less",
            if path == Path::new("-") { "the output".into() } else { path.display().to_string() },
            format_size(bytes)
        ));
    }
    if path == Path::new("-") {
        return print(&view.capture, options.to, &what, console);
    }
    output::write_whole(&path, options.force, |out| {
        write(&view.capture, options.to, &what, out).map_err(|error| failure(error, &path))
    })?;
    let look = (console.out_look)(part.color());
    let open = how_to_open(options.to, &path);
    console.print(&written("Written", &path, ("Open", &open), &look))
}

/// Writes to standard output. A reader who has seen enough is no failure.
fn print(
    capture: &Capture,
    format: Format,
    what: &What,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let failed = |error| match error {
        ExportError::Io(error) => error.into(),
        error => failure(error, Path::new("-")),
    };
    if console.out_is_terminal {
        if !is_text(format) {
            return Err(Failure::Usage(format!(
                "{} is no text, and standard output is a terminal: give a file with -o, or a pipe",
                format.name()
            )));
        }
        let mut bytes = Vec::new();
        write(capture, format, what, &mut bytes).map_err(failed)?;
        return console.print_text_of_programs(&bytes);
    }
    let mut out = BufWriter::new(&mut console.out);
    match write(capture, format, what, &mut out).and_then(|()| Ok(out.flush()?)) {
        Err(ExportError::Io(error)) if error.kind() == ErrorKind::BrokenPipe => {
            // What is left must not be written when the buffer goes.
            drop(out.into_parts());
            Ok(())
        }
        result => result.map_err(failed),
    }
}

/// A command that opens the file, as a shell takes it.
fn how_to_open(format: Format, path: &Path) -> String {
    let quoted = shell_path(path);
    match format {
        // The name stands in quotes of SQL within those of the shell.
        Format::Parquet | Format::Csv if quoted.contains('\'') => {
            let name = path.to_string_lossy().replace('\'', "''");
            let query = shell_quoted(OsStr::new(&format!("FROM '{name}'")));
            format!("duckdb -c {query}")
        }
        _ => format.how_to_open(&quoted),
    }
}

/// Whether files of this format are lines of text.
fn is_text(format: Format) -> bool {
    match format {
        Format::Pprof | Format::Parquet => false,
        Format::Collapsed | Format::Speedscope | Format::Firefox | Format::Csv | Format::Json => {
            true
        }
    }
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
