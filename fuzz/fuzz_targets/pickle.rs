//! Any bytes, as a pickled snapshot.
#![no_main]

use heapsight_analysis::standard_snapshot;
use heapsight_analysis::{Query, group};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(snapshot) = standard_snapshot::read(bytes) {
        let _ = group(&snapshot.tables, Query::default());
    }
});
