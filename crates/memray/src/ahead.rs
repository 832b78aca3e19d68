//! Understands records on a thread of its own while those before them are played.
//!
//! Bytes have to be decompressed and understood one after the other, and events to be played one after the other; but
//! one need not wait for the other.

use std::io::Read;
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use crate::input::{Input, Stop};
use crate::records::{Decode, Record};

/// Records that are handed over at once: few enough to stay in the processor's cache.
const BATCH: usize = 1 << 11;

/// Batches that may wait to be played.
const WAITING: usize = 8;

/// Has `play` called with each record up to the trailer or the reason to stop, which it may give itself. `None`: the
/// trailer came.
///
/// # Errors
/// The first of `play`.
pub(crate) fn play_each<E>(
    mut decoder: impl Decode + Send,
    input: &mut Input<impl Read + Send>,
    mut play: impl FnMut(Record) -> Result<Result<(), Stop>, E>,
) -> Result<Option<Stop>, E> {
    thread::scope(|scope| {
        let (batches, understood) = sync_channel::<Batch>(WAITING);
        let (used, to_fill) = channel::<Vec<Record>>();
        scope.spawn(move || {
            loop {
                let mut records = to_fill.try_recv().unwrap_or_default();
                let end = fill(&mut records, &mut decoder, input);
                let is_last = end.is_some();
                // Nobody takes it when the player has stopped.
                if batches.send(Batch { records, end }).is_err() || is_last {
                    return;
                }
            }
        });
        for Batch { mut records, end } in understood {
            for record in records.drain(..) {
                if let Err(stop) = play(record)? {
                    return Ok(Some(stop));
                }
            }
            if let Some(end) = end {
                return Ok(end.stop);
            }
            // Nobody takes it when all is read.
            let _ = used.send(records);
        }
        // The thread ends with a reason; it does not panic.
        Ok(Some(Stop::End))
    })
}

/// Records that follow one another.
struct Batch {
    records: Vec<Record>,
    /// Why these are the last.
    end: Option<End>,
}

struct End {
    /// `None`: the trailer came.
    stop: Option<Stop>,
}

/// Fills a batch. Gives the reason if these are the last.
fn fill(
    records: &mut Vec<Record>,
    decoder: &mut impl Decode,
    input: &mut Input<impl Read>,
) -> Option<End> {
    records.reserve_exact(BATCH);
    while records.len() < BATCH {
        match decoder.next(input) {
            Ok(Record::Trailer) => return Some(End { stop: None }),
            Ok(Record::Other) => {}
            Ok(record) => records.push(record),
            Err(stop) => return Some(End { stop: Some(stop) }),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frees at every address up to one.
    struct Frees(u64, u64);

    impl Decode for Frees {
        fn next(&mut self, _: &mut Input<impl Read>) -> Result<Record, Stop> {
            let Self(address, end) = self;
            if address == end {
                return Ok(Record::Trailer);
            }
            *address += 1;
            Ok(Record::Freed { address: *address })
        }
    }

    fn played(end: u64, stop_at: u64) -> (Vec<u64>, Option<Stop>) {
        let mut addresses = Vec::new();
        let play = |record| {
            if let Record::Freed { address } = record {
                addresses.push(address);
            }
            Ok::<_, ()>(match addresses.len() as u64 == stop_at {
                true => Err(Stop::Damaged("as asked")),
                false => Ok(()),
            })
        };
        let stop = play_each(Frees(0, end), &mut Input::new(&[][..]), play);
        let stop = stop.expect("it never fails");
        (addresses, stop)
    }

    #[test]
    fn all_records_are_played_in_their_order() {
        for end in [0, 1, BATCH as u64, 20 * BATCH as u64 + 7] {
            let (addresses, stop) = played(end, u64::MAX);
            assert!(addresses.into_iter().eq(1..=end));
            assert!(stop.is_none());
        }
    }

    #[test]
    fn a_player_that_stops_is_not_waited_for() {
        let (addresses, stop) = played(1 << 20, 5000);
        assert_eq!(addresses.len(), 5000);
        assert!(matches!(stop, Some(Stop::Damaged("as asked"))));
    }

    #[test]
    fn a_player_that_fails_is_not_waited_for() {
        let play = |_| Err("full");
        let failed = play_each(Frees(0, 1 << 20), &mut Input::new(&[][..]), play);
        assert_eq!(failed.err(), Some("full"));
    }

    #[test]
    fn a_record_is_small() {
        assert_eq!(size_of::<Record>(), 24);
    }
}
