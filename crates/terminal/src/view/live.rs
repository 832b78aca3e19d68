//! The screen of a program as it runs.

use std::time::Duration;

use heapsight_report::{
    counted, format_count, format_duration, format_share, format_size, format_size_change,
    keep_start, printable, right, width,
};
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;

use super::canvas::{Canvas, Piece, split_bottom, split_top};
use super::chart::Chart;
use super::tree::draw_hints;
use super::{chart, help, program};
use crate::input::live::KEYS;
use crate::state::live::{Focus, LiveRow, LiveSort, LiveState};
use crate::theme::{Role, Theme};

/// From this width on there is room for the number of blocks.
const WIDE: u16 = 100;

/// With fewer columns only the change and the name are shown.
const NARROW: u16 = 50;

/// Where everything is. Parts without room are empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Areas {
    pub title: Rect,
    pub chart: Rect,
    pub names: Rect,
    pub rows: Rect,
    pub program: Rect,
    pub status: Rect,
    pub keys: Rect,
}

impl Areas {
    /// For a screen of this size.
    pub(crate) fn of(area: Rect, has_program: bool) -> Self {
        let (title, rest) = split_top(area, 1);
        let (keys, rest) = split_bottom(rest, u16::from(area.height >= 10));
        let (status, rest) = split_bottom(rest, u16::from(area.height >= 3));
        let (program, rest) = match (has_program, area.height) {
            (true, 8..) => split_bottom(rest, (area.height * 2 / 5).max(3)),
            _ => (Rect::default(), rest),
        };
        let chart_rows = match area.height {
            34.. => 8,
            20.. => 5,
            12.. => 2,
            _ => 0,
        };
        let (chart, rest) = split_top(rest, chart_rows);
        let (names, rows) = split_top(rest, u16::from(rest.height >= 4));
        Self {
            title,
            chart,
            names,
            rows,
            program,
            status,
            keys,
        }
    }

    /// Rows and columns that a program has for itself.
    pub(crate) fn program_size(area: Rect) -> (u16, u16) {
        let program = Self::of(area, true).program;
        (program.height.saturating_sub(1), program.width)
    }
}

/// Draws the screen; gives the place of the program's cursor, if keys go there.
pub(crate) fn draw(buffer: &mut Buffer, state: &mut LiveState, theme: Theme) {
    let area = buffer.area;
    let areas = Areas::of(area, state.program.is_some());
    state.fit(usize::from(areas.rows.height));
    let mut canvas = Canvas { buffer, theme };
    draw_title(&mut canvas, areas.title, state);
    if !areas.chart.is_empty() {
        let mark = canvas.theme.sign("▲", "^");
        let marks: Vec<_> = state.mark_ns().map(|at| (at, mark)).into_iter().collect();
        let chart = Chart {
            timeline: &state.timeline,
            with_resident: true,
            marks: &marks,
        };
        chart::draw(&mut canvas, areas.chart, chart);
    }
    draw_rows(&mut canvas, &areas, state);
    if let Some(of) = &state.program {
        let has_focus = state.focus == Focus::Program;
        program::draw(&mut canvas, areas.program, of, has_focus);
    }
    draw_status(&mut canvas, areas.status, state);
    draw_keys(&mut canvas, areas.keys, state);
    if state.shows_help {
        help::draw(&mut canvas, area, &KEYS);
    }
}

fn draw_title(canvas: &mut Canvas<'_>, area: Rect, state: &LiveState) {
    let name = printable(&state.name, state.look.unicode);
    let Some(now) = state.timeline.last() else {
        canvas.text(area, 0, Role::Heading, &format!("{name}: not one tick yet"));
        return;
    };
    let mut traced = format!("traced {}", format_size(now.live_bytes));
    if area.width >= WIDE {
        traced += &format!(" in {}", counted(now.live_blocks, "block", "blocks"));
    }
    let mut rest = format!("  peak {}", format_size(now.peak_bytes));
    if now.rss_bytes > 0 {
        rest += &format!("  resident {}", format_size(now.rss_bytes));
    }
    rest += &format!(
        "  {}",
        format_duration(Duration::from_nanos(now.elapsed_ns))
    );
    if now.lost_events > 0 {
        rest += &format!("  {} lost", counted(now.lost_events, "event", "events"));
    }
    let pieces = [
        canvas.piece(Role::Heading, traced),
        canvas.piece(Role::Plain, rest),
        canvas.piece(Role::Secondary, format!("  {name}")),
    ];
    canvas.line(area, 0, &pieces);
}

/// Columns before a row's place.
struct Cells {
    share: usize,
    size: usize,
    change: usize,
}

impl Cells {
    fn fitting(area: Rect) -> Self {
        let if_wide = |columns| if area.width >= NARROW { columns } else { 0 };
        Self {
            share: if_wide(8),
            size: if_wide(11),
            change: if area.width >= 24 { 12 } else { 0 },
        }
    }
}

fn draw_rows(canvas: &mut Canvas<'_>, areas: &Areas, state: &LiveState) {
    let cells = Cells::fitting(areas.rows);
    let unit = if state.by_blocks { "blocks" } else { "size" };
    let order = match state.sort {
        LiveSort::Size => "size",
        LiveSort::Change => "change",
    };
    let names = format!(
        "{}{}{}  where  ({}, by {order})",
        right_in("share", cells.share),
        right_in(unit, cells.size),
        right_in("change", cells.change),
        state.metric.name()
    );
    canvas.text(areas.names, 0, Role::Secondary, &names);
    if state.rows.is_empty() {
        canvas.text(areas.rows, 0, Role::Secondary, "  none");
    }
    let shown = state.rows.iter().enumerate().skip(state.top);
    for (row, (index, of)) in (0..areas.rows.height).zip(shown) {
        let pieces = row_pieces(canvas, areas.rows, &cells, of, state);
        canvas.line(areas.rows, row, &pieces);
        if index == state.selected {
            let style = canvas.theme.selected();
            canvas.highlight(areas.rows, row, style);
        }
    }
}

fn right_in(text: &str, columns: usize) -> String {
    match columns {
        0 => String::new(),
        columns => right(text, columns),
    }
}

/// A change with its sign; nothing where there is none.
fn change_text(change: (i64, i64), by_blocks: bool) -> (String, Role) {
    let part = if by_blocks { change.1 } else { change.0 };
    let text = match (part, by_blocks) {
        (0, _) => String::new(),
        (blocks, true) => {
            let sign = if blocks < 0 { '-' } else { '+' };
            format!("{sign}{}", format_count(blocks.unsigned_abs()))
        }
        (bytes, false) => format_size_change(bytes),
    };
    let role = if part < 0 { Role::Shrank } else { Role::Grew };
    (text, role)
}

fn row_pieces(
    canvas: &Canvas<'_>,
    area: Rect,
    cells: &Cells,
    row: &LiveRow,
    state: &LiveState,
) -> Vec<Piece> {
    let (part, whole) = match state.by_blocks {
        true => (row.amount.blocks, state.total.blocks),
        false => (row.amount.bytes, state.total.bytes),
    };
    let size = match state.by_blocks {
        true => format_count(part),
        false => format_size(part),
    };
    let (change, role) = change_text(row.change, state.by_blocks);
    let share = right_in(&format_share(part, whole), cells.share);
    let size = right_in(&size, cells.size);
    let change = right_in(&change, cells.change);
    let used = width(&share) + width(&size) + width(&change) + 2;
    let room = usize::from(area.width).saturating_sub(used);
    let (name, function) = row.place.fitted(room, &state.look);
    let mut pieces = vec![
        canvas.piece(Role::Secondary, share),
        canvas.piece(Role::Figure, size),
        canvas.piece(role, change + "  "),
    ];
    if let Some(function) = function {
        pieces.push(canvas.piece(Role::Plain, function + " "));
    }
    pieces.push(canvas.piece(Role::Place, name));
    pieces
}

fn draw_status(canvas: &mut Canvas<'_>, area: Rect, state: &LiveState) {
    let ellipsis = state.look.ellipsis();
    if state.is_typing || !state.filter.is_empty() {
        let cursor = if state.is_typing {
            canvas.theme.sign("▏", "_")
        } else {
            ""
        };
        let result = match &state.problem {
            Some(problem) => format!("  {problem}"),
            None => format!("  {}", counted(state.rows.len() as u64, "row", "rows")),
        };
        let room = usize::from(area.width)
            .saturating_sub(width(&result) + 2)
            .max(4);
        let text = keep_start(
            &printable(&state.filter, state.look.unicode),
            room,
            ellipsis,
        );
        let pieces = [
            canvas.piece(Role::Key, "/"),
            canvas.piece(Role::Plain, format!("{text}{cursor}")),
            canvas.piece(Role::Secondary, result),
        ];
        canvas.line(area, 0, &pieces);
        return;
    }
    let mut pieces = Vec::new();
    if let Some(ended) = &state.ended {
        let text = format!("{}  ", printable(ended, state.look.unicode));
        pieces.push(canvas.piece(Role::Warning, text));
    }
    if state.is_paused {
        pieces.push(canvas.piece(Role::Warning, "standing still  "));
    }
    if let Some(mark_ns) = state.mark_ns() {
        let (text, role) = change_text(state.total_change, state.by_blocks);
        let text = if text.is_empty() {
            "no change".to_owned()
        } else {
            text
        };
        let since = format_duration(Duration::from_nanos(mark_ns));
        pieces.push(canvas.piece(role, text));
        pieces.push(canvas.piece(Role::Secondary, format!(" since {since} (d)  ")));
    }
    if let Some(imports) = state.imports.filter(|imports| !imports.amount.is_zero()) {
        let size = format_size(imports.amount.bytes);
        pieces.push(canvas.piece(Role::Secondary, format!("imports {size} (i)")));
    }
    canvas.line(area, 0, &pieces);
}

fn draw_keys(canvas: &mut Canvas<'_>, area: Rect, state: &LiveState) {
    if state.focus == Focus::Program {
        draw_hints(
            canvas,
            area,
            &[("Ctrl-]", "back to the figures: keys go to the program")],
        );
        return;
    }
    let mut keys = vec![
        ("?", "help"),
        ("d", "mark"),
        ("s", "sort"),
        ("m", "metric"),
        ("b", "blocks"),
        ("/", "filter"),
    ];
    if state.program.is_some() && state.ended.is_none() {
        keys.push(("Tab", "type"));
    }
    keys.push(("q", "quit"));
    draw_hints(canvas, area, &keys);
}
