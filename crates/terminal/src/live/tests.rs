//! A program as it runs, without a terminal and without the program: only its capture, which a test writes.

use std::io::Write;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use heapsight_analysis::Metric;

use super::*;
use crate::state::live::{Focus, LiveSort};
use crate::state::program::Program;
use crate::testing::{cells, look, recording, screen};

/// What a file of the recording has after so many ticks: the bytes up to there.
fn ticks_until(file: &[u8], ticks: usize) -> usize {
    let mut frames = 0;
    let mut at = 12;
    while frames <= ticks {
        let length = u32::from_le_bytes(file[at + 4..at + 8].try_into().expect("four bytes"));
        at += 16 + length as usize;
        frames += 1;
    }
    at
}

/// A capture that grows, and a view of it.
struct Growing {
    bytes: Vec<u8>,
    written: usize,
    file: tempfile::NamedTempFile,
    follower: Follower,
    state: LiveState,
}

impl Growing {
    fn new(name: &str, program: Option<Program>) -> Self {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let follower = Follower::new(file.reopen().expect("it is there"));
        Self {
            bytes: recording(name),
            written: 0,
            file,
            follower,
            state: LiveState::new("shop.py".to_owned(), program, look(true)),
        }
    }

    /// The program goes on to a tick.
    fn grow(&mut self, ticks: usize) {
        let until = ticks_until(&self.bytes, ticks);
        self.write(until);
    }

    fn write(&mut self, until: usize) {
        let new = &self.bytes[self.written..until];
        self.file.write_all(new).expect("writable");
        self.written = until;
        self.state.is_stale = true;
        self.follower.update(&mut self.state).expect("a capture");
    }

    fn press(&mut self, keys: &str) {
        for character in keys.chars() {
            let (code, modifiers) = match character {
                '\t' => (KeyCode::Tab, KeyModifiers::NONE),
                '\n' => (KeyCode::Enter, KeyModifiers::NONE),
                '\x1b' => (KeyCode::Esc, KeyModifiers::NONE),
                '\x1d' => (KeyCode::Char(']'), KeyModifiers::CONTROL),
                '\x03' => (KeyCode::Char('c'), KeyModifiers::CONTROL),
                character => (KeyCode::Char(character), KeyModifiers::NONE),
            };
            let event = Event::Key(KeyEvent::new(code, modifiers));
            handle(&event, &mut self.state, Rect::new(0, 0, 80, 24));
        }
        self.follower.update(&mut self.state).expect("a capture");
    }

    fn shown(&mut self, columns: u16, rows: u16) -> String {
        let theme = Theme {
            look: self.state.look,
        };
        screen(columns, rows, |buffer| draw(buffer, &mut self.state, theme))
    }

    fn change_of(&self, function: &str) -> (i64, i64) {
        let mut rows = self.state.rows.iter();
        rows.find(|row| row.place.function == function)
            .unwrap_or_else(|| panic!("{function}"))
            .change
    }
}

fn with_output() -> Program {
    let mut program = Program::new(8, 80);
    program.feed(b"loading\r\n\x1b[1;31m7 orders\x1b[0m done\r\n> ");
    program
}

#[test]
fn the_table_has_what_came_since_the_mark() {
    let mut view = Growing::new("report", None);
    assert!(view.shown(80, 24).contains("not one tick yet"));
    view.grow(2);
    assert_eq!(
        view.change_of("report"),
        (0, 0),
        "it begins with the first figures"
    );
    view.grow(4);
    // 13,000 and 14,000 bytes, times three: that function is the third.
    assert_eq!(view.change_of("report"), (3 * 27_000, 2));
    insta::assert_snapshot!("80x24", view.shown(80, 24));
    insta::assert_snapshot!("120x40", view.shown(120, 40));
    insta::assert_snapshot!("20x5", view.shown(20, 5));
    view.press("d");
    assert_eq!(view.change_of("report"), (0, 0));
    assert_eq!(view.state.mark_ns(), Some(4_000_000_000));
    view.grow(8);
    assert_eq!(view.change_of("loads").1, 0, "four came and four went");
    assert!(view.shown(80, 24).contains("since 4.0 s (d)"));
}

#[test]
fn output_of_the_program_has_a_pane() {
    let mut view = Growing::new("report", Some(with_output()));
    view.grow(3);
    insta::assert_snapshot!("with_program_80x24", view.shown(80, 24));
    insta::assert_snapshot!("with_program_120x40", view.shown(120, 40));
    insta::assert_snapshot!("with_program_20x5", view.shown(20, 5));
}

#[test]
fn every_size_has_a_screen() {
    for keys in ["", "?", "\t", "/walk"] {
        let mut view = Growing::new("report", Some(with_output()));
        view.grow(3);
        view.press(keys);
        for columns in [1, 2, 3, 7, 15, 20, 23, 24, 30, 49, 50, 200] {
            for rows in (1..13).chain([19, 20, 22, 34]) {
                let area = Rect::new(0, 0, columns, rows);
                let (rows_of, columns_of) = Areas::program_size(area);
                let program = view.state.program.as_mut().expect("it has one");
                program.resize(rows_of, columns_of);
                let _ = view.shown(columns, rows);
            }
        }
    }
}

#[test]
fn keys_choose_what_is_shown() {
    let mut view = Growing::new("report", None);
    view.grow(3);
    view.grow(5);
    view.press("s");
    assert_eq!(view.state.sort, LiveSort::Change);
    let changes: Vec<i64> = view.state.rows.iter().map(|row| row.change.0).collect();
    assert!(changes.is_sorted_by(|a, b| a >= b), "{changes:?}");
    view.press("m");
    assert_eq!(view.state.metric, Metric::Peak);
    view.press("mmm");
    view.press("b");
    assert!(view.shown(80, 24).contains("blocks"));
    let without = view.state.rows.len();
    view.press("i");
    assert_eq!(view.state.rows.len(), without + 1);
    view.press("/walk|loads\n");
    assert_eq!(view.state.rows.len(), 2);
    view.press("/(\n");
    assert!(view.state.problem.is_some());
    view.press("\x1b");
    assert!(view.state.filter.is_empty());
    view.press("jj");
    assert_eq!(view.state.selected, 2);
    view.press("G");
    assert_eq!(view.state.selected, view.state.rows.len() - 1);
    view.press("?");
    insta::assert_snapshot!("help", view.shown(80, 24));
    view.press("xq");
    assert!(view.state.is_over);
}

#[test]
fn figures_stand_still_on_request() {
    let mut view = Growing::new("report", None);
    view.grow(2);
    view.press(" ");
    let before = view.state.total;
    view.follower.next_figures = Instant::now();
    let until = ticks_until(&view.bytes, 6);
    let new = view.bytes[view.written..until].to_vec();
    view.file.write_all(&new).expect("writable");
    view.follower.update(&mut view.state).expect("a capture");
    assert_eq!(view.state.total, before);
    view.press(" ");
    assert!(view.state.total.bytes > before.bytes);
}

#[test]
fn keys_go_to_the_program_when_it_has_the_focus() {
    let mut view = Growing::new("report", Some(with_output()));
    view.grow(2);
    view.press("\tq\n\x03");
    assert_eq!(view.state.focus, Focus::Program);
    assert!(!view.state.is_over);
    assert_eq!(view.state.to_program, b"q\r\x03");
    assert!(view.shown(80, 24).contains("the program has the keys"));
    view.press("\x1d");
    assert_eq!(view.state.focus, Focus::Table);
    view.press("\x03");
    assert_eq!(view.state.to_program, b"q\r\x03\x03", "as without the view");
    view.press("\t");
    view.state.end("it has ended".to_owned());
    assert_eq!(view.state.focus, Focus::Table);
    view.press("\t");
    assert_eq!(view.state.focus, Focus::Table, "nobody reads the keys");
    view.press("\x03");
    assert!(view.state.is_over);
}

#[test]
fn a_click_selects_or_gives_the_keys_away() {
    let mut view = Growing::new("report", Some(with_output()));
    view.grow(3);
    view.shown(80, 24);
    let area = Rect::new(0, 0, 80, 24);
    let areas = Areas::of(area, true);
    let click = |view: &mut Growing, kind, row| {
        let event = MouseEvent {
            kind,
            column: 3,
            row,
            modifiers: KeyModifiers::NONE,
        };
        handle(&Event::Mouse(event), &mut view.state, area);
    };
    let down = MouseEventKind::Down(MouseButton::Left);
    click(&mut view, down, areas.rows.y + 1);
    assert_eq!(view.state.selected, 1);
    click(&mut view, MouseEventKind::ScrollUp, 1);
    assert_eq!(view.state.selected, 0);
    click(&mut view, down, areas.program.y + 1);
    assert_eq!(view.state.focus, Focus::Program);
    click(&mut view, down, areas.title.y);
    assert_eq!(view.state.focus, Focus::Table);
}

#[test]
fn the_end_of_a_recording_is_told() {
    let mut view = Growing::new("report", None);
    view.grow(10);
    assert!(!view.follower.is_over());
    let all = view.bytes.len();
    view.write(all);
    assert!(view.follower.is_over());
    assert_eq!(view.follower.how_it_ended(false), "the recording has ended");
    let mut cut = Growing::new("report", None);
    cut.grow(3);
    assert_eq!(cut.follower.how_it_ended(true), "the process is gone");
}

/// What a program prints, and what it calls its files, is text.
#[test]
fn nothing_that_a_program_chose_reaches_a_cell_but_as_text() {
    let mut program = Program::new(8, 80);
    program.feed(
        "a\u{202e}b\u{2066}c \x1b]0;title\x07\x1b[5mblink \u{ad}\u{200b}日本\u{301}\r\n".as_bytes(),
    );
    program.feed(&[0x9b, 0x33, 0x31, 0x6d, 0xff, 0xfe, b'\n']);
    let name = format!("\x1b[2J\u{202e}{}", "x".repeat(10_000));
    let mut view = Growing::new(&name, Some(program));
    view.state.name.clone_from(&name);
    view.grow(3);
    for unicode in [true, false] {
        view.state.look.unicode = unicode;
        view.state.is_stale = true;
        view.press("");
        let theme = Theme {
            look: view.state.look,
        };
        let buffer = cells(100, 40, |buffer| draw(buffer, &mut view.state, theme));
        let is_safe = |c: char| heapsight_report::is_safe(c, unicode) || c == '\u{301}';
        let all = buffer.content().iter().map(|cell| cell.symbol());
        let wrong: Vec<&str> = all.filter(|text| !text.chars().all(is_safe)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
    let text = view.shown(100, 40);
    assert!(text.contains("abc"), "{text}");
}

#[test]
fn without_colours_no_cell_has_one_not_even_the_program_s() {
    let mut view = Growing::new("report", Some(with_output()));
    view.grow(3);
    let plain = ratatui_core::style::Color::Reset;
    for color in [false, true] {
        let mut look = look(true);
        look.color = color;
        let buffer = cells(80, 24, |buffer| {
            draw(buffer, &mut view.state, Theme { look });
        });
        let is_plain = buffer
            .content()
            .iter()
            .all(|cell| cell.fg == plain && cell.bg == plain);
        assert_eq!(is_plain, !color);
    }
}
