//! The list of sites that have changed. The first change of a site in a tick adds it to the list, so that nobody has to
//! look at all sites.
//!
//! Events append without a lock: they reserve a slot by adding to [`TAIL`], then write the site's number into it. One
//! reader at a time takes the entries ([`take`]), under the table lock.
//!
//! **No change is missed.** [`take`] first notes the end of the list, then begins a new tick, then makes every thread
//! pass a barrier. A site that changed before is listed before that end, or will be as soon as its event gets there,
//! and its counters are visible. A later change is listed again, after the end, and left for the next call.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::memory::barrier;
use crate::memory::chunked::{Chunked, Zeroed};
use crate::memory::lock::{Guarded, Held};
use crate::tables::epochs::EPOCHS;

/// Places of the list. More sites than that hardly change within a tick; if they do, the reader is told to look at all.
#[cfg(not(test))]
const PLACES: u32 = 1 << 18;
#[cfg(test)]
const PLACES: u32 = 48;

// SAFETY: an atomic integer, valid when zero.
unsafe impl Zeroed for AtomicU32 {}

/// Site numbers; 0 in a place that was taken and is not written yet.
static LIST: Chunked<AtomicU32> = Chunked::new();
/// Places taken so far. May be more than there are.
static TAIL: AtomicU32 = AtomicU32::new(0);
/// Places that there is memory for.
static ROOM: AtomicU32 = AtomicU32::new(0);
static READER: Guarded<Reader> = Guarded::new(Reader::new());

struct Reader {
    /// The first place that was not read.
    next: u32,
    /// Places before it that were not written when they were read.
    unwritten: Vec<u32>,
    /// Sites that changed in the tick that goes on, read already to make room.
    later: Vec<u32>,
    /// Did others change in that tick for which there was no room?
    has_missed: bool,
}

/// What [`take`] has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// All that changed is listed.
    All,
    /// There was no room for all: any site may have changed.
    TooMany,
}

/// Since when the present tick lasts, by the clock of [`crate::tables::epochs`]: a site with an earlier stamp has to be
/// listed when it changes.
#[inline(always)]
pub(crate) fn since() -> u64 {
    EPOCHS.tick.since()
}

/// Puts `site` on the list.
pub(crate) fn list(site: u32) {
    let place = TAIL.fetch_add(1, Ordering::Relaxed);
    if place < ROOM.load(Ordering::Relaxed) {
        LIST.get(place).store(site, Ordering::Release);
    }
}

/// From now on sites are listed. Any site may have changed before: the caller is to look at all once.
///
/// No event that lists a site may be under way: none does before the first start, after [`stop`] and in the child of a
/// fork.
pub(crate) fn start(held: &mut Held) {
    barrier::register();
    ROOM.store(LIST.ensure_first(held, PLACES), Ordering::Relaxed);
    let used = TAIL.swap(0, Ordering::Relaxed);
    for place in 0..used.min(ROOM.load(Ordering::Relaxed)) {
        read(place);
    }
    *READER.get(held) = Reader::new();
    EPOCHS.tick.begin();
}

/// From now on sites are not listed.
pub(crate) fn stop() {
    EPOCHS.tick.end();
}

/// Appends the sites that changed since the last time to `sites`, and begins a new tick. A site may be among them more
/// than once, or have changed no more than any other.
pub(crate) fn take(held: &mut Held, sites: &mut Vec<u32>) -> Taken {
    let reader = READER.get(held);
    let has_missed = std::mem::take(&mut reader.has_missed);
    let end = TAIL.load(Ordering::Acquire);
    EPOCHS.tick.begin();
    barrier::on_all_threads();
    sites.append(&mut reader.later);
    reader.unwritten.retain(|&place| {
        let site = read(place);
        sites.extend(site);
        site.is_none()
    });
    let is_all = reader.read_to(end, sites) && !has_missed;
    reader.begin_at_the_front(end);
    if is_all { Taken::All } else { Taken::TooMany }
}

/// How often [`take`] tries to begin at the front while sites are being listed.
const RESTARTS: usize = 8;

impl Reader {
    const fn new() -> Self {
        Self {
            next: 0,
            unwritten: Vec::new(),
            later: Vec::new(),
            has_missed: false,
        }
    }

    /// Reads the places up to `end`; false when there are not as many.
    fn read_to(&mut self, end: u32, sites: &mut Vec<u32>) -> bool {
        let room = ROOM.load(Ordering::Relaxed);
        for place in self.next..end.min(room) {
            match read(place) {
                Some(site) => sites.push(site),
                None => self.unwritten.push(place),
            }
        }
        self.next = self.next.max(end.min(room));
        end <= room
    }

    /// Lets events use the places from the first one on again, once all that were taken are written and read.
    ///
    /// Sites that were listed since the tick began have to be told next time: when they change again in this tick, they
    /// are not listed again.
    fn begin_at_the_front(&mut self, mut tail: u32) {
        let mut later = std::mem::take(&mut self.later);
        for _ in 0..RESTARTS {
            if !self.unwritten.is_empty() {
                break;
            }
            match TAIL.compare_exchange(tail, 0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    self.next = 0;
                    break;
                }
                Err(more) => {
                    tail = more;
                    self.has_missed |= !self.read_to(tail, &mut later);
                }
            }
        }
        self.later = later;
    }
}

/// Empties a place. Whoever reserved it writes it once, and only this one reader empties it: no exchange is needed,
/// which takes as long as all the rest.
fn read(place: u32) -> Option<u32> {
    let slot = LIST.get(place);
    let site = slot.load(Ordering::Acquire);
    (site != 0).then(|| {
        slot.store(0, Ordering::Relaxed);
        site
    })
}
