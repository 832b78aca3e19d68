//! File name patterns in which only `*` is special.

use crate::names::short_name;

/// A pattern, kept both as given and ready for matching.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pattern {
    given: String,
    normal: String,
}

impl Pattern {
    pub(super) fn new(given: &str) -> Self {
        Self {
            given: given.to_owned(),
            normal: normalise(given).into_owned(),
        }
    }

    pub(super) fn as_given(&self) -> &str {
        &self.given
    }

    /// Whether `filename` matches. Time: at most length × length.
    pub(super) fn matches(&self, filename: &str) -> bool {
        glob(self.normal.as_bytes(), normalise(filename).as_bytes())
    }

    /// Whether `filename` matches as a whole, as it is shown, or, without a `*`, by some of its parts:
    /// `cache/store.py`, `myapp/cache`.
    pub(super) fn matches_as_shown(&self, filename: &str, working_directory: &str) -> bool {
        let filename = &*normalise(filename);
        let short = short_name(filename, working_directory).text;
        let (start, pattern) = shown_start(&self.normal);
        let matches = |name: &str| glob(pattern.as_bytes(), name.as_bytes());
        if matches(filename) || matches(short) {
            return true;
        }
        if pattern.contains('*') {
            return false;
        }
        match start {
            Start::InsideAPart => !pattern.is_empty() && filename.ends_with(pattern),
            Start::Whole => has_parts(filename, pattern.trim_end_matches('/')),
        }
    }
}

/// Where a name that somebody copied from a report begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// At a part of the name.
    Whole,
    /// Somewhere in a part: the report had no room for the rest.
    InsideAPart,
}

/// A pattern without what reports put before a name that they cut.
fn shown_start(pattern: &str) -> (Start, &str) {
    let rest = ["…", "..."]
        .into_iter()
        .find_map(|ellipsis| pattern.strip_prefix(ellipsis));
    match rest {
        Some(rest) => match rest.strip_prefix('/') {
            Some(rest) => (Start::Whole, rest),
            None => (Start::InsideAPart, rest),
        },
        None => (Start::Whole, pattern.strip_prefix("./").unwrap_or(pattern)),
    }
}

/// Whether some consecutive parts of `filename` are those of `parts`.
fn has_parts(filename: &str, parts: &str) -> bool {
    if parts.is_empty() {
        return false;
    }
    filename.match_indices(parts).any(|(at, found)| {
        let starts_part = at == 0 || filename[..at].ends_with('/');
        let rest = &filename[at + found.len()..];
        starts_part && (rest.is_empty() || rest.starts_with('/'))
    })
}

/// One spelling for compiled and source files, and on Windows for case and separators.
fn normalise(name: &str) -> std::borrow::Cow<'_, str> {
    let name = match name.strip_suffix(['c', 'o']) {
        Some(source) if source.ends_with(".py") => source,
        _ => name,
    };
    if cfg!(windows) {
        name.replace('/', "\\").to_lowercase().into()
    } else {
        name.into()
    }
}

/// Matches from left to right; after a mismatch only the last `*` needs to take one more byte, since an earlier one
/// could not reach further than it.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at_pattern, mut at_text) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while at_text < text.len() {
        match pattern.get(at_pattern) {
            Some(b'*') => {
                last_star = Some((at_pattern, at_text));
                at_pattern += 1;
            }
            Some(byte) if *byte == text[at_text] => {
                at_pattern += 1;
                at_text += 1;
            }
            _ => {
                let Some((star, taken)) = last_star else {
                    return false;
                };
                last_star = Some((star, taken + 1));
                at_pattern = star + 1;
                at_text = taken + 1;
            }
        }
    }
    pattern[at_pattern..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, filename: &str) -> bool {
        Pattern::new(pattern).matches(filename)
    }

    #[test]
    fn a_star_takes_any_characters_and_none() {
        assert!(matches("*", ""));
        assert!(matches("a*b*c", "abc"));
        assert!(matches("a*b*c", "aXXbYYbZZc"));
        assert!(!matches("a*b*c", "aXXbYY"));
        assert!(matches("*/store.py", "/srv/app/store.py"));
        assert!(!matches("*/store.py", "store.py"));
        assert!(matches("**", "x"));
    }

    #[test]
    fn other_characters_stand_for_themselves() {
        assert!(matches("a[b]?.py", "a[b]?.py"));
        assert!(!matches("a[b]?.py", "abx.py"));
        assert!(!matches("a.py", "axpy"));
    }

    #[test]
    fn compiled_files_count_as_their_source_on_either_side() {
        assert!(matches("a.pyc", "a.py"));
        assert!(matches("a.py", "a.pyo"));
        assert!(matches("a.pyo", "a.pyc"));
        assert!(!matches("a.pyx", "a.py"));
        assert!(!matches("a.doc", "a.do"));
    }

    #[test]
    fn a_name_matches_as_it_is_shown() {
        let shown = |pattern: &str, filename: &str| {
            Pattern::new(pattern).matches_as_shown(filename, "/srv/app")
        };
        let library = "/v/lib/python3.13/site-packages/django/db/models.py";
        for pattern in [
            "models.py",
            "models.pyc",
            "db/models.py",
            "django/db",
            "django/db/",
            "django",
            "…/django/db/models.py",
            ".../django/db/models.py",
            "…ango/db/models.py",
            "django/*.py",
            "*/db/*",
            library,
            "/v/lib/python3.13",
        ] {
            assert!(shown(pattern, library), "{pattern}");
        }
        for pattern in [
            "odels.py",
            "db/model",
            "ango/db",
            "d*.txt",
            "models",
            "/django/db",
            "",
            "/",
            "…",
        ] {
            assert!(!shown(pattern, library), "{pattern} must not match");
        }
        assert!(shown("main.py", "/srv/app/main.py"));
        assert!(shown("./main.py", "/srv/app/main.py"));
        assert!(shown("m*.py", "/srv/app/main.py"), "as shown");
        assert!(!shown("s*.py", "/srv/app/main.py"), "not inside the name");
        assert!(shown("<string>", "<string>"));
        assert!(shown(
            "…ap_external>",
            "<frozen importlib._bootstrap_external>"
        ));
    }

    proptest! {
        #[test]
        fn agrees_with_the_textbook_definition(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            fn naive(pattern: &[u8], text: &[u8]) -> bool {
                match pattern.split_first() {
                    None => text.is_empty(),
                    Some((b'*', rest)) => (0..=text.len()).any(|skip| naive(rest, &text[skip..])),
                    Some((byte, rest)) => {
                        text.first() == Some(byte) && naive(rest, &text[1..])
                    }
                }
            }
            prop_assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), naive(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
