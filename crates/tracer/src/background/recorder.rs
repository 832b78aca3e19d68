//! Writes a capture file while the program runs: a native thread, without the GIL, that appends at each tick what has
//! changed.

mod backlog;
mod bits;
mod budget;
mod rows;
mod state;
#[cfg(test)]
mod tests;
mod told;
mod tracer_bytes;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use heapsight_capture::{Exit, Header, Note};

use self::state::{Extent, State};
use crate::background::limits::LOOK;
use crate::background::{termination, timer};
use crate::hooks::install::{attaching_is_safe, hooks_may_be_gone};
use crate::interpreter::signals;
use crate::readout::snapshot;
use crate::tables::history;
use crate::view;

/// What became of a recording.
#[derive(Debug)]
pub struct Recorded {
    /// Bytes written to the file.
    pub bytes_written: u64,
    /// Why the file lacks something, if it does.
    pub failure: Option<String>,
}

/// A recording in progress. Belongs to the process that began it.
struct Recording {
    pid: u32,
    shared: Arc<Shared>,
    tick: Duration,
    /// `None` while paused.
    thread: Option<JoinHandle<()>>,
}

impl Recording {
    /// The recording that this process began. A forked child inherits the value, but has none of its own.
    fn of_this_process(recording: &mut Option<Self>) -> Option<&mut Self> {
        recording
            .as_mut()
            .filter(|recording| recording.pid == std::process::id())
    }

    fn start_thread(&mut self) -> io::Result<()> {
        let (recorder, tick) = (Arc::clone(&self.shared), self.tick);
        self.thread = Some(signals::with_signals_blocked(|| {
            std::thread::Builder::new()
                .name("heapsight".to_owned())
                .stack_size(1 << 20)
                .spawn(move || run(&recorder, tick))
        })?);
        Ok(())
    }

    fn end_thread(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        self.shared.stop.store(true, Ordering::Release);
        history::WRITER.ring();
        // The recorder does not panic; if it did, what it had written is still good.
        let _ = thread.join();
        self.shared.stop.store(false, Ordering::Release);
    }
}

struct Shared {
    state: Mutex<State>,
    stop: AtomicBool,
    repair: Option<fn()>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static RECORDING: Mutex<Option<Recording>> = Mutex::new(None);

/// Starts writing to `sink` every `tick`. Tracing should be on already. When another tool may have taken the hooks
/// away, `repair` is called on a thread of its own, to take the GIL and [put them back](crate::put_hooks_back). A
/// [`Guarded`](crate::descriptor::Guarded) file is what withstands the traced program.
///
/// # Errors
/// When the header cannot be written or the thread cannot be made.
pub fn begin(
    sink: impl Write + Send + 'static,
    header: &Header,
    tick: Duration,
    repair: Option<fn()>,
) -> io::Result<()> {
    let _apart = heapsight_native::apart();
    view::recording_begins();
    let shared = Arc::new(Shared {
        state: Mutex::new(State::begin(Box::new(sink), header)?),
        stop: AtomicBool::new(false),
        repair,
    });
    let mut recording = Recording {
        pid: std::process::id(),
        shared,
        tick,
        thread: None,
    };
    recording.start_thread()?;
    *RECORDING.lock().unwrap_or_else(PoisonError::into_inner) = Some(recording);
    Ok(())
}

/// Writes a tick now, from the calling thread: so that the file knows this very moment.
pub fn tick_now() {
    with_recording(|recording| recording.shared.state().tick(Extent::Whole));
}

/// Runs `action` with the recording of this process, if there is one. Signals are blocked meanwhile: a handler that
/// waits for the recorder's thread must not interrupt whoever holds its locks.
fn with_recording(action: impl FnOnce(&mut Recording)) {
    signals::with_signals_blocked(|| {
        let mut recording = RECORDING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(recording) = Recording::of_this_process(&mut recording) {
            action(recording);
        }
    });
}

/// Ends the recording thread until [`resume`]. Nothing is lost: the next tick writes what has changed since the last.
pub(super) fn pause() {
    with_recording(Recording::end_thread);
}

/// Starts the recording thread again after [`pause`], in the process that began the recording only.
pub(super) fn resume() {
    signals::with_signals_blocked(|| {
        // A child made by `fork` may find the lock taken by a thread that it does not have.
        let Ok(mut recording) = RECORDING.try_lock() else {
            return;
        };
        let recording = Recording::of_this_process(&mut recording);
        if let Some(recording) = recording.filter(|recording| recording.thread.is_none()) {
            // Without a thread there are no more ticks but the one of `finish`.
            let _ = recording.start_thread();
        }
    });
}

/// Writes a named text, if there is a recording of this process.
pub fn add_note(note: &Note) {
    with_recording(|recording| recording.shared.state().note(note));
}

/// Writes the last tick and closes the file. `None` when nothing was being recorded by this process (a forked child has
/// none of its own).
#[must_use]
pub fn finish(exit: Exit) -> Option<Recorded> {
    signals::with_signals_blocked(|| finish_undisturbed(exit))
}

fn finish_undisturbed(exit: Exit) -> Option<Recorded> {
    // A child made by `fork` may find the lock taken by a thread that it does not have.
    let mut recording = RECORDING
        .try_lock()
        .ok()?
        .take_if(|recording| recording.pid == std::process::id())?;
    recording.end_thread();
    view::recording_ends();
    let finished = recording.shared.state().finish(exit);
    snapshot::set_recorder_bytes(0);
    let (bytes_written, failure) = finished?;
    Some(Recorded {
        bytes_written,
        failure,
    })
}

/// How often the recorder looks whether memory is about to run out when it is: each look is a tick then. Else it looks
/// after each [`LOOK`], or at each tick if these are nearer.
const CLOSE_LOOK: Duration = Duration::from_millis(10);

fn run(shared: &Shared, tick: Duration) {
    // Whatever this thread asks for, and zstd on it, is ours.
    let _apart = heapsight_native::apart();
    termination::listen();
    let mut due = Instant::now() + tick;
    let mut look = LOOK;
    loop {
        let heard = history::WRITER.rung();
        if shared.stop.load(Ordering::Acquire) {
            break;
        }
        if termination::is_asked() {
            shared.state().tick(Extent::Ready);
            termination::answer();
        }
        if history::take_call() {
            shared.state().tick(Extent::Share(tick));
        }
        let wait = due.saturating_duration_since(Instant::now()).min(look);
        history::WRITER.wait(heard, wait);
        if history::WRITER.rung() != heard {
            continue;
        }
        let is_due = due <= Instant::now();
        if let Some(repair) = shared.repair
            && hooks_may_be_gone()
            && attaching_is_safe()
        {
            timer::run_errand(repair);
        }
        let is_near = shared.state().look(is_due, tick);
        look = if is_near { CLOSE_LOOK } else { LOOK };
        if is_due {
            // Ticks that were missed are not made up for.
            due = (due + tick).max(Instant::now() + tick / 2);
        }
    }
    termination::stop_listening();
}
