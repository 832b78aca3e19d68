//! Bytes that were changed, or were never a recording's: no panic, no hang, and no more memory than the bytes account
//! for.

use std::fs;
use std::path::PathBuf;

use heapsight_capture::Capture;
use heapsight_memray::read;
use lz4_flex::frame::FrameDecoder;
use proptest::collection::vec;
use proptest::prelude::*;

/// All fixtures, decompressed, so that changes reach the records.
fn recordings() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let entries = fs::read_dir(folder).expect("fixtures");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "bin"));
    paths.sort();
    let decompressed = |path: &PathBuf| {
        let bytes = fs::read(path).expect("a fixture");
        if bytes.starts_with(b"memray") {
            return bytes;
        }
        let mut whole = Vec::new();
        std::io::copy(&mut FrameDecoder::new(&bytes[..]), &mut whole).expect("LZ4");
        whole
    };
    let recordings: Vec<Vec<u8>> = paths.iter().map(decompressed).collect();
    assert_eq!(recordings.len(), 12);
    recordings
}

/// Reads it, and what was made of it.
fn try_read(bytes: &[u8]) {
    let mut file = Vec::new();
    if read(bytes, &mut file).is_ok() {
        Capture::read(&file[..]).expect("what was written is a capture");
    }
}

proptest! {
    #[test]
    fn changed_bytes_do_no_harm(
        number in 0..12_usize,
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = recordings()[number].clone();
        for (at, byte) in changes {
            // Most of the first bytes are names of folders.
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        try_read(&bytes);
    }

    #[test]
    fn any_records_behind_a_good_header_do_no_harm(
        number in 0..12_usize,
        length in any::<prop::sample::Index>(),
        records in vec(any::<u8>(), 0..3000),
    ) {
        let recording = &recordings()[number];
        let length = length.index(recording.len());
        try_read(&[&recording[..length], &records].concat());
    }

    #[test]
    fn any_compressed_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..300)) {
        try_read(&[&b"\x04\x22\x4d\x18\x40\x40\xc0"[..], &bytes].concat());
    }
}

#[test]
fn a_length_beyond_what_is_there_asks_for_no_memory() {
    let recording = recordings().pop().expect("a recording");
    let length = recording.iter().rposition(|byte| *byte != 0);
    let records = &recording[..length.expect("a trailer")];
    // A code object whose line table has 2⁶³ − 1 bytes, and one of 2²⁴ of which none is there.
    let code = b"\x0e\x01f\0f\0\x02";
    let plain = allocation_counter::measure(|| try_read(records)).bytes_max;
    for length in [
        &b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f"[..],
        b"\x80\x80\x80\x08",
    ] {
        let bytes = [records, code, length].concat();
        let held = allocation_counter::measure(|| try_read(&bytes)).bytes_max;
        assert!(held < plain + (1 << 16), "{held} bytes, not {plain}");
    }
}
