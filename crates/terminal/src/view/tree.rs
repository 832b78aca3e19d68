//! The screen of the call tree.

use heapsight_analysis::call_tree::{Direction, Element};
use heapsight_report::{
    counted, describe, exact_time, format_count, format_share, format_size, keep_start, printable,
    right, width,
};
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;

use super::canvas::{Canvas, Piece, split_bottom, split_right, split_top};
use super::chart::Chart;
use super::{chart, help, source};
use crate::input::tree::KEYS;
use crate::state::tree::{Row, TreeState};
use crate::theme::{Role, Theme};

/// From this width on the source stands beside the tree.
const WIDE: u16 = 130;

/// With fewer columns only the share and the name are shown.
const NARROW: u16 = 50;

/// In so few columns there is a function or a file, not both.
const NARROWEST: usize = 18;

/// Where everything is. Parts without room are empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Areas {
    pub title: Rect,
    pub chart: Rect,
    pub names: Rect,
    pub rows: Rect,
    pub source: Rect,
    pub status: Rect,
    pub keys: Rect,
}

impl Areas {
    /// For a screen of this size.
    pub(crate) fn of(area: Rect, shows_source: bool) -> Self {
        let (title, rest) = split_top(area, 1);
        let (status, rest) = split_bottom(rest, u16::from(area.height >= 3));
        let (keys, rest) = match area.height {
            10.. => {
                let (keys, above) = split_bottom(
                    Rect {
                        height: rest.height + status.height,
                        ..rest
                    },
                    1,
                );
                let (_, above) = split_bottom(above, 1);
                (keys, above)
            }
            _ => (Rect::default(), rest),
        };
        let status = match area.height {
            10.. => Rect {
                y: keys.y.saturating_sub(1),
                ..status
            },
            _ => status,
        };
        let chart_rows = match area.height {
            34.. => 7,
            20.. => 4,
            12.. => 2,
            _ => 0,
        };
        let (chart, rest) = split_top(rest, chart_rows);
        let (source, rest) = match (shows_source, area.width, area.height) {
            (true, WIDE.., _) => split_right(rest, area.width * 2 / 5),
            (true, _, 22..) => split_bottom(rest, (area.height / 4).min(9)),
            _ => (Rect::default(), rest),
        };
        let (names, rows) = split_top(rest, u16::from(rest.height >= 4));
        Self {
            title,
            chart,
            names,
            rows,
            source,
            status,
            keys,
        }
    }
}

/// Draws the screen.
pub(crate) fn draw(buffer: &mut Buffer, state: &mut TreeState, theme: Theme) {
    let area = buffer.area;
    let areas = Areas::of(area, state.shows_source);
    state.fit(usize::from(areas.rows.height));
    let mut canvas = Canvas { buffer, theme };
    draw_title(&mut canvas, areas.title, state);
    if !areas.chart.is_empty() {
        draw_chart(&mut canvas, areas.chart, state);
    }
    draw_rows(&mut canvas, &areas, state);
    if !areas.source.is_empty() {
        draw_source(&mut canvas, areas.source, state);
    }
    draw_status(&mut canvas, areas.status, state);
    draw_keys(&mut canvas, areas.keys);
    if state.shows_help {
        help::draw(&mut canvas, area, &KEYS);
    }
}

fn draw_title(canvas: &mut Canvas<'_>, area: Rect, state: &TreeState) {
    let settings = state.settings;
    let total = state.total();
    let amount = format!(
        "{} in {}",
        format_size(total.bytes),
        counted(total.blocks, "block", "blocks")
    );
    let direction = match settings.direction {
        Direction::Callees => "callees",
        Direction::Callers => "callers",
    };
    let what = describe(state.moment, settings.metric, &state.capture);
    let name = printable(&state.name, state.look.unicode);
    let pieces = [
        canvas.piece(Role::Heading, format!("{what}: {amount}")),
        canvas.piece(Role::Secondary, format!("  {direction}  {name}")),
    ];
    canvas.line(area, 0, &pieces);
}

fn draw_chart(canvas: &mut Canvas<'_>, area: Rect, state: &TreeState) {
    let mark = canvas.theme.sign("▲", "^");
    let marks: Vec<(u64, &'static str)> =
        state.slider_ns().map(|at| (at, mark)).into_iter().collect();
    let chart = Chart {
        timeline: &state.capture.timeline,
        with_resident: false,
        marks: &marks,
    };
    chart::draw(canvas, area, chart);
}

/// What a row has before its place.
struct Cells {
    share: usize,
    size: usize,
    own: usize,
}

impl Cells {
    /// Columns that are shown, by the width that there is.
    fn fitting(area: Rect) -> Self {
        let if_wide = |columns| if area.width >= NARROW { columns } else { 0 };
        Self {
            share: if area.width >= 24 { 8 } else { 0 },
            size: if_wide(11),
            own: if_wide(11),
        }
    }

    fn line(&self, share: &str, size: &str, own: &str) -> String {
        [(self.share, share), (self.size, size), (self.own, own)]
            .into_iter()
            .filter(|(columns, _)| *columns > 0)
            .map(|(columns, text)| right(text, columns))
            .collect::<String>()
            + "  "
    }
}

fn draw_rows(canvas: &mut Canvas<'_>, areas: &Areas, state: &TreeState) {
    let cells = Cells::fitting(areas.rows);
    if !areas.names.is_empty() {
        let unit = if state.settings.by_blocks {
            "blocks"
        } else {
            "size"
        };
        let line = cells.line("share", unit, "own");
        let order = format!("{line}where  (by {})", state.sort.name());
        canvas.text(areas.names, 0, Role::Secondary, &order);
    }
    if state.rows.is_empty() {
        canvas.text(areas.rows, 0, Role::Secondary, "  none");
    }
    let shown = state.rows.iter().enumerate().skip(state.top);
    for (row, (index, branch)) in (0..areas.rows.height).zip(shown) {
        let pieces = row_pieces(canvas, areas.rows, &cells, branch, state);
        canvas.line(areas.rows, row, &pieces);
        if index == state.selected {
            let style = canvas.theme.selected();
            canvas.highlight(areas.rows, row, style);
        }
    }
}

fn row_pieces(
    canvas: &Canvas<'_>,
    area: Rect,
    cells: &Cells,
    row: &Row,
    state: &TreeState,
) -> Vec<Piece> {
    let look = state.look;
    let branch = state.tree.branch(row.branch);
    let figure = |amount| match (state.settings.by_blocks, state.shown(amount)) {
        (_, 0) => String::new(),
        (true, blocks) => format_count(blocks),
        (false, bytes) => format_size(bytes),
    };
    let share = format_share(state.shown(branch.amount), state.shown(state.total()));
    let line = cells.line(&share, &figure(branch.amount), &figure(branch.own));
    let sign = match (row.has_children, row.is_open) {
        (false, _) => " ",
        (true, true) => canvas.theme.sign("▾", "-"),
        (true, false) => canvas.theme.sign("▸", "+"),
    };
    let chain = if row.is_chained {
        canvas.theme.sign("╰", "`")
    } else {
        " "
    };
    let room = usize::from(area.width).saturating_sub(width(&line));
    // However deep a branch is, there is room for what it is called.
    let level = (2 * row.level).min(room / 2);
    let indent = format!("{}{chain}{sign} ", " ".repeat(level));
    let times = match row.times {
        1 => String::new(),
        times => format!(" {}{times}", look.times()),
    };
    let room = room.saturating_sub(width(&indent) + width(&times));
    let element = state.tree.element(&state.capture.tables, row.branch);
    let place = state.place(element);
    let is_hit = state
        .search
        .found
        .as_ref()
        .is_some_and(|found| state.tree.is_hit(found, row.branch));
    let (name, function) = match room {
        // A line number alone says less than a function.
        0..NARROWEST if !place.function.is_empty() => {
            (keep_start(&place.function, room, look.ellipsis()), None)
        }
        _ => place.fitted(room, &look),
    };
    let (function_role, name_role) = match is_hit {
        true => (Role::Hit, Role::Hit),
        false => (Role::Plain, Role::Place),
    };
    let mut pieces = vec![
        canvas.piece(Role::Figure, line),
        canvas.piece(Role::Secondary, indent),
    ];
    if let Some(function) = function {
        pieces.push(canvas.piece(function_role, function));
        pieces.push(canvas.piece(Role::Plain, " "));
    }
    pieces.push(canvas.piece(name_role, name));
    pieces.push(canvas.piece(Role::Secondary, times));
    pieces
}

fn draw_source(canvas: &mut Canvas<'_>, area: Rect, state: &mut TreeState) {
    let frame = match state.selected_element() {
        Some(Element::Frame(frame)) => Some((frame.filename.to_owned(), frame.line)),
        _ => None,
    };
    match frame {
        Some((filename, line)) => {
            let name = state
                .selected_element()
                .map(|element| state.place(element).name);
            let name = name.unwrap_or_default();
            source::draw(canvas, area, &mut state.source, &filename, line, &name);
        }
        None => canvas.rule(area, 0, "source"),
    }
}

/// What is going on, on one line.
fn draw_status(canvas: &mut Canvas<'_>, area: Rect, state: &TreeState) {
    let search = &state.search;
    let ellipsis = state.look.ellipsis();
    if search.is_typing || !search.text.is_empty() {
        let text = printable(&search.text, state.look.unicode);
        let cursor = if search.is_typing {
            canvas.theme.sign("▏", "_")
        } else {
            ""
        };
        let (result, role) = match (&search.found, &search.problem) {
            (_, Some(problem)) => (format!("  {problem}"), Role::Warning),
            (Some(found), None) => {
                let (part, whole) = (state.shown(found.amount), state.shown(state.total()));
                let size = match state.settings.by_blocks {
                    true => counted(part, "block", "blocks"),
                    false => format_size(part),
                };
                (
                    format!("  {} of all: {size}", format_share(part, whole)),
                    Role::Figure,
                )
            }
            (None, None) => (String::new(), Role::Plain),
        };
        let room = usize::from(area.width)
            .saturating_sub(width(&result) + 2)
            .max(4);
        let text = keep_start(&text, room, ellipsis);
        let pieces = [
            canvas.piece(Role::Key, "/"),
            canvas.piece(Role::Plain, format!("{text}{cursor}")),
            canvas.piece(role, result),
        ];
        canvas.line(area, 0, &pieces);
        return;
    }
    if let Some(message) = &state.message {
        canvas.text(
            area,
            0,
            Role::Warning,
            &printable(message, state.look.unicode),
        );
        return;
    }
    let mut said = Vec::new();
    if state.wanted.is_some() {
        let at = state.slider_ns().map(exact_time).unwrap_or_default();
        said.push(format!("going to {at}{ellipsis}"));
    }
    if let Some(imports) = state
        .tree
        .imports()
        .filter(|imports| !imports.amount.is_zero())
    {
        let size = format_size(imports.amount.bytes);
        said.push(format!("imports: {size}, not in the tree (i)"));
    }
    if state.settings.by_function {
        said.push("lines of a function together (f)".to_owned());
    }
    let at = state.selected + usize::from(!state.rows.is_empty());
    said.push(format!("row {at} of {}", state.rows.len()));
    canvas.text(area, 0, Role::Secondary, &said.join(", "));
}

fn draw_keys(canvas: &mut Canvas<'_>, area: Rect) {
    let keys = [
        ("?", "help"),
        ("/", "search"),
        ("m", "metric"),
        ("b", "blocks"),
        ("r", "callers"),
        ("[ ]", "moment"),
        ("p", "peak"),
        ("v", "source"),
        ("q", "quit"),
    ];
    draw_hints(canvas, area, &keys);
}

/// Keys and what they do, as many as there is room for.
pub(crate) fn draw_hints(canvas: &mut Canvas<'_>, area: Rect, keys: &[(&str, &str)]) {
    let mut pieces = Vec::new();
    let mut used = 0;
    for (key, text) in keys {
        used += width(key) + width(text) + 3;
        if used > usize::from(area.width) + 2 {
            break;
        }
        pieces.push(canvas.piece(Role::Key, *key));
        pieces.push(canvas.piece(Role::Secondary, format!(" {text}  ")));
    }
    canvas.line(area, 0, &pieces);
}
