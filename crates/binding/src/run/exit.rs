//! The end of a recorded run, in two steps.
//!
//! 1. As the first-registered `atexit` callback, after everything of the program's own: the last tick is written while
//!    the program's objects are still there, for "live at exit" is of no use once the interpreter has freed everything.
//! 2. As a C-level exit function, after finalisers have run and standard output is flushed: the summary, so that it is
//!    the last thing on standard error.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use heapsight_capture::Exit;
use heapsight_cli::message;
use heapsight_tracer::{recorder, timer};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::run::recording::{self, ActiveRun};
use crate::testing::audit;
use heapsight_tracer::descriptor::Identity;

/// A recording that has ended and whose summary has not been printed.
static ENDED: Mutex<Option<ActiveRun>> = Mutex::new(None);

/// Step 1.
pub(crate) fn end_recording(py: Python<'_>) {
    let Some(run) = recording::take_active().filter(ActiveRun::is_ours) else {
        return;
    };
    py.detach(timer::end);
    heapsight_tracer::put_hooks_back();
    for problem in audit::at_exit() {
        say(&run, &format!("heapsight: audit: {problem}"));
    }
    let recorded = recorder::finish(Exit::Interpreter);
    heapsight_tracer::finalization_begins();
    heapsight_tracer::stop_session();
    if let Some(failure) = recorded.and_then(|recorded| recorded.failure) {
        let text = format!("{} is incomplete: {failure}", run.capture.display());
        say(&run, &message(&text));
    } else if !run.is_in_place() {
        let name = run.capture.display();
        let text = format!(
            "{name} was removed or replaced while the program ran: there is no recording of it"
        );
        say(&run, &message(&text));
        return;
    }
    *ENDED.lock().unwrap_or_else(PoisonError::into_inner) = Some(run);
    // SAFETY: 1. the thread state is attached: we were called from Python. 2. the function has C's calling convention,
    // and unwinds never.
    // 3. this library is never unloaded: CPython does not close extension modules.
    if unsafe { ffi::Py_AtExit(Some(print_summary)) } != 0 {
        print_summary(); // the table of exit functions is full: early is better than never
    }
}

/// Step 2.
extern "C" fn print_summary() {
    // A panic must not reach C, and has already said what is wrong; the program's exit status stands.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(run) = ended.filter(ActiveRun::is_ours) else {
            return;
        };
        let merged = heapsight_cli::merge_at_exit(&run.spec, &run.capture);
        if !stderr_is_unchanged(&run) {
            return;
        }
        let mut stderr = io::stderr().lock();
        let combined = match &merged {
            Some(Ok(combined)) => Some(combined.as_path()),
            Some(Err(reason)) => {
                let text = format!("the captures are not combined: {reason}");
                let _ = writeln!(stderr, "{}", message(&text));
                None
            }
            None => None,
        };
        let summary = heapsight_cli::exit_summary(&run.spec, &run.capture, combined, &mut stderr);
        if let Err(error) = summary {
            let text = format!("no summary of {}: {error}", run.capture.display());
            let _ = writeln!(stderr, "{}", message(&text));
        }
    }));
}

fn say(run: &ActiveRun, line: &str) {
    if stderr_is_unchanged(run) {
        let _ = writeln!(io::stderr(), "{line}");
    }
}

/// A program may have closed descriptor 2 and got the number back for a file of its own: never write into that.
fn stderr_is_unchanged(run: &ActiveRun) -> bool {
    run.stderr.is_some() && run.stderr == Identity::of_stderr()
}
