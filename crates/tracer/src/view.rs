//! What the program sees, and what it may do to it.
//!
//! Without a recording the program owns the session: it starts and stops it. A recording owns its session; what the
//! program then asks for acts on its *view* alone: the recording misses nothing ([`crate::tables::recorded`]).

use std::sync::Mutex;
use std::sync::PoisonError;

use crate::config::{self, Config};
use crate::hooks::install::{self, StartError};
use crate::memory::lock;
use crate::session;
use crate::tables::path_filter::{self, PathFilter, Sight};
use crate::tables::{recorded, totals};

/// What the program asked for while it was recorded; `None`: nothing, so it sees what the recording does.
static ASKED: Mutex<Option<Config>> = Mutex::new(None);

fn asked() -> std::sync::MutexGuard<'static, Option<Config>> {
    ASKED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `change` on the tables while no hook does, and goes on tracing.
fn between_events(change: impl FnOnce(&mut lock::Held)) {
    session::change(|| {
        let mode = session::unchecked_mode();
        session::close();
        change(&mut lock::hold());
        session::invalidate_caches();
        session::open(mode);
    });
}

/// Starts tracing, for the program; does nothing when it is on already. Under a recording the program sees from now on
/// what it allocates, with at most as many frames as it asks for; a sample cannot be asked for then. Call with the GIL
/// held.
///
/// # Errors
/// [`StartError`]; nothing has changed then.
pub fn start(config: &Config) -> Result<(), StartError> {
    if !recorded::is_recorded() {
        return install::start(config);
    }
    if recorded::hides_new() {
        *asked() = Some(*config);
        between_events(|held| recorded::hide_all(held, true));
    }
    Ok(())
}

/// Stops tracing, for the program, and forgets what was traced. Call with the GIL held.
pub fn stop() {
    if !recorded::is_recorded() {
        return install::stop();
    }
    if is_tracing() {
        crate::tracemalloc::stop();
        between_events(|held| recorded::hide_all(held, false));
    }
}

/// Forgets all blocks and counters, for the program, and goes on tracing. Call with the GIL held.
pub fn clear() {
    if !recorded::is_recorded() {
        return install::clear();
    }
    if is_tracing() {
        between_events(|held| recorded::hide_all(held, true));
    }
}

/// Makes the present the highest point: the peak is from now on the highest traced memory since this call. Call with
/// the GIL held.
pub fn reset_peak() {
    if recorded::is_recorded() {
        between_events(recorded::reset_view_peak);
    } else {
        totals::reset_peak();
    }
}

/// Are blocks being traced, for the program?
#[must_use]
pub fn is_tracing() -> bool {
    session::is_tracing() && !recorded::hides_new()
}

/// The configuration that tracing was started with last. There are never more frames than a recording keeps.
#[must_use]
pub fn configuration() -> Config {
    let running = config::get();
    let asked = recorded::is_recorded().then(|| *asked()).flatten();
    asked.map_or(running, |asked| Config {
        frame_limit: asked.frame_limit.min(running.frame_limit),
        ..running
    })
}

/// Sets which call paths the program sees (`None`: all), and how much of a path the filter looks at. Call with the GIL
/// held.
pub fn set_path_filter(filter: Option<PathFilter>, sight: Sight) {
    if recorded::is_recorded() {
        between_events(|held| {
            recorded::filter_changed(held);
            path_filter::set(held, filter, sight);
        });
    } else {
        path_filter::set(&mut lock::hold(), filter, sight);
        session::invalidate_caches();
    }
}

/// From now on this process's session belongs to a recording.
pub(crate) fn recording_begins() {
    *asked() = None;
    path_filter::recording_begins(&mut lock::hold());
    recorded::begin();
}

/// The session is the program's again.
pub(crate) fn recording_ends() {
    recorded::end();
}
