//! What a recorded process has the command do when the program has ended.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use heapsight_handover::{RUN_VARIABLE, RunSpec, SUMMARIZE};
use heapsight_report::message;

use crate::merge::merge_at_exit;
use crate::output::outlive_the_limit_of_file_size;
use crate::summary::exit_summary;

/// If `argv` asks for it: combines the captures of all processes where the run was to, and prints the summary on
/// standard error. Gives the exit status then. Nothing that fails here is more than a line: the program's own result
/// stands.
#[must_use]
pub fn at_exit(argv: &[OsString]) -> Option<i32> {
    let [word, capture] = argv else { return None };
    if word != SUMMARIZE {
        return None;
    }
    outlive_the_limit_of_file_size();
    let value = std::env::var(RUN_VARIABLE).unwrap_or_default();
    // There is nobody to tell if writing fails.
    let mut stderr = io::stderr().lock();
    match RunSpec::from_env_value(&value) {
        Ok(spec) => summarize(&spec, Path::new(capture), &mut stderr),
        Err(error) => {
            let _ = writeln!(stderr, "{}", message(&error.to_string()));
        }
    }
    Some(0)
}

fn summarize(spec: &RunSpec, capture: &Path, stderr: &mut dyn Write) {
    let combined = match merge_at_exit(spec, capture) {
        Some(Ok(combined)) => Some(combined),
        Some(Err(reason)) => {
            let text = format!("the captures are not combined: {reason}");
            let _ = writeln!(stderr, "{}", message(&text));
            None
        }
        None => None,
    };
    if let Err(error) = exit_summary(spec, capture, combined.as_deref(), stderr) {
        let text = format!("no summary of {}: {error}", capture.display());
        let _ = writeln!(stderr, "{}", message(&text));
    }
}
