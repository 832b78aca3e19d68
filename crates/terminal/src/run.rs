//! A program that runs within the view: it has a terminal of its own, whose screen is a part of ours.
//!
//! Only those of its streams that would lead to our terminal lead to that one; files and pipes stay what they are. When
//! somebody leaves the view the program runs on as if it had been started without it: what was on its screen is
//! printed, and from then on its terminal is ours.

mod plain;
mod pty;

use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use heapsight_report::{Look, is_safe};
use ratatui_core::layout::Rect;

use crate::live::{Follower, LiveError, handle};
use crate::screen::TerminalError;
use crate::screen::{Screen, next_event};
use crate::state::live::LiveState;
use crate::state::program::Program;
use crate::theme::Theme;
use crate::view::live::{Areas, draw};
use pty::{Child, Happening};

/// How long the view waits for a key before it looks at the program again.
const PATIENCE: Duration = Duration::from_millis(30);

/// Output is taken for no longer than this before the screen is drawn.
const TAKING: Duration = Duration::from_millis(50);

/// Why a program was not run within a view.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no terminal that can show it, or it went away.
    #[error(transparent)]
    Terminal(#[from] TerminalError),
    /// It could not be started.
    #[error(transparent)]
    Start(io::Error),
}

/// What of the program's streams leads to a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Streams {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

impl Streams {
    /// Those of this process, which the program would have without the view.
    fn of_process() -> Self {
        Self {
            stdin: io::stdin().is_terminal(),
            stdout: io::stdout().is_terminal(),
            stderr: io::stderr().is_terminal(),
        }
    }
}

/// Runs a program within the view; gives its status when both have ended. `capture` is the file that it will write,
/// which exists already.
///
/// # Errors
/// When there is no terminal that can show it, or the program cannot be started.
pub fn run(
    command: Command,
    capture: &Path,
    name: &str,
    look: Look,
) -> Result<ExitStatus, RunError> {
    let file = File::open(capture).map_err(RunError::Start)?;
    let mut screen = Screen::enter()?;
    let (columns, rows) = screen.size().map_err(TerminalError::Failed)?;
    let size = Areas::program_size(Rect::new(0, 0, columns, rows));
    let (mut child, happenings) =
        Child::start(command, Streams::of_process(), size, screen.original())
            .map_err(RunError::Start)?;
    let program = child.has_output().then(|| Program::new(size.0, size.1));
    let mut state = LiveState::new(name.to_owned(), program, look);
    let shown = show(&mut screen, &mut state, &mut child, &happenings, file);
    drop(screen);
    // Whatever became of the view, the program is not left alone.
    if let Err(error) = &shown {
        plain::say(&format!(
            "the view has failed ({error}): the program runs on"
        ));
    }
    let transcript = state.program.as_mut().map(Program::transcript);
    plain::print(&safe(&transcript.unwrap_or_default(), look));
    let status = match shown {
        Ok(Some(status)) => status,
        _ => plain::go_on(&mut child, &happenings).map_err(TerminalError::Failed)?,
    };
    Ok(status)
}

/// Lines that a program wrote, without what would do more than show itself.
fn safe(lines: &str, look: Look) -> String {
    let is_kept = |character: &char| *character == '\n' || is_safe(*character, look.unicode);
    lines.chars().filter(is_kept).collect()
}

/// Shows the view until somebody leaves it; gives the program's status if it has ended by then.
fn show(
    screen: &mut Screen,
    state: &mut LiveState,
    child: &mut Child,
    happenings: &Receiver<Happening>,
    capture: File,
) -> Result<Option<ExitStatus>, LiveError> {
    let theme = Theme { look: state.look };
    let mut follower = Follower::new(capture);
    let mut status = None;
    while !state.is_over {
        take(state, child, happenings, &mut status)?;
        follower.update(state)?;
        let (columns, rows) = screen.size()?;
        let area = Rect::new(0, 0, columns, rows);
        let (rows, columns) = Areas::program_size(area);
        if let Some(program) = &mut state.program
            && program.resize(rows, columns)
        {
            child.resize(rows, columns);
        }
        screen.draw(|buffer| draw(buffer, state, theme))?;
        if let Some(event) = next_event(PATIENCE)? {
            handle(&event, state, area);
        }
        child.write(&std::mem::take(&mut state.to_program));
    }
    Ok(status)
}

/// Takes what the program wrote, and what became of it.
fn take(
    state: &mut LiveState,
    child: &mut Child,
    happenings: &Receiver<Happening>,
    status: &mut Option<ExitStatus>,
) -> io::Result<()> {
    let began = Instant::now();
    while began.elapsed() < TAKING {
        match happenings.try_recv() {
            Ok(Happening::Output(bytes)) => {
                if let Some(program) = &mut state.program {
                    let answer = program.feed(&bytes);
                    child.write(&answer);
                }
            }
            Ok(Happening::Ended(ended)) => {
                let ended = ended?;
                *status = Some(ended);
                state.end(format!("the program has ended: {ended}; q leaves"));
            }
            Ok(Happening::Signal(signal)) => child.pass_on(signal),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
        }
    }
    Ok(())
}

/// Ends this process as the program ended: with its status, or by the signal that killed it.
#[must_use]
pub fn end_as(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;

    if let Some(code) = status.code() {
        return code;
    }
    let signal = status.signal().unwrap_or(0);
    // One memory image, that of the program, is enough.
    let no_image = rustix::process::Rlimit {
        current: Some(0),
        maximum: None,
    };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, no_image);
    let _ = signal_hook::low_level::emulate_default_handler(signal);
    128 + signal
}
