//! Lines of the program's source, while it is what ran.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use heapsight_capture::Capture;

use crate::text::printable;

/// Larger files are not source that somebody wrote.
const MAX_FILE_BYTES: u64 = 8 << 20;

/// Why the lines of a file cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSource {
    /// The name is not that of a file: `<string>`, a device.
    #[error("is no file")]
    NoFile,
    /// There is no such file here, or it cannot be read.
    #[error("cannot be read here")]
    Missing,
    /// It is not what ran.
    #[error("was changed after the recording")]
    Changed,
}

/// Looks up source lines; each file is read once.
#[derive(Debug)]
pub struct Source {
    working_directory: PathBuf,
    /// Files changed after this moment are not what ran.
    recorded_until: SystemTime,
    files: HashMap<String, Result<Vec<String>, NoSource>>,
}

impl Source {
    /// Of the program that `capture` is a recording of.
    #[must_use]
    pub fn of(capture: &Capture) -> Self {
        let elapsed_ns = capture.timeline.last().map_or(0, |point| point.elapsed_ns);
        let until = capture.header.start_unix_ns.saturating_add(elapsed_ns);
        Self::new(&capture.header.working_directory, until)
    }

    /// For a program that started in `working_directory` and ran until `until_unix_ns`.
    fn new(working_directory: &str, until_unix_ns: u64) -> Self {
        Self {
            working_directory: PathBuf::from(working_directory),
            recorded_until: UNIX_EPOCH + Duration::from_nanos(until_unix_ns),
            files: HashMap::new(),
        }
    }

    /// The line without its indentation, or `None` when the file cannot be read, was changed since, or has no such
    /// line, or an empty one.
    pub(crate) fn line(&mut self, filename: &str, line: u32) -> Option<String> {
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        let text = self.lines(filename).ok()?.get(index)?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// All lines of a file, as they are.
    ///
    /// # Errors
    /// When they are not what ran, or are not to be had.
    pub fn lines(&mut self, filename: &str) -> Result<&[String], NoSource> {
        if !self.files.contains_key(filename) {
            let lines = self.read(filename);
            self.files.insert(filename.to_owned(), lines);
        }
        match &self.files[filename] {
            Ok(lines) => Ok(lines),
            Err(why) => Err(*why),
        }
    }

    /// Takes the lines of `filename` from another file from now on: the recording may be of another machine.
    pub fn take_from(&mut self, filename: &str, path: &Path) {
        let lines = self.read_file(path);
        self.files.insert(filename.to_owned(), lines);
    }

    fn read(&self, filename: &str) -> Result<Vec<String>, NoSource> {
        // Names such as `<string>` or `<frozen os>` are not files, even where one happens to exist.
        if filename.is_empty() || filename.starts_with('<') {
            return Err(NoSource::NoFile);
        }
        self.read_file(&self.working_directory.join(Path::new(filename)))
    }

    fn read_file(&self, path: &Path) -> Result<Vec<String>, NoSource> {
        let missing = |_| NoSource::Missing;
        let metadata = std::fs::metadata(path).map_err(missing)?;
        // Opening a named pipe would wait for somebody to write.
        if !metadata.is_file() {
            return Err(NoSource::NoFile);
        }
        if metadata.modified().map_err(missing)? > self.recorded_until {
            return Err(NoSource::Changed);
        }
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(missing)?;
        file.take(MAX_FILE_BYTES)
            .read_to_end(&mut bytes)
            .map_err(missing)?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.lines().map(str::to_owned).collect())
    }
}

/// Characters of a line that are shown.
const LONGEST_LINE: usize = 400;

/// Columns of a tabulator.
const TAB: &str = "    ";

/// A line with its indentation, safe to show, cut if it is very long.
pub(crate) fn shown_line(line: &str) -> String {
    let end = line.char_indices().nth(LONGEST_LINE).map(|(at, _)| at);
    let kept = line[..end.unwrap_or(line.len())].trim_end();
    let mut shown = printable(&kept.replace('\t', TAB), true);
    if end.is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(name: &str, text: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join(name), text).expect("the folder is writable");
        folder
    }

    fn source(folder: &tempfile::TempDir, until_unix_ns: u64) -> Source {
        Source::new(folder.path().to_str().expect("UTF-8"), until_unix_ns)
    }

    #[test]
    fn a_line_is_found_relative_to_the_working_directory_and_trimmed() {
        let folder = write("a.py", b"import os\n    x = [\xff]\n\n");
        let mut source = source(&folder, u64::MAX);
        assert_eq!(source.line("a.py", 1).as_deref(), Some("import os"));
        assert_eq!(source.line("a.py", 2).as_deref(), Some("x = [\u{fffd}]"));
        for line in [0, 3, 4, u32::MAX] {
            assert_eq!(source.line("a.py", line), None);
        }
        assert_eq!(source.line("missing.py", 1), None);
        assert_eq!(source.lines("missing.py"), Err(NoSource::Missing));
        source.take_from("missing.py", &folder.path().join("a.py"));
        assert_eq!(source.line("missing.py", 1).as_deref(), Some("import os"));
    }

    #[test]
    fn a_file_that_changed_after_the_recording_is_not_shown() {
        let folder = write("a.py", b"import os\n");
        assert_eq!(source(&folder, 1).line("a.py", 1), None);
        assert_eq!(source(&folder, 1).lines("a.py"), Err(NoSource::Changed));
    }

    #[test]
    fn a_shown_line_keeps_its_indentation_and_nothing_that_is_not_text() {
        assert_eq!(shown_line("\tx = 1  "), "    x = 1");
        assert_eq!(shown_line("a\x1b[31m\u{202e}b"), "a\\u{1b}[31m\\u{202e}b");
        let long = shown_line(&"x".repeat(10_000));
        assert_eq!(long.chars().count(), LONGEST_LINE + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn what_is_not_a_source_file_is_not_opened() {
        let folder = write("<string>", b"import os\n");
        let mut source = source(&folder, u64::MAX);
        assert_eq!(source.line("<string>", 1), None);
        assert_eq!(source.line(".", 1), None);
        for name in ["<string>", ".", ""] {
            assert_eq!(source.lines(name), Err(NoSource::NoFile), "{name:?}");
        }
    }
}
