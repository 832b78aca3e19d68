//! heapsight cli.
#![forbid(unsafe_code)]
