//! The list of keys, over everything else.

use heapsight_report::width;
use ratatui_core::layout::Rect;

use super::canvas::Canvas;
use crate::theme::Role;

/// Draws the list in the middle of `area`, as far as there is room.
pub(crate) fn draw(canvas: &mut Canvas<'_>, area: Rect, keys: &[(&str, &str)]) {
    let key_columns = keys.iter().map(|(key, _)| width(key)).max().unwrap_or(0);
    let texts = keys.iter().map(|(_, text)| key_columns + 2 + width(text));
    let wanted = texts.max().unwrap_or(0) + 4;
    let columns = u16::try_from(wanted).unwrap_or(u16::MAX).min(area.width);
    let rows = u16::try_from(keys.len() + 2)
        .unwrap_or(u16::MAX)
        .min(area.height);
    let frame = Rect {
        x: area.x + (area.width - columns) / 2,
        y: area.y + (area.height - rows) / 2,
        width: columns,
        height: rows,
    };
    for row in 0..rows {
        let blank = canvas.piece(Role::Plain, " ".repeat(usize::from(columns)));
        canvas.line(frame, row, &[blank]);
    }
    canvas.rule(frame, 0, "keys");
    for (row, (key, text)) in (1..).zip(keys) {
        if row + 1 >= rows {
            break;
        }
        let pieces = [
            canvas.piece(Role::Key, format!("  {key:key_columns$}")),
            canvas.piece(Role::Plain, format!("  {text}")),
        ];
        canvas.line(frame, row, &pieces);
    }
    if rows > 1 {
        canvas.rule(frame, rows - 1, "any key closes this");
    }
}
