//! How wide, in which colours and with which characters to write.

use std::fmt::{self, Display};
use std::io::IsTerminal;
use std::os::fd::AsFd;

use anstyle::{AnsiColor, Style};

/// Columns when the output is not a terminal and `COLUMNS` does not say.
const DEFAULT_WIDTH: usize = 100;

/// Narrower than this nothing useful fits: lines are then longer than the terminal is wide.
const MINIMUM_WIDTH: usize = 40;

/// Wider than this a table is hard to follow with the eye: no wider unless `COLUMNS` says so.
const MAXIMUM_WIDTH: usize = 200;

/// With fewer columns than this, functions come before file names and bars are left out.
const NARROW: usize = 100;

/// Properties of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns to use.
    pub width: usize,
    /// Whether to use ANSI colours.
    pub color: bool,
    /// Whether characters outside ASCII can be shown.
    pub unicode: bool,
}

impl Look {
    /// The look for `stream`: as wide as its terminal, or as `COLUMNS` says where it is none; coloured if it is a
    /// terminal and `NO_COLOR` is unset or empty, unless `color` decides.
    #[must_use]
    pub fn of(stream: &(impl IsTerminal + AsFd), color: Option<bool>) -> Self {
        let is_terminal = stream.is_terminal();
        let size = is_terminal
            .then(|| terminal_size::terminal_size_of(stream.as_fd()))
            .flatten();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            width: match size {
                Some((width, _)) => usize::from(width.0).clamp(MINIMUM_WIDTH, MAXIMUM_WIDTH),
                None => columns(std::env::var("COLUMNS").ok().as_deref()),
            },
            color: color.unwrap_or(is_terminal && !no_color),
            unicode: locale_is_unicode(|name| std::env::var(name).ok()),
        }
    }

    /// Whether there are few columns.
    pub(crate) fn is_narrow(&self) -> bool {
        self.width < NARROW
    }

    /// No colours, and every character.
    #[must_use]
    pub fn plain(width: usize) -> Self {
        Self {
            width,
            color: false,
            unicode: true,
        }
    }

    /// `text` in the colours of `role`.
    pub(crate) fn paint<T: AsRef<str>>(&self, role: Role, text: T) -> Painted<T> {
        let is_plain = !self.color || text.as_ref().is_empty();
        let style = if is_plain { Style::new() } else { role.style() };
        Painted { style, text }
    }

    /// The character for text left out.
    #[must_use]
    pub fn ellipsis(&self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    /// What stands before a caller.
    pub(crate) fn arrow(&self) -> &'static str {
        if self.unicode { "←" } else { "<-" }
    }

    /// The sign between a figure and its uncertainty.
    pub(crate) fn plus_minus(&self) -> &'static str {
        if self.unicode { "±" } else { "+-" }
    }

    /// The sign between a frame and the number of times that it recurs.
    #[must_use]
    pub fn times(&self) -> &'static str {
        if self.unicode { "×" } else { "x" }
    }
}

/// What a piece of text is, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Heading,
    ColumnName,
    Figure,
    Bar,
    Place,
    Function,
    Secondary,
    Command,
    Warning,
}

impl Role {
    fn style(self) -> Style {
        let color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        match self {
            Self::Heading | Self::Figure => Style::new().bold(),
            Self::ColumnName | Self::Secondary => Style::new().dimmed(),
            Self::Bar => color(AnsiColor::Blue),
            Self::Place => color(AnsiColor::Cyan),
            Self::Function => Style::new(),
            Self::Command => color(AnsiColor::Green),
            Self::Warning => color(AnsiColor::Yellow).bold(),
        }
    }
}

/// Text between the escape sequences of a style, if it has any.
pub(crate) struct Painted<T> {
    style: Style,
    text: T,
}

impl<T: AsRef<str>> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:#}", self.style, self.text.as_ref(), self.style)
    }
}

/// The width that the variable `COLUMNS` asks for. What is no number, or 0, counts as if it were not set.
fn columns(variable: Option<&str>) -> usize {
    let asked = variable.and_then(|text| text.trim().parse::<u16>().ok());
    match asked {
        Some(asked @ 1..) => usize::from(asked).max(MINIMUM_WIDTH),
        _ => DEFAULT_WIDTH,
    }
}

/// Whether the locale's encoding is UTF-8. Where no locale is set at all (containers), terminals are UTF-8 all the
/// same.
fn locale_is_unicode(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(variable)
        .find(|value| !value.is_empty());
    locale.is_none_or(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        let unicode = |variables: &[(&str, &str)]| {
            locale_is_unicode(|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(unicode(&[]));
        assert!(unicode(&[("LANG", "de_DE.UTF-8")]));
        assert!(unicode(&[
            ("LC_ALL", ""),
            ("LC_CTYPE", "C.utf8"),
            ("LANG", "C")
        ]));
        assert!(!unicode(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]));
        assert!(!unicode(&[("LANG", "de_DE.ISO-8859-1")]));
    }

    #[test]
    fn what_is_not_a_terminal_gets_no_colour_and_as_many_columns_as_asked_for() {
        let file = tempfile::tempfile().expect("a temporary file");
        assert!(!Look::of(&file, None).color);
        assert!(Look::of(&file, Some(true)).color);
        for (variable, width) in [
            (None, DEFAULT_WIDTH),
            (Some("80"), 80),
            (Some("250"), 250),
            (Some("1"), MINIMUM_WIDTH),
            (Some("0"), DEFAULT_WIDTH),
            (Some("-3"), DEFAULT_WIDTH),
            (Some("wide"), DEFAULT_WIDTH),
            (Some(""), DEFAULT_WIDTH),
        ] {
            assert_eq!(columns(variable), width, "{variable:?}");
        }
    }
}
