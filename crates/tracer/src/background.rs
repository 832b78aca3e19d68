//! Threads of the tracer's own: the recorder that appends to the capture, and the timer. And the descriptors they write to.
//!
//! They never take the GIL, block all signals, and are away while the program forks.

pub mod descriptor;
pub mod recorder;
pub mod timer;
