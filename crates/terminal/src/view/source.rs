//! Source around a line.

use heapsight_report::{Source, keep_start, printable};
use ratatui_core::layout::Rect;

use super::canvas::Canvas;
use crate::theme::Role;

/// Draws `line` of a file and what stands around it, below a rule with the file's name.
pub(crate) fn draw(
    canvas: &mut Canvas<'_>,
    area: Rect,
    source: &mut Source,
    filename: &str,
    line: u32,
    name: &str,
) {
    canvas.rule(area, 0, name);
    let rows = usize::from(area.height.saturating_sub(1));
    let lines = match source.lines(filename) {
        Ok(lines) => lines,
        Err(why) => {
            canvas.text(area, 1, Role::Secondary, &format!("The source {why}."));
            return;
        }
    };
    let line = line as usize;
    if line == 0 || line > lines.len() {
        let text = match line {
            0 => "The line is not known.",
            _ => "The source has fewer lines than the one that ran.",
        };
        canvas.text(area, 1, Role::Secondary, text);
        return;
    }
    let last = lines.len().to_string().len();
    let first = line
        .saturating_sub(rows / 2)
        .min((lines.len() + 1).saturating_sub(rows))
        .max(1);
    let room = usize::from(area.width).saturating_sub(last + 4);
    let look = canvas.theme.look;
    for (row, number) in (1..area.height).zip(first..) {
        let Some(text) = lines.get(number - 1) else {
            break;
        };
        let is_it = number == line;
        let sign = if is_it {
            canvas.theme.sign("▶", ">")
        } else {
            " "
        };
        let text = printable(&text.replace('\t', "    "), look.unicode);
        let text = keep_start(text.trim_end(), room, look.ellipsis());
        let role = if is_it { Role::Heading } else { Role::Plain };
        let pieces = [
            canvas.piece(Role::Secondary, format!("{sign} {number:>last$}  ")),
            canvas.piece(role, text),
        ];
        canvas.line(area, row, &pieces);
    }
}
