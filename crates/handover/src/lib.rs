//! What the two halves of a recorded run say to each other.
//!
//! `heapsight run` is a program of its own that becomes the interpreter ([`RunSpec`], in [`RUN_VARIABLE`]); at its end
//! the interpreter's process starts that program once more, for the summary ([`SUMMARIZE`], with the same settings).
//! Neither side needs any of the other's code: what is loaded into the traced process stays small.
//!
//! # Example
//!
//! ```
//! use heapsight_handover::RunSpec;
//!
//! # let sent = RunSpec { output: "app.heapsight".into(), top: Some(10), ..RunSpec::default() };
//! let value = sent.to_env_value()?; // by the command, into the environment
//! let received = RunSpec::from_env_value(&value)?; // by the process that is traced
//! assert_eq!(received, sent);
//! # Ok::<(), heapsight_handover::InvalidRunSpec>(())
//! ```
#![forbid(unsafe_code)]

mod run_spec;

pub use run_spec::{
    InvalidRunSpec, LOOK, RUN_VARIABLE, RunSpec, SUMMARIZE, SWITCH_VARIABLE, header_for_run,
    new_run_id,
};
