//! heapsight analysis.
#![forbid(unsafe_code)]
