//! The capture file and the tables that it stores.
//!
//! [`model`] is the vocabulary shared by the tracer (which writes) and the analysis (which reads).
#![forbid(unsafe_code)]

pub mod model;
