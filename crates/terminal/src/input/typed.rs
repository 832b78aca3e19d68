//! Keys as the bytes that a terminal sends for them.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The bytes of a key; `None` for one that terminals send nothing for. Programs may have asked for another form of the
/// cursor keys.
pub(crate) fn bytes(event: KeyEvent, application_cursor: bool) -> Option<Vec<u8>> {
    let has = |modifier| event.modifiers.contains(modifier);
    let cursor = |letter: char| {
        let modifiers = u8::from(has(KeyModifiers::SHIFT))
            + 2 * u8::from(has(KeyModifiers::ALT))
            + 4 * u8::from(has(KeyModifiers::CONTROL));
        match modifiers {
            0 if application_cursor => format!("\x1bO{letter}").into_bytes(),
            0 => format!("\x1b[{letter}").into_bytes(),
            modifiers => format!("\x1b[1;{}{letter}", modifiers + 1).into_bytes(),
        }
    };
    let numbered = |number: u8| format!("\x1b[{number}~").into_bytes();
    let mut out = match event.code {
        KeyCode::Char(character) if has(KeyModifiers::CONTROL) => vec![control(character)?],
        KeyCode::Char(character) => character.to_string().into_bytes(),
        KeyCode::Enter => vec![b'\r'],
        KeyCode::Tab => vec![b'\t'],
        KeyCode::BackTab => b"\x1b[Z".to_vec(),
        KeyCode::Backspace => vec![0x7f],
        KeyCode::Esc => vec![0x1b],
        KeyCode::Up => return Some(cursor('A')),
        KeyCode::Down => return Some(cursor('B')),
        KeyCode::Right => return Some(cursor('C')),
        KeyCode::Left => return Some(cursor('D')),
        KeyCode::Home => return Some(cursor('H')),
        KeyCode::End => return Some(cursor('F')),
        KeyCode::Insert => numbered(2),
        KeyCode::Delete => numbered(3),
        KeyCode::PageUp => numbered(5),
        KeyCode::PageDown => numbered(6),
        KeyCode::F(number @ 1..=4) => vec![0x1b, b'O', b'O' + number],
        KeyCode::F(5) => numbered(15),
        KeyCode::F(number @ 6..=10) => numbered(11 + number),
        KeyCode::F(number @ 11..=12) => numbered(12 + number),
        _ => return None,
    };
    if has(KeyModifiers::ALT) {
        out.insert(0, 0x1b);
    }
    Some(out)
}

/// What a letter is with Ctrl.
fn control(character: char) -> Option<u8> {
    match character.to_ascii_lowercase() {
        letter @ 'a'..='z' => Some(letter as u8 - b'a' + 1),
        ' ' | '@' | '2' => Some(0),
        '[' | '3' => Some(0x1b),
        '\\' | '4' => Some(0x1c),
        ']' | '5' => Some(0x1d),
        '^' | '6' => Some(0x1e),
        '_' | '7' => Some(0x1f),
        '8' => Some(0x7f),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: KeyCode, modifiers: KeyModifiers) -> Option<Vec<u8>> {
        bytes(KeyEvent::new(code, modifiers), false)
    }

    #[test]
    fn keys_are_what_a_terminal_sends() {
        let none = KeyModifiers::NONE;
        let cases: [(KeyCode, KeyModifiers, &[u8]); 12] = [
            (KeyCode::Char('ä'), none, "ä".as_bytes()),
            (KeyCode::Char('c'), KeyModifiers::CONTROL, b"\x03"),
            (KeyCode::Char('d'), KeyModifiers::CONTROL, b"\x04"),
            (KeyCode::Char('x'), KeyModifiers::ALT, b"\x1bx"),
            (KeyCode::Enter, none, b"\r"),
            (KeyCode::Backspace, none, b"\x7f"),
            (KeyCode::Up, none, b"\x1b[A"),
            (KeyCode::Left, KeyModifiers::CONTROL, b"\x1b[1;5D"),
            (KeyCode::F(1), none, b"\x1bOP"),
            (KeyCode::F(6), none, b"\x1b[17~"),
            (KeyCode::F(12), none, b"\x1b[24~"),
            (KeyCode::Delete, none, b"\x1b[3~"),
        ];
        for (code, modifiers, expected) in cases {
            assert_eq!(of(code, modifiers).as_deref(), Some(expected), "{code:?}");
        }
        assert_eq!(of(KeyCode::CapsLock, none), None);
        let up = KeyEvent::new(KeyCode::Up, none);
        assert_eq!(bytes(up, true).as_deref(), Some(&b"\x1bOA"[..]));
    }
}
