//! `heapsight flamegraph`.

use std::io::{self, BufWriter, ErrorKind, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use heapsight_analysis::recording::{Half, Moment, Recording, RecordingError, SeekTarget};
use heapsight_analysis::{ColumnLimits, Columns};
use heapsight_capture::Capture;
use heapsight_capture::model::SiteId;
use heapsight_report::{PageOptions, PageSide, page, shell_path, written};

use crate::args::FlamegraphOptions;
use crate::console::Console;
use crate::failure::Failure;
use crate::files::{Files, Opened};
use crate::output;
use crate::view::{unreadable, warn_of_what_is_missing};

/// Commands that open a page, in the order in which they are tried. `BROWSER` comes first, where it is set.
const OPENERS: [&str; 4] = ["xdg-open", "wslview", "sensible-browser", "open"];

/// A recording and what happened over time.
struct Followed {
    name: String,
    capture: Capture,
    columns: Columns,
    sites: Option<Vec<SiteId>>,
    half: Option<Half>,
}

impl Followed {
    fn read(path: &Path, kept_ns: &[u64], files: &Files) -> Result<Self, Failure> {
        let Opened {
            first,
            mut file,
            bytes,
            ..
        } = files.open(path)?;
        let modified = file.metadata().and_then(|of| of.modified()).ok();
        let whole = io::Read::chain(first, files.progress.get().reading(path, &mut file, bytes));
        let mut columns = Columns::new(ColumnLimits::default(), kept_ns);
        let (recording, sites) = Recording::follow(whole, modified, &mut columns)
            .map_err(|error| unreadable(path, error))?;
        let capture = recording.capture;
        let file = &mut file;
        let again = move || {
            file.rewind()?;
            Ok(files.progress.get().reading(path, file, bytes))
        };
        let half = Half::read(&capture, sites.as_deref(), again)
            .map_err(|error| unreadable(path, error))?;
        let missing = capture.incomplete();
        if let Some(what) = missing.filter(|_| capture.header.tick_ms == 0) {
            files.found_incomplete(path, what);
        }
        warn_of_what_is_missing(path, &capture, files);
        Ok(Self {
            name: name(path, &capture),
            capture,
            columns,
            sites,
            half,
        })
    }

    fn side(&self) -> PageSide<'_> {
        PageSide {
            name: &self.name,
            capture: &self.capture,
            columns: (!self.capture.knows_ends_only()).then_some(&self.columns),
            sites: self.sites.as_deref(),
            half: self.half.as_ref(),
        }
    }
}

/// What a page calls a recording: the name of its file.
fn name(path: &Path, capture: &Capture) -> String {
    match path.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => capture.header.program.clone(),
    }
}

/// Writes the page of a capture, beside it unless said otherwise.
pub(crate) fn flamegraph(
    options: &FlamegraphOptions,
    files: &Files,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let paths: Vec<PathBuf> = options.files.iter().map(PathBuf::from).collect();
    let (new_path, old_path) = match &paths[..] {
        [old, new] => (new, Some(old)),
        _ => (&paths[0], None),
    };
    if old_path.is_some() && options.range.is_some() {
        return Err(Failure::Usage(
            "--range is for two moments of one file".to_owned(),
        ));
    }
    let path = match &options.output {
        Some(path) => path.clone(),
        None => beside(new_path),
    };
    let is_printed = path == Path::new("-");
    if is_printed && options.open {
        return Err(Failure::Usage(
            "--open needs a file: give another name than '-' with -o".to_owned(),
        ));
    }
    if is_printed && console.out_is_terminal {
        return Err(Failure::Usage(
            "a page is nothing to read on a terminal: give a file with -o, or a pipe".to_owned(),
        ));
    }
    // Before a long file is read.
    if !is_printed && !options.force && path.exists() {
        return Err(Failure::FileExists(path));
    }
    let kept_ns: Vec<u64> = moments(options.range)
        .into_iter()
        .flatten()
        .filter_map(|moment| match moment {
            Moment::At(elapsed_ns) => Some(elapsed_ns),
            Moment::Start | Moment::Peak | Moment::End => None,
        })
        .collect();
    let old = old_path
        .map(|path| Followed::read(path, &[], files))
        .transpose()?;
    let new = Followed::read(new_path, &kept_ns, files)?;
    let what = PageOptions {
        source: !options.no_source,
        span: span(options.range, &new, new_path)?,
        ..PageOptions::default()
    };
    let (new, old) = (new.side(), old.as_ref().map(Followed::side));
    if is_printed {
        let mut out = BufWriter::new(&mut console.out);
        let result = page(new, old, &what, &mut out).and_then(|_| out.flush());
        return match result {
            // A reader who has seen enough is no failure; what is left must not be written when the buffer goes.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                drop(out.into_parts());
                Ok(())
            }
            result => Ok(result?),
        };
    }
    let mut losses = Vec::new();
    output::write_whole(&path, options.force, |out| {
        losses = page(new, old, &what, out).map_err(|source| Failure::CannotWrite {
            path: path.clone(),
            source,
        })?;
        Ok(())
    })?;
    for loss in losses {
        files.warn(loss);
    }
    let look = (console.out_look)(None);
    if options.open {
        open(&path, console);
    }
    let command = format!("xdg-open {}", shell_path(&path));
    console.print(&written("Written", &path, ("Open", &command), &look))
}

/// The two moments of a span.
fn moments(range: Option<SeekTarget>) -> [Option<Moment>; 2] {
    match range {
        Some(SeekTarget::Between(from, to)) => [Some(from), Some(to)],
        Some(SeekTarget::At(_)) | None => [None, None],
    }
}

/// The span in nanoseconds since the start, from tick to tick.
fn span(
    range: Option<SeekTarget>,
    new: &Followed,
    path: &Path,
) -> Result<Option<(u64, u64)>, Failure> {
    let [Some(from), Some(to)] = moments(range) else {
        return Ok(None);
    };
    if new.capture.knows_ends_only() {
        return Err(unreadable(path, RecordingError::EndsOnly));
    }
    let time = |moment: Moment| match moment {
        Moment::Start => 0,
        Moment::Peak => new.capture.peak().map_or(0, |(elapsed_ns, _)| elapsed_ns),
        Moment::End => new.capture.totals_until_ns(),
        Moment::At(elapsed_ns) => elapsed_ns,
    };
    match (time(from), time(to)) {
        (from, to) if from > to => Err(unreadable(path, RecordingError::OutOfOrder)),
        span => Ok(Some(span)),
    }
}

/// The capture's name with another ending.
fn beside(capture: &Path) -> PathBuf {
    let is_ours = capture
        .extension()
        .is_some_and(|ending| ending == "heapsight");
    let mut name = match is_ours {
        true => capture.with_extension("").into_os_string(),
        false => capture.as_os_str().to_owned(),
    };
    name.push(".html");
    PathBuf::from(name)
}

/// Shows the page. That nothing here can show one is no failure: the page is written.
fn open(path: &Path, console: &mut Console<'_>) {
    let own = std::env::var_os("BROWSER").filter(|own| !own.is_empty());
    let others = OPENERS.iter().map(Into::into);
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    for opener in own.into_iter().chain(others) {
        let mut command = Command::new(&opener);
        command.arg(&path);
        // A browser in this terminal would say things here as long as it runs.
        let silent = [Stdio::null(), Stdio::null(), Stdio::null()];
        let [input, output, errors] = silent;
        if command
            .stdin(input)
            .stdout(output)
            .stderr(errors)
            .spawn()
            .is_ok()
        {
            return;
        }
    }
    console.warn("no browser was found to open the page in: set BROWSER to one");
}
