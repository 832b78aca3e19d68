//! Keys and mouse of the tree.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui_core::layout::Position;

use crate::state::tree::{Step, TreeState};
use crate::view::chart::{plot, time_at};
use crate::view::tree::Areas;

/// Something that the tree is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Up(usize),
    Down(usize),
    PageUp,
    PageDown,
    First,
    Last,
    Select(usize),
    Scroll(isize),
    Open,
    Close,
    Toggle,
    OpenBelow,
    CloseAll,
    NextMetric,
    PreviousMetric,
    Unit,
    Direction,
    Functions,
    Imports,
    Sort,
    Moment(Step),
    Search,
    Type(char),
    Erase,
    Accept,
    Cancel,
    NextHit,
    PreviousHit,
    Source,
    Help,
    Quit,
}

/// Rows that the wheel moves.
const WHEEL: isize = 3;

/// What the help says: keys, and what they do.
pub(crate) const KEYS: [(&str, &str); 18] = [
    ("Up Down k j", "go through the rows (PgUp PgDn Home End)"),
    ("Right l Enter", "open a branch, and go into it"),
    ("Left h", "close it, or go to what it is on"),
    ("space", "open or close"),
    ("*", "open all below that is worth looking at"),
    ("c", "close all"),
    ("m M", "metric: live, peak, allocated, temporary"),
    ("b", "bytes or blocks"),
    ("r", "callers instead of callees, and back"),
    ("f", "lines of a function apart or together"),
    ("s", "order: size, own, name"),
    ("i", "memory of imported code in the tree, or one sum"),
    ("/ n N", "search a regular expression, next, previous"),
    ("[ ]  { }", "a tick, or a twentieth, back or on"),
    ("p e", "the moment of the peak, the end"),
    ("v", "source of the selected line"),
    (
        "mouse",
        "select, open (twice), wheel, moment in the picture",
    ),
    ("q", "quit (Esc ends a search)"),
];

/// What a key means.
pub(crate) fn key(event: KeyEvent, state: &TreeState) -> Option<Action> {
    let is_control = event.modifiers.contains(KeyModifiers::CONTROL);
    if is_control && matches!(event.code, KeyCode::Char('c' | 'd')) {
        return Some(Action::Quit);
    }
    if state.search.is_typing {
        return match event.code {
            KeyCode::Char('u') if is_control => Some(Action::Search),
            KeyCode::Char(character) => Some(Action::Type(character)),
            KeyCode::Backspace => Some(Action::Erase),
            KeyCode::Enter => Some(Action::Accept),
            KeyCode::Esc => Some(Action::Cancel),
            _ => None,
        };
    }
    if state.shows_help && !matches!(event.code, KeyCode::Char('q')) {
        return Some(Action::Help);
    }
    Some(match event.code {
        KeyCode::Up | KeyCode::Char('k') => Action::Up(1),
        KeyCode::Down | KeyCode::Char('j') => Action::Down(1),
        KeyCode::PageUp => Action::PageUp,
        KeyCode::PageDown => Action::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Action::First,
        KeyCode::End | KeyCode::Char('G') => Action::Last,
        KeyCode::Right | KeyCode::Char('l') | KeyCode::Enter => Action::Open,
        KeyCode::Left | KeyCode::Char('h') => Action::Close,
        KeyCode::Char(' ') => Action::Toggle,
        KeyCode::Char('*') => Action::OpenBelow,
        KeyCode::Char('c') => Action::CloseAll,
        KeyCode::Char('m') => Action::NextMetric,
        KeyCode::Char('M') => Action::PreviousMetric,
        KeyCode::Char('b') => Action::Unit,
        KeyCode::Char('r') => Action::Direction,
        KeyCode::Char('f') => Action::Functions,
        KeyCode::Char('i') => Action::Imports,
        KeyCode::Char('s') => Action::Sort,
        KeyCode::Char('/') => Action::Search,
        KeyCode::Char('n') => Action::NextHit,
        KeyCode::Char('N') => Action::PreviousHit,
        KeyCode::Char('[') => Action::Moment(Step::Ticks(-1)),
        KeyCode::Char(']') => Action::Moment(Step::Ticks(1)),
        KeyCode::Char('{') => Action::Moment(Step::Twentieths(-1)),
        KeyCode::Char('}') => Action::Moment(Step::Twentieths(1)),
        KeyCode::Char('p') => Action::Moment(Step::Peak),
        KeyCode::Char('e') => Action::Moment(Step::End),
        KeyCode::Char('v') => Action::Source,
        KeyCode::Char('?') | KeyCode::F(1) => Action::Help,
        KeyCode::Char('q') => Action::Quit,
        KeyCode::Esc => Action::Cancel,
        _ => return None,
    })
}

/// What the mouse means on a screen that is laid out so.
pub(crate) fn mouse(event: MouseEvent, state: &TreeState, areas: &Areas) -> Option<Action> {
    let at = Position::new(event.column, event.row);
    match event.kind {
        MouseEventKind::ScrollUp => Some(Action::Scroll(-WHEEL)),
        MouseEventKind::ScrollDown => Some(Action::Scroll(WHEEL)),
        MouseEventKind::Down(MouseButton::Left) if state.shows_help => Some(Action::Help),
        MouseEventKind::Down(MouseButton::Left) | MouseEventKind::Drag(MouseButton::Left)
            if areas.chart.contains(at) =>
        {
            let last_ns = state.capture.timeline.last()?.elapsed_ns;
            let elapsed_ns = time_at(plot(areas.chart), event.column, last_ns);
            Some(Action::Moment(Step::To(elapsed_ns)))
        }
        MouseEventKind::Down(MouseButton::Left) if areas.rows.contains(at) => {
            let row = state.top + usize::from(event.row - areas.rows.y);
            match row {
                _ if row >= state.rows.len() => None,
                // A second click, or one where the sign is.
                _ if row == state.selected => Some(Action::Toggle),
                _ => Some(Action::Select(row)),
            }
        }
        _ => None,
    }
}
