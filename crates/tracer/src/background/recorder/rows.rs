//! The rows that one tick writes about sites.

use heapsight_capture::model::{Counters, SiteId};

/// What a tick tells of sites; kept for its memory.
#[derive(Default)]
pub(super) struct Rows {
    /// The file's numbers of sites, and their figures now.
    pub(super) changed: Vec<(SiteId, Counters)>,
    /// The figures that the file has of them, in the same order.
    pub(super) before: Vec<Counters>,
    /// The tracer's numbers of them, in the same order; 0 of one that has ended.
    pub(super) numbers: Vec<u32>,
    pub(super) looked_at: Vec<LookedAt>,
    /// How much more is live than the file has it.
    pub(super) live: Live,
}

/// A site whose figures the file has once the tick is written.
#[derive(Clone, Copy)]
pub(super) struct LookedAt {
    /// The tracer's number.
    pub(super) site: u32,
    /// Are its figures at the peak others than the live ones?
    pub(super) is_apart: bool,
    /// Does it hold nothing, neither now nor at the peak?
    pub(super) is_empty: bool,
}

/// Wraps around where it is less than nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Live {
    pub(super) bytes: u64,
    pub(super) blocks: u64,
}

impl Live {
    fn of(counters: &Counters) -> Self {
        Self {
            bytes: counters.live_bytes(),
            blocks: counters.live_blocks(),
        }
    }

    pub(super) fn plus(self, more: Self) -> Self {
        Self {
            bytes: self.bytes.wrapping_add(more.bytes),
            blocks: self.blocks.wrapping_add(more.blocks),
        }
    }

    fn minus(self, less: Self) -> Self {
        Self {
            bytes: self.bytes.wrapping_sub(less.bytes),
            blocks: self.blocks.wrapping_sub(less.blocks),
        }
    }
}

/// So many entries of a list have their place from tick to tick.
pub(super) const USUAL: usize = 1 << 12;

/// Empties a list that is filled in each tick, and gives back the memory that it has not used this time.
pub(super) fn empty<T>(list: &mut Vec<T>) {
    let used = list.len();
    list.clear();
    list.shrink_to(used.max(USUAL));
}

impl Rows {
    /// The figures of the tracer's site `number`, if the file has others.
    pub(super) fn add(&mut self, number: u32, site: SiteId, before: &Counters, now: &Counters) {
        if now != before {
            let more = Live::of(now).minus(Live::of(before));
            self.live = self.live.plus(more);
            self.changed.push((site, *now));
            self.before.push(*before);
            self.numbers.push(number);
        }
    }

    /// The site has no figures any more.
    pub(super) fn end(&mut self, site: SiteId, before: &Counters) {
        self.add(0, site, before, &Counters::default());
    }

    pub(super) fn clear(&mut self) {
        empty(&mut self.changed);
        empty(&mut self.before);
        empty(&mut self.numbers);
        empty(&mut self.looked_at);
        self.live = Live::default();
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.changed.capacity() * size_of::<(SiteId, Counters)>()
            + self.before.capacity() * size_of::<Counters>()
            + self.numbers.capacity() * size_of::<u32>()
            + self.looked_at.capacity() * size_of::<LookedAt>()
    }
}
