//! What a program has written, in its part of the screen: cell by cell, and never as it came.

use heapsight_report::{is_safe, width};
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier, Style};

use super::canvas::{Canvas, split_top};
use crate::state::program::Program;

/// Draws the program's screen below a rule.
pub(crate) fn draw(canvas: &mut Canvas<'_>, area: Rect, program: &Program, has_focus: bool) {
    let name = match has_focus {
        true => "the program has the keys",
        false => "the program",
    };
    canvas.rule(area, 0, name);
    let (_, area) = split_top(area, 1);
    let screen = program.screen();
    let (rows, columns) = program.size();
    for row in 0..rows.min(area.height) {
        for column in 0..columns.min(area.width) {
            let Some(cell) = screen.cell(row, column) else {
                continue;
            };
            let is_cursor =
                has_focus && !screen.hide_cursor() && screen.cursor_position() == (row, column);
            if cell.is_wide_continuation()
                || !(cell.has_contents() || is_cursor) && cell.bgcolor() == vt100::Color::Default
            {
                continue;
            }
            let mut style = style(cell, canvas.theme.look.color);
            if is_cursor {
                style = style.add_modifier(Modifier::REVERSED);
            }
            let text = text(cell.contents(), canvas.theme.look.unicode);
            let at = Rect {
                x: area.x + column,
                y: area.y + row,
                width: if cell.is_wide() { 2 } else { 1 },
                height: 1,
            };
            canvas.line(at, 0, &[(text, style)]);
        }
    }
}

/// What a cell shows: a character and what is put upon it, without what would turn text round or hide.
fn text(contents: &str, unicode: bool) -> String {
    let kept: String = contents.chars().filter(|c| is_safe(*c, unicode)).collect();
    match width(&kept) {
        0 if contents.trim().is_empty() => " ".to_owned(),
        0 => "?".to_owned(),
        _ => kept,
    }
}

fn style(cell: &vt100::Cell, has_color: bool) -> Style {
    let mut style = Style::new();
    for (is_set, modifier) in [
        (cell.bold(), Modifier::BOLD),
        (cell.dim(), Modifier::DIM),
        (cell.italic(), Modifier::ITALIC),
        (cell.underline(), Modifier::UNDERLINED),
        (cell.inverse(), Modifier::REVERSED),
    ] {
        if is_set {
            style = style.add_modifier(modifier);
        }
    }
    let color = |color: vt100::Color| match color {
        vt100::Color::Default => Color::Reset,
        vt100::Color::Idx(index) => Color::Indexed(index),
        vt100::Color::Rgb(red, green, blue) => Color::Rgb(red, green, blue),
    };
    match has_color {
        true => style.fg(color(cell.fgcolor())).bg(color(cell.bgcolor())),
        false => style,
    }
}
