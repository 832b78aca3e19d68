//! Filters by file and line: which call paths to keep.

mod pattern;
mod sites;

pub use sites::{apply_filters, apply_shown_filters};

use pattern::Pattern;

/// Keeps or drops what a file name pattern and a line match.
///
/// A file that is not known matches no pattern. Every `match_…` says whether the thing is to be *kept* according to
/// this filter alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Keep what matches, and drop the rest (`true`), or the other way round.
    pub include: bool,
    /// Only this line; `None` or less than 1: any.
    pub line: Option<i64>,
    /// Look at every frame of a call path rather than at the most recent only.
    pub any_frame: bool,
    pattern: Pattern,
    /// Whether names are matched as reports show them.
    as_shown: bool,
}

impl Filter {
    /// A filter on files that match `pattern`: `*` stands for any characters, none included; a trailing `.pyc` or
    /// `.pyo` is read as `.py`. On Windows case does not matter and `/` equals `\`.
    #[must_use]
    pub fn new(include: bool, pattern: &str, line: Option<i64>, any_frame: bool) -> Self {
        Self {
            include,
            line,
            any_frame,
            pattern: Pattern::new(pattern),
            as_shown: false,
        }
    }

    /// A filter that also takes names as reports show them, for people: `store.py`, `cache/store.py`,
    /// `…/cache/store.py` and `myapp/cache` match `/srv/myapp/cache/store.py`. A pattern with a `*` matches the name as
    /// shown, or the whole name.
    #[must_use]
    pub fn as_shown(include: bool, pattern: &str, line: Option<i64>, any_frame: bool) -> Self {
        Self {
            as_shown: true,
            ..Self::new(include, pattern, line, any_frame)
        }
    }

    /// The pattern as given.
    #[must_use]
    pub fn pattern(&self) -> &str {
        self.pattern.as_given()
    }

    /// Whether a frame in this file is kept, on any line.
    #[must_use]
    pub fn match_filename(&self, filename: Option<&str>) -> bool {
        self.matches_filename(filename) == self.include
    }

    /// Whether this line is kept, in a file that matches. A filter without a line keeps all, an excluding one too.
    #[must_use]
    pub fn match_line(&self, line: Option<i64>) -> bool {
        match self.wanted_line() {
            None => true,
            wanted => (line == wanted) == self.include,
        }
    }

    /// Whether a frame is kept.
    #[must_use]
    pub fn match_frame(&self, filename: Option<&str>, line: Option<i64>) -> bool {
        let hit = self.matches_filename(filename) && self.matches_line(line);
        hit == self.include
    }

    fn matches_filename(&self, filename: Option<&str>) -> bool {
        filename.is_some_and(|filename| self.pattern.matches(filename))
    }

    /// Whether the pattern matches this name in a report on a program that started in `working_directory`, on any line.
    #[must_use]
    pub fn matches_in_report(&self, filename: &str, working_directory: &str) -> bool {
        if self.as_shown {
            self.pattern.matches_as_shown(filename, working_directory)
        } else {
            self.pattern.matches(filename)
        }
    }

    fn matches_line(&self, line: Option<i64>) -> bool {
        self.wanted_line().is_none_or(|wanted| line == Some(wanted))
    }

    fn wanted_line(&self) -> Option<i64> {
        self.line.filter(|line| *line >= 1)
    }

    /// Whether a call path is kept. `frames` are (file, line), most recent first.
    #[must_use]
    pub fn match_path<'f>(
        &self,
        frames: impl IntoIterator<Item = (Option<&'f str>, Option<i64>)>,
    ) -> bool {
        let mut frames = frames.into_iter();
        let matches = |(filename, line)| self.matches_filename(filename) && self.matches_line(line);
        let hit = if self.any_frame {
            frames.any(matches)
        } else {
            frames.next().is_some_and(matches)
        };
        hit == self.include
    }
}

/// Whether filters together keep something, given what each alone says of it: no including filter exists or one of them
/// keeps it, and no excluding filter drops it.
pub fn keep<'f>(verdicts: impl IntoIterator<Item = (&'f Filter, bool)>) -> bool {
    let (mut any_include, mut included) = (false, false);
    for (filter, kept) in verdicts {
        if filter.include {
            any_include = true;
            included |= kept;
        } else if !kept {
            return false;
        }
    }
    included || !any_include
}

#[cfg(test)]
mod tests {
    use super::*;

    fn include(pattern: &str, line: Option<i64>) -> Filter {
        Filter::new(true, pattern, line, false)
    }

    fn exclude(pattern: &str, line: Option<i64>) -> Filter {
        Filter::new(false, pattern, line, false)
    }

    #[test]
    fn an_including_filter_keeps_what_matches_file_and_line() {
        let filter = include("a*.py", Some(5));
        assert!(filter.match_frame(Some("abc.py"), Some(5)));
        assert!(!filter.match_frame(Some("abc.py"), Some(6)));
        assert!(!filter.match_frame(Some("bbc.py"), Some(5)));
        assert!(!filter.match_frame(Some("abc.py"), None));
    }

    #[test]
    fn an_excluding_filter_drops_only_what_matches_file_and_line() {
        let filter = exclude("abc.py", Some(5));
        assert!(!filter.match_frame(Some("abc.py"), Some(5)));
        assert!(filter.match_frame(Some("abc.py"), Some(6)));
        assert!(filter.match_frame(Some("other.py"), Some(5)));
        assert!(filter.match_frame(Some("abc.py"), None));
    }

    #[test]
    fn a_line_below_one_means_any_line() {
        for line in [None, Some(0), Some(-7)] {
            assert!(include("a.py", line).match_frame(Some("a.py"), Some(3)));
            assert!(!exclude("a.py", line).match_frame(Some("a.py"), Some(3)));
            assert!(include("a.py", line).match_line(Some(3)));
            assert!(exclude("a.py", line).match_line(Some(3)));
        }
    }

    #[test]
    fn lines_alone_are_kept_or_dropped() {
        assert!(include("x", Some(5)).match_line(Some(5)));
        assert!(!include("x", Some(5)).match_line(None));
        assert!(!exclude("x", Some(5)).match_line(Some(5)));
        assert!(exclude("x", Some(5)).match_line(None));
    }

    #[test]
    fn an_unknown_file_matches_nothing() {
        assert!(!include("*", None).match_filename(None));
        assert!(exclude("*", None).match_filename(None));
        assert!(!include("*", None).match_path([]));
        assert!(exclude("*", None).match_path([]));
    }

    #[test]
    fn only_a_filter_on_any_frame_looks_beyond_the_most_recent() {
        let path = [(Some("leaf.py"), Some(1)), (Some("main.py"), Some(9))];
        assert!(!include("main.py", None).match_path(path));
        assert!(exclude("main.py", None).match_path(path));
        assert!(Filter::new(true, "main.py", None, true).match_path(path));
        assert!(!Filter::new(false, "main.py", None, true).match_path(path));
        assert!(!Filter::new(true, "main.py", Some(1), true).match_path(path));
    }

    #[test]
    fn one_including_filter_is_enough_and_one_excluding_is_too_much() {
        let (yes, no) = (include("a", None), exclude("b", None));
        assert!(keep([]));
        assert!(keep([(&yes, false), (&yes, true)]));
        assert!(!keep([(&yes, false)]));
        assert!(keep([(&no, true)]));
        assert!(!keep([(&yes, true), (&no, false)]));
    }
}
