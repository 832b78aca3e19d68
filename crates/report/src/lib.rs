//! heapsight report.
#![forbid(unsafe_code)]
