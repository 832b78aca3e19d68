//! What a program has written to its terminal, as cells.

use std::num::NonZeroU16;

use heapsight_report::width;
use vt100::{Callbacks, Parser, Screen};

/// Lines kept of what has gone off the screen.
const SCROLLBACK: usize = 10_000;

/// Smaller screens than this are not given to a program.
const SMALLEST: NonZeroU16 = NonZeroU16::new(2).expect("it is not zero");

fn at_least_smallest(size: u16) -> NonZeroU16 {
    NonZeroU16::new(size).map_or(SMALLEST, |size| size.max(SMALLEST))
}

/// The screen of a program.
pub(crate) struct Program {
    parser: Parser<Answers>,
}

/// What a terminal answers when a program asks it.
#[derive(Default)]
struct Answers {
    bytes: Vec<u8>,
}

impl Callbacks for Answers {
    fn unhandled_csi(
        &mut self,
        screen: &mut Screen,
        first: Option<u8>,
        _: Option<u8>,
        params: &[&[u16]],
        command: char,
    ) {
        match (first, command, params) {
            (None, 'n', [[5]]) => self.bytes.extend_from_slice(b"\x1b[0n"),
            (None, 'n', [[6]]) => {
                let (row, column) = screen.cursor_position();
                let answer = format!("\x1b[{};{}R", row + 1, column + 1);
                self.bytes.extend_from_slice(answer.as_bytes());
            }
            (None, 'c', _) => self.bytes.extend_from_slice(b"\x1b[?6c"),
            _ => {}
        }
    }
}

impl Program {
    /// With so many rows and columns.
    pub(crate) fn new(rows: u16, columns: u16) -> Self {
        let (rows, columns) = (at_least_smallest(rows), at_least_smallest(columns));
        Self {
            parser: Parser::new_with_callbacks(rows, columns, SCROLLBACK, Answers::default()),
        }
    }

    /// Takes what the program wrote; gives what its terminal answers.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.parser.process(bytes);
        std::mem::take(&mut self.parser.callbacks_mut().bytes)
    }

    /// Gives it another size; true if it is another.
    pub(crate) fn resize(&mut self, rows: u16, columns: u16) -> bool {
        let wanted = (at_least_smallest(rows), at_least_smallest(columns));
        let is_new = self.parser.screen().size() != wanted;
        if is_new {
            self.parser.screen_mut().set_size(wanted.0, wanted.1);
        }
        is_new
    }

    /// Rows and columns.
    pub(crate) fn size(&self) -> (u16, u16) {
        let (rows, columns) = self.parser.screen().size();
        (rows.get(), columns.get())
    }

    /// The screen.
    pub(crate) fn screen(&self) -> &Screen {
        self.parser.screen()
    }

    /// All that was written, line by line, as far back as it is kept. The last line has no end if the program may go on
    /// writing in it.
    pub(crate) fn transcript(&mut self) -> String {
        let (rows, columns) = self.size();
        let rows = usize::from(rows);
        let screen = self.parser.screen_mut();
        screen.set_scrollback(usize::MAX);
        let mut above = screen.scrollback();
        let mut lines = Vec::new();
        while above > 0 {
            screen.set_scrollback(above);
            lines.extend(screen.rows(0, columns).take(above.min(rows)));
            above = above.saturating_sub(rows);
        }
        screen.set_scrollback(0);
        lines.extend(screen.rows(0, columns));
        let (row, column) = screen.cursor_position();
        let below_cursor = rows.saturating_sub(usize::from(row) + 1);
        let mut blank = 0;
        while lines.last().is_some_and(|line| line.trim().is_empty()) {
            lines.pop();
            blank += 1;
        }
        let is_within = blank == below_cursor && column > 0;
        // A prompt ends with a space, which is no content.
        let last = lines.last().map_or(0, |line| width(line));
        let gap = if is_within {
            usize::from(column).saturating_sub(last)
        } else {
            0
        };
        let mut text = lines.join("\n");
        if is_within {
            text += &" ".repeat(gap);
        } else if !lines.is_empty() {
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_went_off_the_screen_is_in_the_transcript() {
        let mut program = Program::new(4, 20);
        for number in 0..25 {
            program.feed(format!("line {number}\r\n").as_bytes());
        }
        let expected: String = (0..25).map(|number| format!("line {number}\n")).collect();
        assert_eq!(program.transcript(), expected);
        assert_eq!(program.transcript(), expected, "it can be asked for again");
        program.feed(b"more? ");
        assert_eq!(
            program.transcript(),
            expected + "more? ",
            "it goes on there"
        );
        assert_eq!(Program::new(4, 20).transcript(), "");
    }

    #[test]
    fn questions_to_the_terminal_are_answered() {
        let mut program = Program::new(10, 20);
        assert_eq!(program.feed(b"ab\x1b[6n"), b"\x1b[1;3R");
        assert_eq!(program.feed(b"\x1b[5n\x1b[c"), b"\x1b[0n\x1b[?6c");
        assert!(program.feed(b"plain").is_empty());
    }

    proptest! {
        #[test]
        fn nothing_that_a_program_writes_stops_the_view(
            pieces in proptest::collection::vec(
                (proptest::collection::vec(any::<u8>(), 0..200), 0..50_u16, 0..50_u16),
                0..8,
            ),
            sequences in proptest::collection::vec("\x1b\\[[0-9;]{0,6}[A-Za-z@`]|日|\r|\n|[a-z]{1,9}", 0..60),
        ) {
            let mut program = Program::new(0, 0);
            for (bytes, rows, columns) in pieces {
                program.feed(&bytes);
                program.resize(rows, columns);
                program.feed(sequences.concat().as_bytes());
            }
            let _ = program.transcript();
        }
    }
}
