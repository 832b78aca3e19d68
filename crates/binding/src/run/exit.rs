//! The end of a recorded run, in two steps.
//!
//! 1. As the first-registered `atexit` callback, after everything of the program's own: the last tick is written while
//!    the program's objects are still there, for "live at exit" is of no use once the interpreter has freed everything.
//! 2. As a C-level exit function, after finalisers have run and standard output is flushed: the summary, so that it is
//!    the last thing on standard error. The command prints it, in a process of its own: what reads captures and draws
//!    tables need not be loaded here, and what it takes is not this program's memory.

use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use heapsight_capture::account::Account;
use heapsight_capture::{Exit, Note};
use heapsight_handover::{RUN_VARIABLE, SUMMARIZE};
use heapsight_report::message;
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
    if let Ok(account) = heapsight_tracer::account() {
        recorder::add_note(&Note {
            name: Account::NOTE.to_owned(),
            text: account.to_text(),
        });
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
    let is_wanted = run.spec.top.is_some() || run.spec.merge;
    if !is_wanted || run.spec.is_child {
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
        if let Some(run) = ended.filter(ActiveRun::is_ours)
            && let Err(problem) = summarize(&run)
        {
            let text = format!("no summary of {}: {problem}", run.capture.display());
            say(&run, &message(&text));
        }
    }));
}

/// Has the command print the summary, and waits for that.
fn summarize(run: &ActiveRun) -> Result<(), String> {
    let Some(summarizer) = &run.spec.summarizer else {
        return Err("the command is not known".to_owned());
    };
    let settings = run.spec.to_env_value().map_err(|error| error.to_string())?;
    let mut command = Command::new(summarizer);
    command
        .args([SUMMARIZE.as_ref(), run.capture.as_os_str()])
        .env(RUN_VARIABLE, settings)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    if !stderr_is_unchanged(run) {
        command.stderr(Stdio::null()); // but captures may be to be combined
    }
    let about = |error: io::Error| format!("cannot start {}: {error}", summarizer.display());
    let mut child = command.spawn().map_err(about)?;
    match child.wait() {
        Ok(status) => match status.signal() {
            Some(signal) => Err(format!("{} died of signal {signal}", summarizer.display())),
            None => Ok(()),
        },
        // Where the program has the system forget its children, this comes once the child is gone.
        Err(_) => Ok(()),
    }
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
