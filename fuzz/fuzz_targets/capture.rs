//! Any bytes, as a capture.
#![no_main]

use heapsight_capture::Capture;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(whole) = Capture::read(bytes) else {
        return;
    };
    let last = whole.timeline.last().map_or(0, |point| point.elapsed_ns);
    let halfway = Capture::read_until(bytes, last / 2).expect("the header is good");
    assert!(halfway.timeline.len() <= whole.timeline.len());
});
