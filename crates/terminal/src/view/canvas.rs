//! Puts text where there is room: nothing here fails on a terminal of any size.

use heapsight_report::{keep_start, width};
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;

use crate::theme::{Role, Theme};

/// A part of the screen to write on.
pub(crate) struct Canvas<'b> {
    pub buffer: &'b mut Buffer,
    pub theme: Theme,
}

/// A piece of text with its style.
pub(crate) type Piece = (String, Style);

impl Canvas<'_> {
    /// Text with a role, for [`Self::line`].
    pub(crate) fn piece(&self, role: Role, text: impl Into<String>) -> Piece {
        (text.into(), self.theme.style(role))
    }

    /// Writes pieces one after the other into a row of `area`, as far as there is room. Text must be printable.
    pub(crate) fn line(&mut self, area: Rect, row: u16, pieces: &[Piece]) {
        let area = area.intersection(self.buffer.area);
        if row >= area.height {
            return;
        }
        let mut x = area.x;
        for (text, style) in pieces {
            let room = area.right().saturating_sub(x);
            if room == 0 {
                break;
            }
            x = self
                .buffer
                .set_stringn(x, area.y + row, text, usize::from(room), *style)
                .0;
        }
    }

    /// Writes a text that is cut with an ellipsis where it has no room.
    pub(crate) fn text(&mut self, area: Rect, row: u16, role: Role, text: &str) {
        let text = keep_start(text, usize::from(area.width), self.theme.look.ellipsis());
        let piece = self.piece(role, text);
        self.line(area, row, &[piece]);
    }

    /// Adds a style to a whole row of `area`.
    pub(crate) fn highlight(&mut self, area: Rect, row: u16, style: Style) {
        let area = area.intersection(self.buffer.area);
        if row < area.height {
            let line = Rect {
                y: area.y + row,
                height: 1,
                ..area
            };
            self.buffer.set_style(line, style);
        }
    }

    /// A horizontal rule with a name in it.
    pub(crate) fn rule(&mut self, area: Rect, row: u16, name: &str) {
        let sign = self.theme.sign("─", "-");
        let columns = usize::from(area.width);
        let name = match name {
            "" => String::new(),
            name => format!(
                " {} ",
                keep_start(name, columns.saturating_sub(6), self.theme.look.ellipsis())
            ),
        };
        let before = sign.repeat(2.min(columns));
        let after = sign.repeat(columns.saturating_sub(2 + width(&name)));
        let pieces = [
            self.piece(Role::Secondary, before),
            self.piece(Role::Heading, name),
            self.piece(Role::Secondary, after),
        ];
        self.line(area, row, &pieces);
    }
}

/// The first `rows` rows of an area, and the rest.
pub(crate) fn split_top(area: Rect, rows: u16) -> (Rect, Rect) {
    let rows = rows.min(area.height);
    (
        Rect {
            height: rows,
            ..area
        },
        Rect {
            y: area.y + rows,
            height: area.height - rows,
            ..area
        },
    )
}

/// The last `rows` rows of an area, and what is above them.
pub(crate) fn split_bottom(area: Rect, rows: u16) -> (Rect, Rect) {
    let rows = rows.min(area.height);
    let (above, below) = split_top(area, area.height - rows);
    (below, above)
}

/// The last `columns` columns of an area, and what is left of them.
pub(crate) fn split_right(area: Rect, columns: u16) -> (Rect, Rect) {
    let columns = columns.min(area.width);
    let left = area.width - columns;
    (
        Rect {
            x: area.x + left,
            width: columns,
            ..area
        },
        Rect {
            width: left,
            ..area
        },
    )
}
