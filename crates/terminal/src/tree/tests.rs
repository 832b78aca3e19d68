//! The tree without a terminal: keys change a state, and a screen is a function of it.

use std::path::Path;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use heapsight_analysis::Metric;
use heapsight_analysis::call_tree::{Direction, Element};
use heapsight_analysis::recording::{Moment, Reached, Recording};

use super::*;
use crate::state::tree::{Position, Sort};
use crate::testing::{cells, look, opened, recording, screen};

fn state() -> TreeState {
    TreeState::new(
        opened("report"),
        TreeSettings::default(),
        Path::new("shop.heapsight"),
        look(true),
    )
}

fn shown(state: &mut TreeState, columns: u16, rows: u16) -> String {
    let theme = Theme { look: state.look };
    screen(columns, rows, |buffer| draw(buffer, state, theme))
}

/// Types keys; those with names are in angle brackets.
fn press(state: &mut TreeState, keys: &str) {
    let mut rest = keys;
    while let Some(first) = rest.chars().next() {
        let named = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let (code, after) = match named {
            Some((name, after)) => {
                let code = match name {
                    "Up" => KeyCode::Up,
                    "Down" => KeyCode::Down,
                    "Left" => KeyCode::Left,
                    "Right" => KeyCode::Right,
                    "Enter" => KeyCode::Enter,
                    "Esc" => KeyCode::Esc,
                    "Back" => KeyCode::Backspace,
                    "PgDn" => KeyCode::PageDown,
                    "End" => KeyCode::End,
                    other => panic!("no key {other}"),
                };
                (code, after)
            }
            None => (KeyCode::Char(first), &rest[first.len_utf8()..]),
        };
        rest = after;
        let event = Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
        handle(&event, state, Rect::new(0, 0, 80, 24));
    }
}

fn names(state: &TreeState) -> Vec<String> {
    let tables = &state.capture.tables;
    let name = |row: &crate::state::tree::Row| match state.tree.element(tables, row.branch) {
        Element::Frame(frame) => frame.name.to_owned(),
        Element::NoFrame => "none".to_owned(),
        Element::Thread(name) => name.to_owned(),
    };
    state.rows.iter().map(name).collect()
}

#[test]
fn it_begins_where_the_program_forks() {
    insta::assert_snapshot!("80x24", shown(&mut state(), 80, 24));
    insta::assert_snapshot!("120x40", shown(&mut state(), 120, 40));
    insta::assert_snapshot!("20x5", shown(&mut state(), 20, 5));
}

#[test]
fn every_size_has_a_screen() {
    for keys in ["", "?", "r*", "/walk<Enter>", "<End>v"] {
        for columns in [1, 2, 3, 7, 15, 20, 23, 24, 30, 49, 50, 130, 200] {
            for rows in (1..13).chain([19, 20, 22, 34]) {
                let mut state = state();
                press(&mut state, keys);
                let _ = shown(&mut state, columns, rows);
            }
        }
    }
}

#[test]
fn branches_open_and_close_and_a_recursion_is_one_row() {
    let mut state = state();
    assert_eq!(
        names(&state),
        ["<module>", "main", "Store.load", "report", "walk", "none"]
    );
    press(&mut state, "<Down><Down><Right>");
    assert_eq!(names(&state)[2..4], ["Store.load", "loads"]);
    press(&mut state, "<Left><Left>");
    assert_eq!(state.selected, 1, "it goes to what the branch is on");
    press(&mut state, "<Left>");
    assert_eq!(names(&state), ["<module>", "main", "none"]);
    press(&mut state, "*");
    assert!(names(&state).contains(&"loads".to_owned()));
    let walks = state.rows.iter().filter(|row| row.times == 8);
    assert_eq!(walks.count(), 1);
}

#[test]
fn callers_are_the_tree_turned_round() {
    let mut state = state();
    press(&mut state, "r");
    assert_eq!(state.settings.direction, Direction::Callers);
    assert!(names(&state)[0] == "none" || names(&state).contains(&"walk".to_owned()));
    press(&mut state, "<End><Up><Right>");
    insta::assert_snapshot!("callers", shown(&mut state, 80, 24));
    press(&mut state, "r");
    assert_eq!(names(&state)[0], "<module>");
}

#[test]
fn metrics_units_and_orders_take_turns() {
    let mut state = state();
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(state.settings.metric);
        press(&mut state, "m");
    }
    let all = [
        Metric::Live,
        Metric::Peak,
        Metric::Allocated,
        Metric::Temporary,
        Metric::Live,
    ];
    assert_eq!(seen, all);
    press(&mut state, "M");
    assert_eq!(state.settings.metric, Metric::Live);
    press(&mut state, "b");
    assert!(state.settings.by_blocks);
    assert!(shown(&mut state, 80, 24).contains("blocks"));
    press(&mut state, "s");
    assert_eq!(state.sort, Sort::Own);
    press(&mut state, "s");
    assert_eq!(state.sort, Sort::Name);
    press(&mut state, "s");
    assert_eq!(state.sort, Sort::Size);
}

#[test]
fn a_search_counts_what_it_found_and_leads_to_it() {
    let mut state = state();
    press(&mut state, "/js.n");
    insta::assert_snapshot!("search", shown(&mut state, 80, 24));
    press(&mut state, "<Enter>");
    let Some(Element::Frame(frame)) = state.selected_element() else {
        panic!("a frame is selected");
    };
    assert_eq!(frame.name, "loads", "in a branch that was not open");
    press(&mut state, "/shop.py.*main<Enter>");
    assert_eq!(state.selected, 1);
    press(&mut state, "/WALK<Enter>");
    assert_eq!(
        state.message.as_deref(),
        Some("not found"),
        "capitals are meant"
    );
    press(&mut state, "/walk|main<Enter>");
    let first = state.selected;
    press(&mut state, "n");
    assert_ne!(state.selected, first);
    press(&mut state, "N");
    assert_eq!(state.selected, first);
    press(&mut state, "/(<Enter>");
    assert!(state.search.problem.is_some());
    press(&mut state, "<Esc>");
    assert!(state.search.text.is_empty());
    press(&mut state, "/<Back>");
    assert!(!state.search.is_typing);
}

#[test]
fn imports_are_one_sum_unless_they_are_asked_for() {
    let mut state = state();
    assert!(!names(&state).contains(&"_find_and_load".to_owned()));
    assert!(shown(&mut state, 80, 24).contains("imports: "));
    press(&mut state, "i");
    assert!(names(&state).contains(&"_find_and_load".to_owned()));
    assert!(!shown(&mut state, 80, 24).contains("imports: "));
}

/// Goes to the moment that is wanted, as the loop does.
fn go(state: &mut TreeState) {
    let when = state.wanted.take().expect("a moment is wanted");
    let file = recording("report");
    let read = Recording::read(&file[..], None).expect("readable");
    let reached = read.seek(when, || Ok(&file[..])).expect("readable");
    state.arrive(Opened {
        capture: reached.capture,
        moment: reached.moment,
    });
}

#[test]
fn the_slider_goes_to_ticks_the_peak_and_the_end() {
    let mut state = state();
    let at_end = state.total();
    press(&mut state, "[[[");
    assert_eq!(state.position, Position::Tick(6));
    assert_eq!(
        state.wanted,
        Some(SeekTarget::At(Moment::At(7_000_000_000))),
        "only the last of them is read"
    );
    press(&mut state, "<Down><Down>");
    let selected = names(&state)[state.selected].clone();
    go(&mut state);
    assert!(matches!(
        state.moment,
        Reached::At {
            elapsed_ns: 7_000_000_000,
            ..
        }
    ));
    assert!(state.total().bytes < at_end.bytes);
    assert_eq!(
        names(&state)[state.selected],
        selected,
        "the selection stays"
    );
    insta::assert_snapshot!("at_7_s", shown(&mut state, 80, 24));
    press(&mut state, "{{{{{{{{{{{{");
    assert_eq!(state.position, Position::Tick(0));
    press(&mut state, "]");
    assert_eq!(state.position, Position::Tick(1));
    press(&mut state, "p");
    assert_eq!(state.position, Position::Peak);
    go(&mut state);
    press(&mut state, "e");
    assert_eq!(state.position, Position::End);
    go(&mut state);
    assert_eq!(state.total(), at_end);
}

#[test]
fn the_mouse_selects_opens_scrolls_and_moves_the_slider() {
    let mut state = state();
    let area = Rect::new(0, 0, 80, 24);
    shown(&mut state, 80, 24);
    let areas = Areas::of(area, true);
    let click = |state: &mut TreeState, kind, column, row| {
        let event = MouseEvent {
            kind,
            column,
            row,
            modifiers: KeyModifiers::NONE,
        };
        handle(&Event::Mouse(event), state, area);
    };
    let down = MouseEventKind::Down(MouseButton::Left);
    click(&mut state, down, 40, areas.rows.y + 1);
    assert_eq!(state.selected, 1);
    click(&mut state, down, 40, areas.rows.y + 1);
    assert_eq!(names(&state), ["<module>", "main", "none"]);
    click(&mut state, down, 79, areas.chart.y);
    assert_eq!(state.position, Position::End);
    click(&mut state, down, 45, areas.chart.y);
    assert_eq!(state.position, Position::Tick(4));
    click(&mut state, down, 5, areas.rows.bottom() - 1);
    assert_eq!(state.selected, 1, "there is no row");
    press(&mut state, "*");
    shown(&mut state, 80, 12);
    click(&mut state, MouseEventKind::ScrollDown, 5, 5);
    assert!(state.top > 0);
    click(&mut state, MouseEventKind::ScrollUp, 5, 5);
    assert_eq!(state.top, 0);
}

#[test]
fn help_lists_every_key_and_any_key_closes_it() {
    let mut state = state();
    press(&mut state, "?");
    insta::assert_snapshot!("help", shown(&mut state, 80, 24));
    press(&mut state, "x");
    assert!(!state.shows_help);
    press(&mut state, "?q");
    assert!(state.is_over);
}

#[test]
fn without_unicode_every_character_is_ascii() {
    let mut state = state();
    state.look.unicode = false;
    for keys in ["", "?", "<Esc>*", "/walk<Enter>"] {
        press(&mut state, keys);
        let text = shown(&mut state, 80, 24);
        assert!(text.is_ascii(), "{text}");
    }
}

#[test]
fn without_colours_no_cell_has_one() {
    let mut state = state();
    let theme = Theme { look: look(true) };
    let buffer = cells(80, 24, |buffer| draw(buffer, &mut state, theme));
    let plain = ratatui_core::style::Color::Reset;
    assert!(
        buffer
            .content()
            .iter()
            .all(|cell| cell.fg == plain && cell.bg == plain)
    );
    let mut look = look(true);
    look.color = true;
    let buffer = cells(80, 24, |buffer| draw(buffer, &mut state, Theme { look }));
    assert!(buffer.content().iter().any(|cell| cell.fg != plain));
}

/// Whatever a traced program calls its files and functions, a cell holds what shows itself and no more.
#[test]
fn names_that_others_chose_reach_the_screen_as_text_only() {
    for name in [
        "\x1b[2J\x07",
        "\u{202e}evil\u{2066}",
        "a\nb\rc\td",
        "日本\u{301}\u{200d}語",
    ] {
        let name = format!("{name}{}", "x".repeat(10_000));
        let path = format!("{name}.heapsight");
        let mut state = TreeState::new(
            opened(&name),
            TreeSettings::default(),
            Path::new(&path),
            look(true),
        );
        for keys in ["", "*", "r*", "/evil|x<Enter>", "v"] {
            press(&mut state, keys);
            let theme = Theme { look: state.look };
            let buffer = cells(100, 40, |buffer| draw(buffer, &mut state, theme));
            let is_safe = |c: char| heapsight_report::is_safe(c, true);
            let all = buffer.content().iter().map(|cell| cell.symbol());
            let wrong: Vec<&str> = all.filter(|text| !text.chars().all(is_safe)).collect();
            assert!(wrong.is_empty(), "{wrong:?}");
        }
    }
}
