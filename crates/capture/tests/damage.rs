//! Files that end early, were altered, or were made to hurt.

mod support;

use heapsight_capture::{Capture, Damage, MAGIC, ReadError};
use proptest::prelude::*;
use support::{expected, recordings, small_recording, write};

#[test]
fn a_file_cut_at_any_byte_gives_every_tick_that_is_whole() {
    let steps = small_recording();
    let (file, lengths) = write(&steps);
    for cut in 0..file.len() {
        let result = Capture::read(&file[..cut]);
        let whole = lengths.iter().filter(|length| **length <= cut).count();
        let Some(ticks) = whole.checked_sub(1) else {
            let error = result.expect_err("there is no header");
            let is_fitting = match cut {
                0 => matches!(error, ReadError::NotACapture),
                _ => matches!(error, ReadError::BadHeader(Damage::CutShort)),
            };
            assert!(is_fitting, "cut at {cut}: {error}");
            continue;
        };
        let capture = result.expect("the header is whole");
        let (tables, timeline) = expected(&steps[..ticks]);
        assert_eq!(capture.tables, tables, "cut at {cut}");
        assert_eq!(capture.timeline, timeline, "cut at {cut}");
        assert_eq!(capture.end, None, "cut at {cut}");
        let at_a_frame = lengths.contains(&cut);
        assert_eq!(capture.truncation.is_none(), at_a_frame, "cut at {cut}");
        if let Some(truncation) = capture.truncation {
            assert_eq!(truncation.offset, lengths[ticks] as u64);
            assert_eq!(truncation.damage, Damage::CutShort);
        }
    }
}

#[test]
fn any_flipped_bit_is_noticed_and_what_comes_before_it_is_read() {
    let steps = small_recording();
    let (file, lengths) = write(&steps);
    for bit in 0..file.len() * 8 {
        let at = bit / 8;
        let mut altered = file.clone();
        altered[at] ^= 1 << (bit % 8);
        let Ok(capture) = Capture::read(&altered[..]) else {
            assert!(
                at < lengths[0],
                "bit {bit}: damage after the header must not be an error"
            );
            continue;
        };
        // Only the two reserved bytes of the prologue are under no checksum.
        if at < lengths[0] {
            assert!(
                (10..12).contains(&at),
                "bit {bit} of the header went unnoticed"
            );
            continue;
        }
        let ticks = lengths.iter().filter(|length| **length <= at).count() - 1;
        assert!(capture.truncation.is_some(), "bit {bit} went unnoticed");
        assert_eq!(capture.tables, expected(&steps[..ticks]).0, "bit {bit}");
    }
}

#[test]
fn other_files_are_recognised_as_such() {
    for other in [
        &b""[..],
        b"P",
        b"#!/bin/sh\n",
        b"\x80\x04\x95pickle",
        &[0; 4096],
    ] {
        let error = Capture::read(other).expect_err("not a capture");
        assert!(matches!(error, ReadError::NotACapture), "{error}");
        assert_eq!(error.to_string(), "not a heapsight capture");
    }
}

#[test]
fn a_later_format_is_refused_by_number() {
    let (mut file, _) = write(&small_recording());
    file[8..10].copy_from_slice(&7_u16.to_le_bytes());
    let error = Capture::read(&file[..]).expect_err("a later format");
    assert!(
        matches!(error, ReadError::TooNew { found: 7, .. }),
        "{error}"
    );
}

#[test]
fn a_frame_of_an_unknown_kind_is_skipped() {
    let steps = small_recording();
    let (file, lengths) = write(&steps);
    let body = b"from the future";
    let mut frame = vec![200, 0, 0, 0];
    frame.extend((body.len() as u32).to_le_bytes());
    frame.extend(u32::MAX.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame);
    hasher.update(body);
    frame.extend(hasher.finalize().to_le_bytes());
    frame.extend(body);
    let mut longer = file.clone();
    longer.splice(lengths[1]..lengths[1], frame);
    assert_eq!(
        Capture::read(&longer[..]).expect("readable"),
        Capture::read(&file[..]).expect("readable")
    );
}

#[test]
fn a_frame_that_would_expand_too_far_is_refused_before_memory_is_taken() {
    let (file, lengths) = write(&small_recording());
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).expect("compresses");
    let mut altered = file[..lengths[0]].to_vec();
    let mut frame = vec![2, 0, 0, 0];
    frame.extend((bomb.len() as u32).to_le_bytes());
    frame.extend((64_u32 << 20).to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame);
    hasher.update(&bomb);
    frame.extend(hasher.finalize().to_le_bytes());
    frame.extend(bomb);
    altered.extend(frame);
    let mut truncation = None;
    let info = allocation_counter::measure(|| {
        truncation = Capture::read(&altered[..])
            .expect("the header is whole")
            .truncation;
    });
    let truncation = truncation.expect("the bomb is damage");
    assert_eq!(truncation.offset, lengths[0] as u64);
    assert!(
        info.bytes_max < 1 << 20,
        "{} bytes were taken",
        info.bytes_max
    );
}

proptest! {
    #[test]
    fn arbitrary_damage_never_panics_and_never_hides_an_earlier_tick(
        steps in recordings(4),
        at in any::<prop::sample::Index>(),
        garbage in proptest::collection::vec(any::<u8>(), 1..40),
    ) {
        let (file, lengths) = write(&steps);
        let at = at.index(file.len());
        let mut altered = file.clone();
        altered.splice(at..(at + garbage.len()).min(file.len()), garbage);
        if let Ok(capture) = Capture::read(&altered[..]) {
            let ticks = lengths.iter().filter(|length| **length <= at).count().saturating_sub(1);
            prop_assert!(capture.timeline.len() >= ticks);
        } else {
            prop_assert!(at < lengths[0]);
        }
    }

    #[test]
    fn garbage_with_a_valid_envelope_never_panics(
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        kind in 1..=4_u8,
    ) {
        let (file, lengths) = write(&small_recording());
        let packed = zstd::bulk::compress(&payload, 1)?;
        let mut frame = vec![kind, 0, 0, 0];
        frame.extend((packed.len() as u32).to_le_bytes());
        frame.extend((payload.len() as u32).to_le_bytes());
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&frame);
        hasher.update(&packed);
        frame.extend(hasher.finalize().to_le_bytes());
        frame.extend(packed);
        let mut altered = file[..lengths[1]].to_vec();
        altered.extend(frame);
        let capture = Capture::read(&altered[..])?;
        let before = expected(&small_recording()[..1]).0;
        if capture.truncation.is_some() {
            prop_assert_eq!(capture.tables, before);
        }
    }

    #[test]
    fn garbage_after_the_magic_never_panics(garbage: Vec<u8>) {
        let mut file = MAGIC.to_vec();
        file.extend(garbage);
        prop_assert!(Capture::read(&file[..]).is_err());
    }
}
