//! Any bytes, as a recording of memray; then what was made of it, as a capture.
#![no_main]

use heapsight_capture::Capture;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut file = Vec::new();
    if heapsight_memray::read(bytes, &mut file).is_ok() {
        Capture::read(&file[..]).expect("what was written is a capture");
    }
});
