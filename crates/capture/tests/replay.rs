//! Playing a capture back gives, at every moment, what reading up to that moment gives.

mod support;

use heapsight_capture::{Capture, Replay};
use proptest::prelude::*;
use support::{end, expected, recordings, small_recording, write};

proptest! {
    #[test]
    fn each_step_is_one_tick(steps in recordings(6)) {
        let (file, _) = write(&steps);
        let mut replay = Replay::open(&file[..])?;
        for (count, step) in (1..).zip(&steps) {
            prop_assert!(replay.advance()?);
            let (tables, timeline) = expected(&steps[..count]);
            prop_assert_eq!(&replay.capture().tables, &tables);
            prop_assert_eq!(&replay.capture().timeline, &timeline);
            let listed: Vec<u32> = step.changed.iter().map(|(site, _)| *site).collect();
            prop_assert!(listed.iter().all(|site| replay.changed().contains(site)));
            prop_assert!(replay.changed().iter().all(|site| listed.contains(site)));
        }
        prop_assert!(!replay.advance()?);
        prop_assert!(replay.changed().is_empty());
        prop_assert_eq!(replay.into_capture().end, Some(end(&steps)));
    }

    #[test]
    fn going_on_from_a_moment_is_like_reading_again(
        steps in recordings(6),
        mut moments in proptest::collection::vec(0..1_000_000_000_u64, 1..4),
    ) {
        moments.sort_unstable();
        let (file, _) = write(&steps);
        let mut replay = Replay::open(&file[..])?;
        for moment in moments {
            replay.advance_until(moment)?;
            prop_assert_eq!(replay.capture(), &Capture::read_until(&file[..], moment)?);
        }
        replay.advance_until(u64::MAX)?;
        prop_assert_eq!(replay.into_capture(), Capture::read(&file[..])?);
    }
}

#[test]
fn damage_ends_a_replay_at_the_last_whole_tick() {
    let (file, lengths) = write(&small_recording());
    let mut replay = Replay::open(&file[..lengths[2] + 3]).expect("the header is whole");
    assert!(replay.advance().expect("readable"));
    assert!(replay.advance().expect("readable"));
    assert_eq!(replay.capture().truncation, None);
    for _ in 0..2 {
        assert!(!replay.advance().expect("damage is no error"));
        let truncation = replay.capture().truncation.expect("the file was cut");
        assert_eq!(truncation.offset, lengths[2] as u64);
    }
}
