//! Reading a capture while it grows gives, whenever one looks, what is there whole.

mod support;

use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;

use heapsight_capture::{Capture, Damage, Follow, ReadError};
use proptest::prelude::*;
use support::{expected, recordings, small_recording, write};

/// A file that somebody appends to.
#[derive(Clone, Default)]
struct Growing {
    bytes: Rc<RefCell<Vec<u8>>>,
    at: usize,
}

impl Growing {
    fn append(&self, bytes: &[u8]) {
        self.bytes.borrow_mut().extend_from_slice(bytes);
    }
}

impl Read for Growing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&self.bytes.borrow()[self.at..]).read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

/// Applies all that is there; gives the number of ticks.
fn catch_up(follow: &mut Follow<Growing>) -> usize {
    let mut ticks = 0;
    while follow.advance().expect("it is a capture") {
        ticks += 1;
    }
    ticks
}

#[test]
fn a_file_that_stops_at_any_byte_is_read_as_far_as_it_is_whole_and_then_to_its_end() {
    let steps = small_recording();
    let (file, lengths) = write(&steps);
    for cut in 0..file.len() {
        let growing = Growing::default();
        let mut follow = Follow::new(growing.clone());
        growing.append(&file[..cut]);
        let whole = lengths.iter().filter(|length| **length <= cut).count();
        let before = catch_up(&mut follow);
        match whole.checked_sub(1) {
            None => assert!(follow.capture().is_none(), "cut at {cut}"),
            Some(ticks) => {
                assert_eq!(before, ticks, "cut at {cut}");
                let capture = follow.capture().expect("the header is there");
                let (tables, timeline) = expected(&steps[..ticks]);
                assert_eq!((&capture.tables, &capture.timeline), (&tables, &timeline));
                assert_eq!(
                    (capture.truncation, capture.end),
                    (None, None),
                    "cut at {cut}"
                );
            }
        }
        assert!(!follow.is_over(), "cut at {cut}");
        growing.append(&file[cut..]);
        assert_eq!(before + catch_up(&mut follow), steps.len(), "cut at {cut}");
        assert!(follow.is_over());
        assert_eq!(
            follow.capture(),
            Some(&Capture::read(&file[..]).expect("whole"))
        );
    }
}

proptest! {
    #[test]
    fn it_does_not_matter_in_which_pieces_a_file_comes(
        steps in recordings(6),
        pieces in proptest::collection::vec(1..400_usize, 1..40),
    ) {
        let (file, lengths) = write(&steps);
        let growing = Growing::default();
        let mut follow = Follow::new(growing.clone());
        let (mut written, mut read) = (0, 0);
        for piece in pieces.into_iter().chain([usize::MAX]) {
            let until = written + piece.min(file.len() - written);
            growing.append(&file[written..until]);
            written = until;
            read += catch_up(&mut follow);
            let ticks = lengths.iter().filter(|length| **length <= written).count();
            prop_assert_eq!(read, ticks.saturating_sub(1).min(steps.len()));
        }
        prop_assert_eq!(follow.capture(), Some(&Capture::read(&file[..])?));
    }
}

#[test]
fn what_is_no_capture_is_refused_at_its_first_wrong_byte() {
    for other in [&b"hello"[..], b"\x89HEAL", b"\0"] {
        let growing = Growing::default();
        let mut follow = Follow::new(growing.clone());
        growing.append(&other[..1]);
        let _ = follow.advance();
        growing.append(&other[1..]);
        let is_refused = match follow.advance() {
            Err(ReadError::NotACapture | ReadError::BadHeader(_)) => true,
            _ => follow.is_over(),
        };
        assert!(is_refused, "{other:?}");
        assert!(!follow.advance().expect("it was said"), "{other:?}");
        assert!(follow.capture().is_none());
    }
}

#[test]
fn a_newer_format_is_refused_by_its_number() {
    let (mut file, _) = write(&small_recording());
    file[8] = 99;
    let growing = Growing::default();
    growing.append(&file);
    let error = Follow::new(growing).advance().expect_err("too new");
    assert!(
        matches!(error, ReadError::TooNew { found: 99, .. }),
        "{error}"
    );
}

#[test]
fn damage_is_told_from_what_is_still_to_come() {
    let steps = small_recording();
    let (mut file, lengths) = write(&steps);
    file[lengths[1] + 20] ^= 1;
    let growing = Growing::default();
    growing.append(&file);
    let mut follow = Follow::new(growing.clone());
    assert_eq!(catch_up(&mut follow), 1);
    let truncation = follow.capture().expect("a header").truncation;
    let truncation = truncation.expect("a checksum does not match");
    assert_eq!(truncation.damage, Damage::Checksum);
    assert_eq!(truncation.offset, lengths[1] as u64);
    assert!(follow.is_over());
    growing.append(&file);
    assert_eq!(catch_up(&mut follow), 0);
}

#[test]
fn a_frame_that_claims_more_than_there_is_takes_no_memory_for_it() {
    let steps = small_recording();
    let (file, lengths) = write(&steps);
    let growing = Growing::default();
    let mut follow = Follow::new(growing.clone());
    growing.append(&file[..lengths[1]]);
    growing.append(&[2, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(catch_up(&mut follow), 1);
    assert_eq!(follow.capture().expect("a header").truncation, None);
}
