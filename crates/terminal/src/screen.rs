//! The terminal itself: made ready for a view, and given back as it was.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::time::Duration;

use crossterm::event::{self, DisableMouseCapture, EnableMouseCapture, Event};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute};
use ratatui_core::buffer::Buffer;
use ratatui_core::terminal::Terminal;
use ratatui_crossterm::CrosstermBackend;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{Termios, tcgetattr};

/// Why there can be no view.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// There is none, or not for this process.
    #[error("there is no terminal to show it on ({0})")]
    None(io::Error),
    /// It can do nothing but print.
    #[error("this terminal cannot show it (TERM is {0})")]
    Dumb(String),
    /// It failed.
    #[error("the terminal failed: {0}")]
    Failed(#[from] io::Error),
}

/// A terminal that shows a view. Given back when this goes, whatever the reason.
pub(crate) struct Screen {
    /// Never dropped: ratatui would then say on standard error that it cannot show the cursor of a terminal that went
    /// away, and end the process if that is gone, too. What it would do is done here.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<BufWriter<File>>>>,
    /// How it was set before.
    original: Option<Termios>,
}

/// Whether the terminal of this process can show a view.
///
/// # Errors
/// When there is none, or one that only prints.
pub fn check_terminal() -> Result<(), TerminalError> {
    terminal()?;
    can_draw(&std::env::var("TERM").unwrap_or_default())
}

/// Opens the terminal of this process, wherever its streams lead.
fn terminal() -> Result<File, TerminalError> {
    let tty = OpenOptions::new().read(true).write(true).open("/dev/tty");
    let tty = tty.map_err(TerminalError::None)?;
    match tty.is_terminal() {
        true => Ok(tty),
        false => Err(TerminalError::None(io::ErrorKind::Unsupported.into())),
    }
}

/// Terminals that can only print are refused by their name.
fn can_draw(term: &str) -> Result<(), TerminalError> {
    match term {
        "dumb" | "unknown" => Err(TerminalError::Dumb(term.to_owned())),
        "" => Err(TerminalError::Dumb("not set".to_owned())),
        _ => Ok(()),
    }
}

impl Screen {
    /// Takes the terminal of this process, wherever its streams lead.
    pub(crate) fn enter() -> Result<Self, TerminalError> {
        check_terminal()?;
        let tty = terminal()?;
        let original = tcgetattr(&tty).ok();
        let terminal = Terminal::new(CrosstermBackend::new(BufWriter::new(tty)))?;
        enable_raw_mode().map_err(TerminalError::None)?;
        // From here on it is given back.
        let mut screen = Self {
            terminal: ManuallyDrop::new(terminal),
            original,
        };
        // Not by the terminal's own `clear`, which would ask where the cursor is, by way of standard output.
        execute!(
            screen.terminal.backend_mut(),
            EnterAlternateScreen,
            Clear(ClearType::All),
            EnableMouseCapture,
            cursor::Hide
        )?;
        Ok(screen)
    }

    /// Shows what `draw` makes of an empty screen.
    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut Buffer)) -> io::Result<()> {
        self.terminal.draw(|frame| draw(frame.buffer_mut()))?;
        Ok(())
    }

    /// How the terminal was set before it was taken.
    pub(crate) fn original(&self) -> Option<&Termios> {
        self.original.as_ref()
    }

    /// The size: columns and rows.
    pub(crate) fn size(&self) -> io::Result<(u16, u16)> {
        let size = self.terminal.size()?;
        Ok((size.width, size.height))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nobody to tell if this fails.
        let backend = self.terminal.backend_mut();
        let _ = execute!(
            backend,
            cursor::Show,
            DisableMouseCapture,
            LeaveAlternateScreen
        );
        let _ = Write::flush(backend);
        let _ = disable_raw_mode();
    }
}

/// The next key or click, if one comes within `patience`.
///
/// # Errors
/// When the terminal fails, or has gone away.
pub(crate) fn next_event(patience: Duration) -> io::Result<Option<Event>> {
    // Keys that crossterm has read already make no terminal readable, so it is asked before the wait, too.
    for wait in [Duration::ZERO, patience] {
        wait_for_input(wait)?;
        // With no time at all it would not look.
        if event::poll(Duration::from_millis(1))? {
            return event::read().map(Some);
        }
    }
    Ok(None)
}

/// Waits until there is something to read, a signal came or `patience` is over. crossterm does not wait itself: it
/// takes a terminal that has gone away for one where nothing is typed. (Its feature `use-dev-tty` makes it come back
/// from there. Without, it would read nothing again and again if the terminal went away after we had looked.)
fn wait_for_input(patience: Duration) -> io::Result<()> {
    let stdin = io::stdin();
    // The same terminal that crossterm reads.
    let tty = match stdin.is_terminal() {
        true => None,
        false => Some(File::open("/dev/tty")?),
    };
    let input = tty.as_ref().map_or(stdin.as_fd(), File::as_fd);
    let mut looked_at = [PollFd::from_borrowed_fd(input, PollFlags::IN)];
    let patience = Timespec::try_from(patience).ok();
    match poll(&mut looked_at, patience.as_ref()) {
        Err(Errno::INTR) => return Ok(()),
        result => result?,
    };
    if looked_at[0]
        .revents()
        .intersects(PollFlags::HUP | PollFlags::ERR)
    {
        return Err(io::Error::new(io::ErrorKind::BrokenPipe, "it went away"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_only_prints_is_refused_by_its_name() {
        for (term, message) in [
            ("dumb", "this terminal cannot show it (TERM is dumb)"),
            ("", "this terminal cannot show it (TERM is not set)"),
        ] {
            let error = can_draw(term).expect_err("it cannot");
            assert_eq!(error.to_string(), message);
        }
        for term in ["xterm-256color", "linux", "tmux"] {
            assert!(can_draw(term).is_ok(), "{term}");
        }
    }
}
