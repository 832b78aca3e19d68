//! Keys and mouse of a program as it runs.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui_core::layout::Position;

use crate::state::live::{Focus, LiveState};
use crate::view::live::Areas;

/// Something that the view is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Up(usize),
    Down(usize),
    PageUp,
    PageDown,
    First,
    Last,
    Select(usize),
    Mark,
    Metric,
    Unit,
    Imports,
    Sort,
    Pause,
    Filter,
    Type(char),
    Erase,
    Accept,
    Cancel,
    Focus,
    Help,
    Quit,
}

impl Action {
    /// Whether the rows are others after it.
    pub(crate) fn changes_the_table(self) -> bool {
        matches!(
            self,
            Self::Mark
                | Self::Metric
                | Self::Unit
                | Self::Imports
                | Self::Sort
                | Self::Pause
                | Self::Filter
                | Self::Type(_)
                | Self::Erase
                | Self::Cancel
        )
    }
}

/// Something for the view, or bytes for the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Action(Action),
    Typed(Vec<u8>),
}

/// Rows that the wheel moves.
const WHEEL: usize = 3;

/// What the help says.
pub(crate) const KEYS: [(&str, &str); 12] = [
    ("Up Down k j", "go through the rows (PgUp PgDn Home End)"),
    ("d", "begin the changes anew"),
    ("s", "order: size, change"),
    ("m", "metric: live, peak, allocated, temporary"),
    ("b", "bytes or blocks"),
    ("i", "memory of imported code in the rows, or one sum"),
    ("/", "only files and functions with this regular expression"),
    ("space", "have the figures stand still, and go on"),
    ("Tab", "type into the program; Ctrl-] comes back"),
    ("wheel, click", "go through the rows"),
    ("?", "this list"),
    ("q", "leave the view: the program runs on"),
];

/// What a key means.
pub(crate) fn key(event: KeyEvent, state: &LiveState) -> Option<Meaning> {
    let is_control = event.modifiers.contains(KeyModifiers::CONTROL);
    if state.focus == Focus::Program {
        // Terminals send Ctrl-] as one of these.
        let comes_back = is_control && matches!(event.code, KeyCode::Char(']' | '5'));
        return match comes_back {
            true => Some(Meaning::Action(Action::Focus)),
            false => {
                let is_application = state
                    .program
                    .as_ref()
                    .is_some_and(|program| program.screen().application_cursor());
                super::typed::bytes(event, is_application).map(Meaning::Typed)
            }
        };
    }
    if is_control && matches!(event.code, KeyCode::Char('c')) {
        return Some(match &state.program {
            // As without the view.
            Some(_) if state.ended.is_none() => Meaning::Typed(vec![3]),
            _ => Meaning::Action(Action::Quit),
        });
    }
    table_key(event, is_control, state).map(Meaning::Action)
}

fn table_key(event: KeyEvent, is_control: bool, state: &LiveState) -> Option<Action> {
    if state.is_typing {
        return match event.code {
            KeyCode::Char('u') if is_control => Some(Action::Filter),
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
        KeyCode::Char('d') => Action::Mark,
        KeyCode::Char('s') => Action::Sort,
        KeyCode::Char('m') => Action::Metric,
        KeyCode::Char('b') => Action::Unit,
        KeyCode::Char('i') => Action::Imports,
        KeyCode::Char('/') => Action::Filter,
        KeyCode::Char(' ') => Action::Pause,
        KeyCode::Tab => Action::Focus,
        KeyCode::Char('?') | KeyCode::F(1) => Action::Help,
        KeyCode::Char('q') => Action::Quit,
        KeyCode::Esc => Action::Cancel,
        _ => return None,
    })
}

/// What the mouse means on a screen that is laid out so.
pub(crate) fn mouse(event: MouseEvent, state: &LiveState, areas: &Areas) -> Option<Action> {
    let at = Position::new(event.column, event.row);
    match event.kind {
        MouseEventKind::ScrollUp => Some(Action::Up(WHEEL)),
        MouseEventKind::ScrollDown => Some(Action::Down(WHEEL)),
        MouseEventKind::Down(MouseButton::Left) if areas.rows.contains(at) => {
            let row = state.top + usize::from(event.row - areas.rows.y);
            (row < state.rows.len()).then_some(Action::Select(row))
        }
        MouseEventKind::Down(MouseButton::Left) => {
            let wants_program = areas.program.contains(at);
            (wants_program != (state.focus == Focus::Program)).then_some(Action::Focus)
        }
        _ => None,
    }
}
