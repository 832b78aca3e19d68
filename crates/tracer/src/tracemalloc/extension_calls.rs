//! Intercepts the calls by which extension modules report their blocks. The interpreter would pass them only to its own
//! tracer.

use std::sync::{Mutex, PoisonError};

use heapsight_cpython::redirect::Redirect;

pub use heapsight_cpython::redirect::RedirectError;

use crate::tracemalloc::extension;

/// The two functions, while their calls come here.
static REDIRECTS: Mutex<Vec<Redirect>> = Mutex::new(Vec::new());

/// Has `PyTraceMalloc_Track` and `PyTraceMalloc_Untrack` report to this tracer. Does nothing when they do. Call with
/// the GIL held.
///
/// # Errors
/// [`RedirectError`]; the calls go where they went then.
pub fn take() -> Result<(), RedirectError> {
    let mut redirects = REDIRECTS.lock().unwrap_or_else(PoisonError::into_inner);
    if !redirects.is_empty() {
        return Ok(());
    }
    // SAFETY: functions of the same signatures, in a library that is never unloaded; the GIL is held.
    unsafe {
        let track = Redirect::install(
            c"PyTraceMalloc_Track",
            extension::track as *const () as usize,
        )?;
        match Redirect::install(
            c"PyTraceMalloc_Untrack",
            extension::untrack as *const () as usize,
        ) {
            Ok(untrack) => redirects.extend([track, untrack]),
            Err(error) => {
                if track.remove().is_err() {
                    redirects.push(track);
                }
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Gives the calls back to the interpreter. Call with the GIL held.
pub fn restore() {
    let mut redirects = REDIRECTS.lock().unwrap_or_else(PoisonError::into_inner);
    // One that the system does not let go of stays: while nothing is traced it answers as the interpreter's own does.
    // SAFETY: the GIL is held, and these functions are changed by this module only.
    redirects.retain(|redirect| unsafe { redirect.remove().is_err() });
}
