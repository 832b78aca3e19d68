//! What happens inside the process of `heapsight run`: beginning and end of the recording, forks, and the ways out that
//! run no exit function.
//!
//! Nothing here may change what the program sees; whatever goes wrong is one line and the program goes on.

pub(crate) mod exit;
pub(crate) mod first_start;
pub(crate) mod fork;
pub(crate) mod last_tick;
pub(crate) mod recording;
