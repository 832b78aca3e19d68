//! What was live in the middle of a recording: what grew since then grows, whatever the program did at its start.

use std::io::{self, Read};

use heapsight_capture::Capture;
use heapsight_capture::model::{Counters, SiteId};

use super::RecordingError;

/// Fewer ticks than this tell nothing of how memory grows.
const FEWEST_TICKS: usize = 8;

/// Live memory at the tick in the middle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Half {
    /// When that was, in nanoseconds since the start.
    pub elapsed_ns: u64,
    /// Live bytes of each site of the whole recording.
    pub live_bytes: Vec<u64>,
}

impl Half {
    /// Reads a recording once more, as far as its middle; `None` where it is too short to have one. `again` opens the
    /// file at its beginning. If the sites of `capture` are others than those of the file, `sites` has the one that
    /// each has become.
    ///
    /// # Errors
    /// When the file cannot be read this time.
    pub fn read<R: Read>(
        capture: &Capture,
        sites: Option<&[SiteId]>,
        again: impl FnOnce() -> io::Result<R>,
    ) -> Result<Option<Self>, RecordingError> {
        let Some(elapsed_ns) = middle(capture) else {
            return Ok(None);
        };
        let then = Capture::read_until(again()?, elapsed_ns)?;
        let mut live_bytes = vec![0_u64; capture.tables.sites.len()];
        let counters = then.tables.counters.iter().map(Counters::live_bytes);
        for (site, bytes) in counters.enumerate() {
            let site = sites.map_or(Some(site), |sites| {
                sites.get(site).map(|site| *site as usize)
            });
            // A file that changed meanwhile may have others.
            if let Some(sum) = site.and_then(|site| live_bytes.get_mut(site)) {
                *sum = sum.saturating_add(bytes);
            }
        }
        Ok(Some(Self {
            elapsed_ns,
            live_bytes,
        }))
    }
}

/// The first tick after half of the time, unless that is the last one.
fn middle(capture: &Capture) -> Option<u64> {
    let timeline = &capture.timeline;
    if timeline.len() < FEWEST_TICKS || capture.knows_ends_only() {
        return None;
    }
    let last_ns = timeline.last()?.elapsed_ns;
    let middle = timeline
        .iter()
        .find(|point| point.elapsed_ns >= last_ns / 2)?;
    (middle.elapsed_ns < last_ns).then_some(middle.elapsed_ns)
}

#[cfg(test)]
mod tests {
    use heapsight_capture::model::{Domain, Mode};
    use heapsight_capture::{Header, Writer};

    use super::*;
    use crate::recording::Recording;
    use crate::{EventLog, NO_CALLER};

    /// Allocates 10 bytes on line 1 in the first tick, and 100 on line 2 in each of the others, called from two
    /// lines in turn.
    fn recorded(ticks: u64, frame_limit: Option<u32>) -> Vec<u8> {
        let mut file = Vec::new();
        let header = Header {
            mode: Mode::Exact { frame_limit },
            ..Header::default()
        };
        let mut log = EventLog::new(Writer::create(&mut file, &header).expect("a Vec"));
        let main = log.code("main", "app.py", 1);
        let add = log.code("add", "app.py", 2);
        let callers = [3, 4].map(|line| log.call(NO_CALLER, main, line));
        let first = log.site(callers[0], Domain::OBJ);
        let others = callers.map(|caller| {
            let node = log.call(caller, add, 2);
            log.site(node, Domain::OBJ)
        });
        for tick in 1..=ticks {
            let (site, size) = match tick {
                1 => (first, 10),
                _ => (others[tick as usize % 2], 100),
            };
            log.allocate(tick * 0x1000, size, site);
            log.tick(tick * 1_000_000, 0).expect("a Vec");
        }
        log.finish(ticks * 1_000_000).expect("a Vec");
        file
    }

    fn half_of(file: &[u8]) -> Option<Half> {
        let recording = Recording::read(file, None).expect("readable");
        recording.with_half(|| Ok(file)).expect("readable").1
    }

    #[test]
    fn the_middle_is_the_first_tick_after_half_of_the_time() {
        let half = half_of(&recorded(9, None)).expect("long enough");
        assert_eq!(half.elapsed_ns, 5_000_000);
        assert_eq!(half.live_bytes.iter().sum::<u64>(), 410);
    }

    #[test]
    fn sites_that_a_frame_limit_makes_one_are_added_up() {
        let file = recorded(9, Some(1));
        let recording = Recording::read(&file[..], None).expect("readable");
        let (recording, half) = recording.with_half(|| Ok(&file[..])).expect("readable");
        let half = half.expect("long enough");
        assert_eq!(half.live_bytes.len(), recording.capture.tables.sites.len());
        let mut live = half.live_bytes;
        live.sort_unstable();
        assert_eq!(live, [10, 400]);
    }

    #[test]
    fn a_recording_of_few_ticks_has_no_middle() {
        assert_eq!(half_of(&recorded(7, None)), None);
    }
}
