//! `heapsight top`.

use std::io::ErrorKind;

use heapsight_analysis::apply_filters;
use heapsight_capture::{Capture, ReadError};
use heapsight_report::{Selection, summary};

use crate::args::TopOptions;
use crate::console::Console;
use crate::failure::Failure;

/// Shows each file in turn. All are read before the first is shown, so that a wrong name does not leave half an answer.
pub(crate) fn top(options: &TopOptions, console: &mut Console<'_>) -> Result<(), Failure> {
    let look = (console.out_look)(options.color());
    let mut selection = Selection {
        count: options.number,
        group_by: options.grouping(),
        cumulative: options.cumulative,
        ..Selection::default()
    };
    if !options.metric.is_empty() {
        selection.metrics.clone_from(&options.metric);
    }
    let filters = options.filters();
    let mut reports = Vec::new();
    for path in &options.files {
        let mut capture = Capture::open(path).map_err(|source| match source {
            ReadError::Io(error)
                if error.kind() == ErrorKind::NotFound && !looks_like_a_file(path) =>
            {
                Failure::NeitherCommandNorFile(path.clone())
            }
            source => Failure::Unreadable {
                path: path.clone(),
                source,
            },
        })?;
        apply_filters(&mut capture.tables, &filters);
        reports.push(summary(&capture, &selection, &look));
    }
    console.print(&reports.join("\n"))
}

/// Whether a missing `path` was meant as a file, not as a command.
fn looks_like_a_file(path: &std::path::Path) -> bool {
    path.extension().is_some() || path.components().count() > 1
}
