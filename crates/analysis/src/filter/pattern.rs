//! File name patterns in which only `*` is special.

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
