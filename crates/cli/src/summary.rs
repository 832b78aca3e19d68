//! What `heapsight run` prints when the program has ended.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use heapsight_analysis::Imports;
use heapsight_analysis::recording::{Recording, RecordingError};
use heapsight_handover::RunSpec;
use heapsight_report::{
    Look, Selection, children_line, combined_children_line, next_steps, summary,
};

use crate::relatives;

/// Why there is no summary. The program's own result is not touched by it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SummaryError {
    /// The capture cannot be read back.
    #[error(transparent)]
    Read(#[from] RecordingError),
    /// The summary cannot be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// Reads the finished capture at `path`, or the one that all processes were combined in, and writes the summary to
/// `out`, which is standard error: so it is written in the look of that. Writes nothing if `spec` asks for no summary;
/// a closed pipe is no error.
///
/// # Errors
/// When the capture cannot be read or the summary cannot be written.
pub(crate) fn exit_summary(
    spec: &RunSpec,
    path: &Path,
    combined: Option<&Path>,
    out: &mut dyn Write,
) -> Result<(), SummaryError> {
    let look = Look::of(&io::stderr(), spec.color);
    write_summary(spec, path, combined, out, &look)
}

fn write_summary(
    spec: &RunSpec,
    path: &Path,
    combined: Option<&Path>,
    out: &mut dyn Write,
    look: &Look,
) -> Result<(), SummaryError> {
    let Some(count) = spec.top else { return Ok(()) };
    let open = || File::open(combined.unwrap_or(path));
    let recording = Recording::read(open().map_err(RecordingError::from)?, None)?;
    let (Recording { capture, .. }, half) = recording.with_half(open)?;
    let selection = Selection {
        count,
        imports: Imports::for_people(capture.header.mode, spec.imports),
        ..Selection::default()
    };
    let first = if spec.output.is_absolute() {
        path
    } else {
        &spec.output
    };
    let all = RunSpec::combined(first);
    let shown = if combined.is_some() { &all } else { first };
    let mut text = format!(
        "\n{}\n{}",
        summary(&capture, &selection, half.as_ref(), look),
        next_steps(shown, &spec.command, look)
    );
    if spec.follow && !spec.is_child {
        let children = relatives::children(path, spec.run_id).len();
        text += &match combined {
            Some(_) => combined_children_line(children, look),
            None => children_line(children, first, &all, &spec.command, look),
        };
    }
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::tests::write_capture;

    /// The summary of a run whose output was named `run.heapsight`.
    pub(crate) fn text_of(path: &Path, look: &Look) -> String {
        let spec = RunSpec {
            output: "run.heapsight".into(),
            ..spec(Some(10))
        };
        let mut out = Vec::new();
        write_summary(&spec, path, None, &mut out, look).expect("readable");
        String::from_utf8(out).expect("UTF-8")
    }

    fn spec(top: Option<usize>) -> RunSpec {
        RunSpec {
            output: "small.heapsight".into(),
            frames: None,
            sample_bytes: None,
            budget_bytes: None,
            threads: false,
            native: false,
            tick_ms: 100,
            top,
            imports: false,
            color: None,
            command: "heapsight".into(),
            follow: false,
            merge: false,
            run_id: 0,
            is_child: false,
            replace_tracemalloc: false,
            script: None,
            summarizer: None,
            program: "app.py".into(),
            argv: Vec::new(),
        }
    }

    #[test]
    fn the_summary_ends_with_the_next_command() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = write_capture(folder.path());
        let mut out = Vec::new();
        write_summary(&spec(Some(1)), &path, None, &mut out, &Look::plain(80)).expect("readable");
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(
            text.starts_with("\napp.py, Python 3.13.1, 210 ms, 10 blocks allocated,"),
            "{text}"
        );
        let last = text.lines().last().expect("not empty");
        assert_eq!(
            last,
            "  Next           heapsight top --group-by function --cumulative small.heapsight"
        );
    }

    #[test]
    fn quiet_runs_have_no_summary() {
        let mut out = Vec::new();
        exit_summary(&spec(None), Path::new("/nonexistent"), None, &mut out)
            .expect("nothing is read");
        assert!(out.is_empty());
    }

    #[test]
    fn a_capture_that_is_gone_is_an_error_of_one_line() {
        let mut out = Vec::new();
        let error = exit_summary(&spec(Some(1)), Path::new("/nonexistent"), None, &mut out)
            .expect_err("gone");
        assert!(error.to_string().starts_with("No such file"), "{error}");
        assert!(out.is_empty());
    }
}
