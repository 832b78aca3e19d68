//! Bars on standard error for work that takes a while.

use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shorter work needs no bar.
const PATIENCE: Duration = Duration::from_millis(500);

/// Whether and where progress is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// Standard error of this process may be written to. It is not, unless it is a terminal.
    pub may_show: bool,
}

/// A source whose reading is shown once it has taken half a second.
pub(crate) struct Reading<R> {
    source: R,
    bar: ProgressBar,
    began: Instant,
    may_show: bool,
}

impl Progress {
    /// Watches the reading of a file of so many bytes.
    pub(crate) fn reading<R: Read>(&self, path: &Path, source: R, bytes: u64) -> Reading<R> {
        Reading {
            source,
            bar: hidden_bar(path, Some(bytes), "{msg} [{bar:30}] {bytes}/{total_bytes}"),
            began: Instant::now(),
            may_show: self.may_show,
        }
    }
}

/// A bar that names the file and is not shown yet.
fn hidden_bar(path: &Path, length: Option<u64>, template: &str) -> ProgressBar {
    let name = path.file_name().unwrap_or(path.as_os_str());
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::hidden())
        .with_message(format!("reading {}", name.to_string_lossy().escape_debug()));
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

impl<R: Read> Read for Reading<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.bar.inc(count as u64);
        if self.may_show && self.began.elapsed() > PATIENCE {
            self.may_show = false;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        Ok(count)
    }
}

impl<R> Drop for Reading<R> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_watched_is_read_unchanged_and_counted() {
        let progress = Progress { may_show: false };
        let bytes = vec![7; 100_000];
        let mut reading = progress.reading(Path::new("a\n.heapsight"), &bytes[..], 100_000);
        let mut read = Vec::new();
        reading.read_to_end(&mut read).expect("a slice can be read");
        assert_eq!(read, bytes);
        assert_eq!(reading.bar.position(), 100_000);
        assert_eq!(reading.bar.message(), "reading a\\n.heapsight");
        assert!(reading.bar.is_hidden());
    }
}
