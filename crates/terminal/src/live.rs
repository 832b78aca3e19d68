//! A program as it runs, on a terminal: nothing but its capture is read.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyEventKind};
use heapsight_capture::{Capture, Follow, ReadError};
use heapsight_report::Look;
use ratatui_core::layout::Rect;

use crate::input::live::{Meaning, key, mouse};
use crate::screen::{Screen, TerminalError, next_event};
use crate::state::live::LiveState;
use crate::theme::Theme;
use crate::view::live::{Areas, draw};

/// How long the view waits for a key before it looks at the file again.
const PATIENCE: Duration = Duration::from_millis(50);

/// New figures come no sooner than this after the last ones: who reads them needs the time.
const FIGURES_EVERY: Duration = Duration::from_millis(250);

/// Taking the figures costs no more than one part in so many of the time.
const SHARE_OF_TIME: u32 = 10;

/// Reading a long file goes on for so long before keys are looked at again.
const READING: Duration = Duration::from_millis(100);

/// Why a program cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// There is no terminal that can show it.
    #[error(transparent)]
    Terminal(#[from] TerminalError),
    /// Its capture cannot be read.
    #[error(transparent)]
    Capture(#[from] ReadError),
}

impl From<io::Error> for LiveError {
    fn from(error: io::Error) -> Self {
        Self::Terminal(error.into())
    }
}

/// What is to be watched.
pub struct Watched<'a> {
    /// Its capture, at its beginning.
    pub capture: File,
    /// What runs, for people.
    pub name: String,
    /// Whether the process is still there, where that can be told.
    pub is_alive: Option<&'a dyn Fn() -> bool>,
}

/// Shows a capture as it grows, until somebody leaves. The program does not notice.
///
/// # Errors
/// When there is no terminal that can show it, or the file is no capture.
pub fn live(watched: Watched<'_>, look: Look) -> Result<(), LiveError> {
    let mut follower = Follower::new(watched.capture);
    // What is no capture is refused before the screen is taken.
    follower.read(Duration::ZERO)?;
    let mut state = LiveState::new(watched.name, None, look);
    let theme = Theme { look };
    let mut screen = Screen::enter()?;
    while !state.is_over {
        follower.update(&mut state)?;
        let is_gone = watched.is_alive.is_some_and(|is_alive| !is_alive());
        if state.ended.is_none() && (is_gone || follower.is_over()) {
            follower.read(READING)?;
            state.end(follower.how_it_ended(is_gone));
        }
        screen.draw(|buffer| draw(buffer, &mut state, theme))?;
        if let Some(event) = next_event(PATIENCE)? {
            let (columns, rows) = screen.size()?;
            handle(&event, &mut state, Rect::new(0, 0, columns, rows));
        }
    }
    Ok(())
}

/// Does what an event means on a screen of this size.
pub(crate) fn handle(event: &Event, state: &mut LiveState, area: Rect) {
    match event {
        Event::Key(event) if event.kind != KeyEventKind::Release => match key(*event, state) {
            Some(Meaning::Action(action)) => state.apply(action),
            Some(Meaning::Typed(bytes)) => state.type_into_program(&bytes),
            None => {}
        },
        Event::Mouse(event) => {
            let areas = Areas::of(area, state.program.is_some());
            if let Some(action) = mouse(*event, state, &areas) {
                state.apply(action);
            }
        }
        _ => {}
    }
}

/// Reads a capture as it grows, and takes the figures out of it now and then.
pub(crate) struct Follower {
    follow: Follow<File>,
    /// Whether there were ticks since the figures were taken.
    has_news: bool,
    next_figures: Instant,
}

impl Follower {
    pub(crate) fn new(capture: File) -> Self {
        Self {
            follow: Follow::new(capture),
            has_news: false,
            next_figures: Instant::now(),
        }
    }

    /// Reads what has come, but for no longer than a while.
    pub(crate) fn read(&mut self, patience: Duration) -> Result<(), ReadError> {
        let began = Instant::now();
        while self.follow.advance()? {
            self.has_news = true;
            if began.elapsed() >= patience {
                break;
            }
        }
        Ok(())
    }

    /// Has the state show what has come.
    pub(crate) fn update(&mut self, state: &mut LiveState) -> Result<(), ReadError> {
        self.read(READING)?;
        let is_due = self.has_news && !state.is_paused && Instant::now() >= self.next_figures;
        if let Some(capture) = self.follow.capture()
            && (is_due || state.is_stale)
        {
            let began = Instant::now();
            state.refresh(capture);
            self.next_figures = began + FIGURES_EVERY.max(began.elapsed() * SHARE_OF_TIME);
            self.has_news = false;
        }
        Ok(())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.follow.is_over()
    }

    /// What became of the recording.
    pub(crate) fn how_it_ended(&self, is_gone: bool) -> String {
        match self.follow.capture() {
            Some(Capture { end: Some(_), .. }) => "the recording has ended".to_owned(),
            Some(Capture {
                truncation: Some(truncation),
                ..
            }) => format!("the capture is {truncation}"),
            _ if is_gone => "the process is gone".to_owned(),
            _ => "the recording has stopped".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
