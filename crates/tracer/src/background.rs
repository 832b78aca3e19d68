//! The tracer's own threads: the recorder, which appends to the capture, and the timer. Also the file descriptors that
//! they write to.
//!
//! These threads block all signals and do not take the GIL (what the timer calls may take it). They end before the
//! program forks: Python 3.12 and newer asks the system how many threads there are, and warns of a fork in a process
//! with more than one.

pub mod descriptor;
mod limits;
mod process_memory;
pub mod recorder;
pub mod termination;
pub mod timer;

/// Ends all threads of the tracer's own until [`resume`]. Call this before a fork; without the GIL if
/// [`timer::has_thread`]. Nothing is lost: what they would have done meanwhile they do later.
pub fn pause() {
    recorder::pause();
    timer::pause();
}

/// Starts the threads again that [`pause`] ended; the recorder in the process that began the recording only.
pub fn resume() {
    recorder::resume();
    timer::resume();
}

/// Is the calling thread the one that the process began with (or was left with, when another thread forked it)?
#[must_use]
pub fn is_first_thread() -> bool {
    // SAFETY: neither call has a precondition.
    unsafe { libc::syscall(libc::SYS_gettid) == libc::c_long::from(libc::getpid()) }
}
