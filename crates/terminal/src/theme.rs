//! Which style each kind of text has. Without colours all is told by weight, by reversal and by signs.

use heapsight_report::Look;
use ratatui_core::style::{Color, Modifier, Style};

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Plain,
    Heading,
    Secondary,
    Figure,
    Traced,
    Resident,
    Place,
    Hit,
    Grew,
    Shrank,
    Warning,
    Key,
}

/// Styles for a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Theme {
    pub look: Look,
}

impl Theme {
    pub(crate) fn style(self, role: Role) -> Style {
        let plain = Style::new();
        let color = |style: Style, color: Color| match self.look.color {
            true => style.fg(color),
            false => style,
        };
        match role {
            Role::Plain => plain,
            Role::Heading | Role::Figure => plain.add_modifier(Modifier::BOLD),
            Role::Secondary => plain.add_modifier(Modifier::DIM),
            Role::Traced => color(plain, Color::Blue),
            Role::Resident => color(plain.add_modifier(Modifier::DIM), Color::Blue),
            Role::Place => color(plain, Color::Cyan),
            Role::Hit => color(plain.add_modifier(Modifier::UNDERLINED), Color::Yellow),
            Role::Grew => color(plain, Color::Red),
            Role::Shrank => color(plain, Color::Green),
            Role::Warning => color(plain.add_modifier(Modifier::BOLD), Color::Yellow),
            Role::Key => color(plain.add_modifier(Modifier::BOLD), Color::Green),
        }
    }

    /// Of the line that is selected, over what it has.
    pub(crate) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// One of two characters, by what can be shown.
    pub(crate) fn sign(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.look.unicode { unicode } else { ascii }
    }
}
