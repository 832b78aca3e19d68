//! The call tree on a terminal.

use std::path::Path;
use std::time::Duration;

use crossterm::event::{Event, KeyEventKind};
use heapsight_analysis::recording::SeekTarget;
use heapsight_report::Look;
use ratatui_core::layout::Rect;

use crate::input::tree::{key, mouse};
use crate::screen::{Screen, TerminalError, next_event};
use crate::state::tree::{Opened, TreeSettings, TreeState};
use crate::theme::Theme;
use crate::view::tree::{Areas, draw};

/// With nothing to do, the view waits for so long at a time.
const IDLE: Duration = Duration::from_secs(3600);

/// Shows the tree of a capture until somebody leaves. `open` brings it to another moment, or says in one line why not.
///
/// # Errors
/// When there is no terminal that can show it.
pub fn tree(
    path: &Path,
    opened: Opened,
    settings: TreeSettings,
    look: Look,
    open: &mut dyn FnMut(SeekTarget) -> Result<Opened, String>,
) -> Result<(), TerminalError> {
    let mut state = TreeState::new(opened, settings, path, look);
    let theme = Theme { look };
    let mut screen = Screen::enter()?;
    while !state.is_over {
        screen.draw(|buffer| draw(buffer, &mut state, theme))?;
        // A moment is read when no key waits: who holds one down goes past many.
        let patience = if state.wanted.is_some() {
            Duration::ZERO
        } else {
            IDLE
        };
        match next_event(patience)? {
            Some(event) => {
                let (columns, rows) = screen.size()?;
                handle(&event, &mut state, Rect::new(0, 0, columns, rows));
            }
            None => {
                if let Some(when) = state.wanted.take() {
                    match open(when) {
                        Ok(opened) => state.arrive(opened),
                        Err(why) => state.message = Some(why),
                    }
                }
            }
        }
    }
    Ok(())
}

/// Does what an event means on a screen of this size.
fn handle(event: &Event, state: &mut TreeState, area: Rect) {
    let action = match event {
        Event::Key(event) if event.kind != KeyEventKind::Release => key(*event, state),
        Event::Mouse(event) => mouse(*event, state, &Areas::of(area, state.shows_source)),
        _ => None,
    };
    if let Some(action) = action {
        state.apply(action);
    }
}

#[cfg(test)]
mod tests;
