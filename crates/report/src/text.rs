//! Text that fits: safe to print, cut to a width, padded, wrapped.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A line of heapsight's own for standard error: the names of files in it may be anything, and must not control the
/// terminal.
#[must_use]
pub fn message(text: &str) -> String {
    format!("heapsight: {}", printable(text, true))
}

/// `text` on one line and without anything that could move the cursor, ring, change colours or the order of characters:
/// names come from files that anybody may have made. Where only ASCII can be shown, other characters are escaped.
///
/// ```
/// use heapsight_report::printable;
/// assert_eq!(printable("a\x1b[31m\u{2028}b", true), "a\\u{1b}[31m\\u{2028}b");
/// ```
#[must_use]
pub fn printable(text: &str, unicode: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_safe(character, unicode) {
            out.push(character);
        } else if character == '\t' {
            out.push(' ');
        } else {
            out.extend(character.escape_unicode());
        }
    }
    out
}

/// Whether a character does nothing but show itself.
pub(crate) fn is_safe(character: char, unicode: bool) -> bool {
    /// Line and paragraph separators, and the hyphen that shows only at the end of a line: they may have a width.
    const INVISIBLE: [char; 3] = ['\u{ad}', '\u{2028}', '\u{2029}'];
    match character {
        ' '..='~' => true,
        _ if !unicode || character.is_control() || INVISIBLE.contains(&character) => false,
        // Bidirectional controls and other format characters have no width.
        _ => character.width().unwrap_or(0) > 0,
    }
}

/// Columns that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// `text` if it fits in `columns`, else its beginning and `ellipsis`.
pub(crate) fn keep_start(text: &str, columns: usize, ellipsis: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(width(ellipsis));
    let kept: String = take_width(text.chars(), room).collect();
    kept.trim_end().to_owned() + ellipsis
}

/// `text` if it fits in `columns`, else `ellipsis` and its end.
pub(crate) fn keep_end(text: &str, columns: usize, ellipsis: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(width(ellipsis));
    let kept: Vec<char> = take_width(text.chars().rev(), room).collect();
    ellipsis.to_owned() + &kept.into_iter().rev().collect::<String>()
}

fn take_width(characters: impl Iterator<Item = char>, room: usize) -> impl Iterator<Item = char> {
    let mut used = 0;
    characters.take_while(move |character| {
        used += character.width().unwrap_or(0);
        used <= room
    })
}

/// Spaces that bring `text` to `columns`.
pub(crate) fn padding(text: &str, columns: usize) -> String {
    " ".repeat(columns.saturating_sub(width(text)))
}

/// `text` at the right of `columns`.
pub(crate) fn right(text: &str, columns: usize) -> String {
    padding(text, columns) + text
}

/// Joins `pieces` with spaces into lines of at most `columns`, later lines indented by `indent` spaces. A piece is
/// never broken.
pub(crate) fn wrap<'p>(
    pieces: impl IntoIterator<Item = &'p str>,
    columns: usize,
    indent: usize,
) -> String {
    let mut out = String::new();
    let mut used = 0;
    for piece in pieces {
        let needed = width(piece);
        if out.is_empty() {
            used = needed;
        } else if used + 1 + needed > columns {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            used = indent + needed;
        } else {
            out.push(' ');
            used += 1 + needed;
        }
        out.push_str(piece);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_controls_a_terminal_gets_through() {
        assert_eq!(
            printable("a\x1b[31m\tb\u{202e}", true),
            "a\\u{1b}[31m b\\u{202e}"
        );
        assert_eq!(printable("größe 日", true), "größe 日");
        let controls = "\x07\x08\x7f\u{85}\u{9b}";
        let invisible = "\u{ad}\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}";
        for hostile in controls.chars().chain(invisible.chars()) {
            let escaped = hostile.escape_unicode().to_string();
            assert_eq!(printable(&hostile.to_string(), true), escaped);
        }
        assert_eq!(printable("größe", false), "gr\\u{f6}\\u{df}e");
    }

    #[test]
    fn cutting_respects_the_width_of_characters() {
        assert_eq!(keep_start("日本語", 6, "…"), "日本語");
        assert_eq!(keep_start("日本語", 5, "…"), "日本…");
        assert_eq!(keep_end("日本語", 4, "…"), "…語");
        assert_eq!(keep_end("abcdef", 4, "..."), "...f");
    }

    #[test]
    fn pieces_move_to_the_next_line_whole() {
        let pieces = ["one two,", "three,", "four"];
        assert_eq!(wrap(pieces, 80, 2), "one two, three, four");
        assert_eq!(wrap(pieces, 15, 2), "one two, three,\n  four");
        assert_eq!(wrap(pieces, 14, 2), "one two,\n  three, four");
    }
}
