//! Any bytes, as a pickled snapshot.
#![no_main]

use heapsight_analysis::tracemalloc_snapshot;
use heapsight_analysis::{Query, group};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(snapshot) = tracemalloc_snapshot::read(bytes) {
        let _ = group(&snapshot.tables, Query::default());
    }
});
