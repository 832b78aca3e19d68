//! `heapsight diff`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use heapsight_analysis::recording::{Moment, SeekTarget};
use heapsight_report::{DiffSelection, Side, diff as report};

use crate::args::DiffOptions;
use crate::console::Console;
use crate::failure::Failure;
use crate::files::Files;
use crate::view::View;

/// Shows what changed between two files, or between two moments of one.
pub(crate) fn diff(
    options: &DiffOptions,
    files: &Files,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let select = &options.select;
    let look = (console.out_look)(select.part.color());
    let filters = select.part.filters();
    select.group.must_be_of_call_paths()?;
    let default = select.part.at.unwrap_or(Moment::End);
    let sides = match (&options.files[..], select.part.range) {
        ([file], Some(SeekTarget::Between(from, to))) => {
            let path = PathBuf::from(file);
            [(path.clone(), from), (path, to)]
        }
        ([old, new], None) => [
            file_and_moment(old, default)?,
            file_and_moment(new, default)?,
        ],
        ([_], None) => {
            return Err(Failure::Usage(
                "give two files, or one and --range A..B for two of its moments".to_owned(),
            ));
        }
        _ => {
            return Err(Failure::Usage(
                "--range is for two moments of one file: give FILE@TIME for moments of two"
                    .to_owned(),
            ));
        }
    };
    let mut views = Vec::new();
    for (path, instant) in &sides {
        let view = View::open(path, SeekTarget::At(*instant), &filters, files)?;
        view.require_metrics(&select.metric)?;
        views.push(view);
    }
    let names: Vec<String> = views
        .iter()
        .map(|view| view.path.display().to_string())
        .collect();
    let side = |index: usize| Side {
        name: &names[index],
        capture: &views[index].capture,
        moment: views[index].moment,
    };
    let mut out = Vec::new();
    let metrics = match &select.metric[..] {
        [] => vec![select.first_metric()],
        metrics => metrics.to_vec(),
    };
    for metric in metrics {
        let imports = options.show.imports(views[1].capture.header.mode);
        let selection = DiffSelection {
            query: select.query(metric, imports),
            count: options.show.number,
            is_filtered: !filters.is_empty(),
        };
        out.push(report(side(0), side(1), &selection, &look));
    }
    console.print(&out.join("\n"))
}

/// `FILE@TIME` taken apart, unless there is a file of the whole name.
fn file_and_moment(text: &OsString, default: Moment) -> Result<(PathBuf, Moment), Failure> {
    let whole = || Ok((PathBuf::from(text), default));
    if Path::new(text).exists() {
        return whole();
    }
    let bytes = text.as_bytes();
    let Some(at) = bytes.iter().rposition(|byte| *byte == b'@') else {
        return whole();
    };
    let file = PathBuf::from(OsStr::from_bytes(&bytes[..at]));
    let moment = String::from_utf8_lossy(&bytes[at + 1..]);
    match Moment::parse(&moment) {
        Some(instant) => Ok((file, instant)),
        None if file.exists() => Err(Failure::NoFileNorMoment(
            PathBuf::from(text),
            moment.into_owned(),
        )),
        None => whole(),
    }
}
