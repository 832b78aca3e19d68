//! What one tick does: it finds what has changed, and writes as much of that as it has time for.
//!
//! Every tick contains the totals, the resident memory, the peak and the sites that changed most: the *heartbeat*. Its
//! cost is bounded and it waits for nothing, not even for the table lock, which a sweep may hold for a long time. The
//! other changed sites wait in the [`Backlog`], for at most [`LONGEST_LAG`] and one tick, or longer if writing them
//! would take more time than [`MOST_OF_A_TICK`] allows. The tick says how far they lag behind.

use std::io::{self, Write};
use std::time::{Duration, Instant, UNIX_EPOCH};

use heapsight_capture::model::{Counters, SiteId, Totals};
use heapsight_capture::{End, Exit, Header, Note, Tick, WriteError, Writer};

use super::backlog::Backlog;
use super::budget::{Budget, thread_time};
use super::rows::{self, Live, LookedAt, Rows};
use super::told::Told;
use super::tracer_bytes::TracerBytes;
use crate::background::limits::Limits;
use crate::background::process_memory::{ProcessMemory, Status};
use crate::memory::lock::{self, Held};
use crate::readout::export::Exporter;
use crate::readout::snapshot;
use crate::session;
use crate::tables::changed::{self, Taken};
use crate::tables::{history, recorded, sites, totals};

/// How much a tick is to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// A heartbeat, and what else there is time for until the next, after so long.
    Share(Duration),
    /// Everything that changed and can be had without waiting for another thread.
    Ready,
    /// Everything that changed, however long it takes.
    Whole,
}

impl Extent {
    /// The table lock.
    fn hold(self) -> Option<Held> {
        match self {
            Self::Share(_) | Self::Ready => lock::try_hold(),
            Self::Whole => Some(lock::hold()),
        }
    }

    fn has_limit(self) -> bool {
        matches!(self, Self::Share(_))
    }
}

/// The file lags no more than this and a tick, unless that takes more than [`MOST_OF_A_TICK`].
const LONGEST_LAG: Duration = Duration::from_millis(1700);

/// The share of a processor that a tick may take to keep the lag short: one part in so many.
const MOST_OF_A_TICK: u32 = 20;

/// Among so many sites of a tick those that changed most are looked for.
const SEARCHED: usize = 1 << 11;

/// Totals are of a moment that is known to within this, if one of so many looks succeeds.
const PROMPT_NS: u64 = 100_000;
const LOOKS: usize = 8;

/// So many changed sites are written at once; what is more follows in a tick of the same moment. Few enough for what is
/// kept of them from tick to tick to stay in the cache: lists that grow and shrink cost more in page faults than
/// writing.
const MOST_AT_ONCE: usize = if cfg!(test) { 8 } else { rows::USUAL - AT_ONCE };

/// Sites that are looked at under one holding of the table lock.
const AT_ONCE: usize = if cfg!(test) { 2 } else { 64 };

/// Where the recording stands.
pub(super) struct State {
    writer: Option<FileWriter>,
    exporter: Exporter,
    backlog: Backlog,
    budget: Budget,
    began: Instant,
    /// The generation of the tables that the exporter's ids belong to.
    generation: u32,
    /// The figures of each site as the file has them.
    told: Told,
    /// Sites of the file that the tracer has given up, with the figures that the file has of them still.
    ended: Vec<(SiteId, Counters)>,
    /// Sites that hold nothing, which the file says too: the tracer does not know yet.
    settled: Vec<u32>,
    /// Sites that have changed; kept for its memory.
    listed: Vec<u32>,
    /// When sites that changed were last taken from the list.
    taken_ns: u64,
    /// Whether any site may have changed, listed or not.
    look_at_all: bool,
    /// Of which peak the figures in the file are: when it was left, and whether it goes on.
    peak: (u64, bool),
    /// Until when the file had all that happened, before this tick.
    known_before_ns: u64,
    /// What is live at all sites as the file has them.
    live: Live,
    ticks: usize,
    tracer_bytes: TracerBytes,
    status: Status,
    limits: Limits,
    rows: Rows,
    failure: Option<String>,
}

type FileWriter = Writer<Box<dyn Write + Send>>;

/// Of when a tick is.
struct Moment<'m> {
    elapsed_ns: u64,
    memory: &'m ProcessMemory,
    totals: Totals,
}

/// When the recording began, as the header says it by the clock of the day: times of several processes are compared.
fn start(header: &Header) -> Instant {
    let start = UNIX_EPOCH + Duration::from_nanos(header.start_unix_ns);
    let since = start.elapsed().unwrap_or_default();
    let now = Instant::now();
    // One that was not told, or is not now, is no start.
    let since = Some(since).filter(|since| *since < Duration::from_secs(10));
    now.checked_sub(since.unwrap_or_default()).unwrap_or(now)
}

impl State {
    /// Writes the header. From now on events list the sites that they change.
    pub(super) fn begin(sink: Box<dyn Write + Send>, header: &Header) -> io::Result<Self> {
        let writer = Writer::create(sink, header).map_err(io::Error::other)?;
        let mut held = lock::hold();
        changed::start(&mut held);
        history::writing_begins(&mut held);
        let generation = session::generation();
        drop(held);
        Ok(Self {
            writer: Some(writer),
            exporter: Exporter::default(),
            backlog: Backlog::default(),
            budget: Budget::full(),
            began: start(header),
            generation,
            told: Told::default(),
            ended: Vec::new(),
            settled: Vec::new(),
            listed: Vec::new(),
            taken_ns: 0,
            look_at_all: true,
            peak: (0, false),
            known_before_ns: 0,
            live: Live::default(),
            ticks: 0,
            tracer_bytes: TracerBytes::default(),
            status: Status::open(),
            limits: Limits::find(),
            rows: Rows::default(),
            failure: None,
        })
    }

    fn elapsed_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Appends a tick.
    pub(super) fn tick(&mut self, extent: Extent) {
        let memory = self.status.read();
        self.tick_with(extent, &memory);
    }

    /// Appends a share of what changed if it `is_due` or the process is about to meet a limit on its memory; true when
    /// it is.
    pub(super) fn look(&mut self, is_due: bool, tick: Duration) -> bool {
        let memory = self.status.read();
        let is_near = self.limits.is_near(&memory, self.began.elapsed());
        if is_due || is_near {
            self.tick_with(Extent::Share(tick), &memory);
        }
        is_near
    }

    fn tick_with(&mut self, extent: Extent, memory: &ProcessMemory) {
        let began = thread_time();
        self.known_before_ns = self.backlog.known_until_ns(self.taken_ns);
        self.budget.accrue(self.began.elapsed());
        let tracer_bytes = self.tracer_bytes.get(extent == Extent::Whole);
        let held = extent.hold();
        let (elapsed_ns, totals) = self.totals_now(tracer_bytes);
        if let Some(mut held) = held {
            self.find_changes(&mut held, elapsed_ns);
        }
        let moment = Moment {
            elapsed_ns,
            memory,
            totals,
        };
        self.look_at_sites(extent, &moment, began);
        self.write(&moment);
        self.make_room(extent);
        self.count_held_bytes();
        self.budget.spend(thread_time().saturating_sub(began));
    }

    /// The totals, and when they were so: this thread may have to wait for a processor between looking at the clock and
    /// at the totals.
    fn totals_now(&self, tracer_bytes: u64) -> (u64, Totals) {
        let look = || {
            let elapsed_ns = self.elapsed_ns();
            let totals = Totals {
                live_bytes: recorded::live_bytes(),
                live_blocks: 0,
                peak_bytes: recorded::peak_bytes(),
                lost_events: totals::lost_events(),
                tracer_bytes,
                bounds: snapshot::bounds(),
            };
            (elapsed_ns, totals)
        };
        let is_prompt =
            |(elapsed_ns, _): &(u64, Totals)| self.elapsed_ns() < elapsed_ns + PROMPT_NS;
        let mut looks = (0..LOOKS).map(|_| look());
        looks.find(is_prompt).unwrap_or_else(look)
    }

    /// Puts the sites that changed since the last time into the backlog.
    fn find_changes(&mut self, held: &mut Held, elapsed_ns: u64) {
        self.follow_generation(held);
        self.follow_history(held);
        let mut sites = std::mem::take(&mut self.listed);
        let taken = changed::take(held, &mut sites);
        if taken == Taken::TooMany || std::mem::take(&mut self.look_at_all) {
            history::unsettle_all(held);
            self.backlog.add_all_before(sites::len());
            // To find those that changed most, a few of them are as good as all.
            sites.clear();
            sites.extend(self.some_of(1..sites::len()));
        } else {
            for &site in &sites {
                history::set_settled(held, site, false);
                self.backlog.add(site);
            }
        }
        let peak = (recorded::epoch(), recorded::at_peak());
        if std::mem::replace(&mut self.peak, peak) != peak {
            self.backlog.add_apart();
        }
        self.taken_ns = elapsed_ns;
        self.ticks = self.ticks.wrapping_add(1);
        if self.backlog.is_long() && self.is_far_behind() {
            self.prefer_largest(&sites);
        }
        rows::empty(&mut sites);
        self.listed = sites;
    }

    /// Is there much more or less live than the file tells by site?
    fn is_far_behind(&self) -> bool {
        let live_bytes = recorded::live_bytes();
        live_bytes.abs_diff(self.live.bytes) > (live_bytes / 64).max(1 << 16)
    }

    /// About [`SEARCHED`] of `sites`, spread over them; others in each tick.
    fn some_of<S: ExactSizeIterator<Item = u32>>(
        &self,
        sites: S,
    ) -> impl Iterator<Item = u32> + use<S> {
        let step = sites.len().div_ceil(SEARCHED).max(1);
        sites.skip(self.ticks % step).step_by(step)
    }

    /// Has those of `sites` told in this tick whose live memory changed most.
    fn prefer_largest(&mut self, sites: &[u32]) {
        let some: Vec<u32> = self.some_of(sites.iter().copied()).collect();
        let told = &self.told;
        self.backlog.prefer(&some, |site| {
            sites::live_bytes(site).abs_diff(told.get(site).live_bytes())
        });
    }

    /// Should the tables have been emptied since the last tick: all that the file has of them is over. The caller holds
    /// the table lock.
    fn follow_generation(&mut self, held: &mut Held) {
        let generation = session::generation();
        if self.generation == generation {
            return;
        }
        self.settled.clear();
        self.follow_history(held);
        self.generation = generation;
        self.backlog.clear(self.taken_ns);
        for (number, site) in self.exporter.known_sites() {
            self.ended.push((site, self.told.take(number)));
        }
        self.told = Told::default();
        self.settled = Vec::new();
        self.exporter.forget_paths();
        self.look_at_all = true;
    }

    /// Tells the tracer of which sites the file has all there is to say, and forgets those that left since. To be done
    /// whenever the lock was free: a number that means another site by now is known by that.
    fn follow_history(&mut self, held: &mut Held) {
        for site in self.settled.drain(..) {
            history::set_settled(held, site, true);
        }
        for site in history::take_left(held, self.generation) {
            self.exporter.leave(site);
            self.told.take(site);
        }
    }

    /// If paths wait for it, tells the tracer at once of which the file has all there is to say.
    fn make_room(&mut self, extent: Extent) {
        if history::is_pressed()
            && let Some(mut held) = extent.hold()
            && session::generation() == self.generation
        {
            self.follow_history(&mut held);
        }
    }

    /// Reads the figures of as many sites of the backlog as there is time for.
    fn look_at_sites(&mut self, extent: Extent, moment: &Moment<'_>, began: Duration) {
        let (tick, most) = match extent {
            Extent::Share(tick) => (tick, tick / MOST_OF_A_TICK),
            Extent::Ready | Extent::Whole => (Duration::ZERO, Duration::MAX),
        };
        let as_ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut due = self
            .backlog
            .due(moment.elapsed_ns, as_ns(LONGEST_LAG), as_ns(tick));
        let mut sites = Vec::with_capacity(AT_ONCE);
        loop {
            self.backlog.take_preferred(AT_ONCE, &mut sites);
            if sites.is_empty() {
                // Half of the time is for what comes after: to write it down.
                let used = 2 * thread_time().saturating_sub(began);
                let may_go_on = !extent.has_limit()
                    || self.budget.allows(used)
                    || (due > 0 && used < most)
                    || history::is_pressed();
                if !may_go_on {
                    return;
                }
                self.backlog.take(AT_ONCE, self.taken_ns, &mut sites);
                due = due.saturating_sub(sites.len());
            }
            if sites.is_empty() {
                return;
            }
            if !self.read_figures(extent, &sites) {
                self.backlog.requeue(self.known_before_ns, sites);
                return;
            }
            if self.rows.changed.len() >= MOST_AT_ONCE && !self.write(moment) {
                return;
            }
        }
    }

    /// Reads the figures of `sites`; false when it cannot be done now.
    fn read_figures(&mut self, extent: Extent, sites: &[u32]) -> bool {
        let Some(mut held) = extent.hold() else {
            return false;
        };
        if session::generation() != self.generation {
            return false;
        }
        self.follow_history(&mut held);
        let known = sites::len();
        // First all of them are read: most are in memory only, or in the cache of another processor, and so the
        // processor waits for several at once.
        let mut figures = [Counters::default(); AT_ONCE];
        for (now, &id) in figures.iter_mut().zip(sites) {
            if id < known {
                *now = sites::recorded_counters(id);
            }
        }
        for (now, &id) in figures.iter().zip(sites) {
            if id >= known {
                continue;
            }
            // A path on which nothing ever happened needs no place in the file.
            if *now == Counters::default() && self.exporter.site_id(id).is_none() {
                self.settled.push(id);
                continue;
            }
            let site = self.exporter.site(&mut held, id);
            for (number, site) in self.exporter.ended().drain(..) {
                self.ended.push((site, self.told.take(number)));
            }
            if let Some(site) = site {
                self.rows.add(id, site, &self.told.get(id), now);
                let live = (now.live_bytes(), now.live_blocks());
                let peak = (now.peak_bytes, now.peak_blocks);
                self.rows.looked_at.push(LookedAt {
                    site: id,
                    is_apart: live != peak,
                    is_empty: live == (0, 0) && peak == (0, 0),
                });
            }
        }
        true
    }

    /// Writes a tick with what was read; false when the file did not take it.
    fn write(&mut self, moment: &Moment<'_>) -> bool {
        self.exporter.name();
        for (site, told) in &self.ended {
            self.rows.end(*site, told);
        }
        let is_taken = self.append(moment);
        if is_taken {
            self.exporter.forget_exported();
            self.ended = Vec::new();
            for (number, (_, now)) in self.rows.numbers.iter().zip(&self.rows.changed) {
                // Of one that has ended nobody asks again.
                if *number != 0 {
                    self.told.set(*number, now);
                }
            }
            for looked_at in &self.rows.looked_at {
                self.backlog.is_written(looked_at.site, looked_at.is_apart);
                if looked_at.is_empty {
                    self.settled.push(looked_at.site);
                }
            }
        } else {
            // What the writer did not take is given again, with what is newer, at the next tick.
            let looked_at = self.rows.looked_at.iter().map(|looked_at| looked_at.site);
            self.backlog.requeue(self.known_before_ns, looked_at);
        }
        self.rows.clear();
        is_taken
    }

    /// Appends what is in the rows; false when the writer did not take it.
    fn append(&mut self, moment: &Moment<'_>) -> bool {
        let Some(writer) = self.writer.as_mut() else {
            return false;
        };
        let known_until_ns = self.backlog.known_until_ns(self.taken_ns);
        let live = self.live.plus(self.rows.live);
        let tick = Tick {
            elapsed_ns: moment.elapsed_ns,
            rss_bytes: moment.memory.resident_bytes,
            highest_rss_bytes: moment.memory.highest_resident_bytes,
            paths_lag_ns: moment.elapsed_ns.saturating_sub(known_until_ns),
            totals: Totals {
                live_blocks: live.blocks,
                ..moment.totals
            },
            new_strings: &self.exporter.strings,
            new_codes: &self.exporter.codes,
            new_nodes: &self.exporter.nodes,
            new_sites: &self.exporter.sites,
            changed: &self.rows.changed,
            before: Some(&self.rows.before),
        };
        let result = writer.tick(&tick);
        if let Err(error) = &result {
            self.failure.get_or_insert_with(|| error.to_string());
        }
        let is_taken = result.as_ref().err().is_none_or(WriteError::taken);
        if is_taken {
            self.live = live;
        }
        is_taken
    }

    /// Appends a named text.
    pub(super) fn note(&mut self, note: &Note) {
        let written = self.writer.as_mut().map(|writer| writer.note(note));
        if let Some(Err(error)) = written {
            self.failure.get_or_insert_with(|| error.to_string());
        }
    }

    /// Writes the last tick and the ending. Gives the size of the file and what went wrong, if anything did.
    pub(super) fn finish(&mut self, exit: Exit) -> Option<(u64, Option<String>)> {
        self.tick(Extent::Whole);
        history::writing_ends();
        changed::stop();
        let end = End {
            elapsed_ns: self.elapsed_ns(),
            exit,
            totals: snapshot::totals(),
        };
        let writer = self.writer.take()?;
        let bytes_written = writer.bytes_written();
        if let Err(error) = writer.finish(&end) {
            self.failure.get_or_insert_with(|| error.to_string());
        }
        Some((bytes_written, self.failure.take()))
    }

    /// As if all the time that the recorder may take had been taken.
    #[cfg(test)]
    pub(super) fn exhaust_budget(&mut self) {
        self.budget.spend(Duration::from_secs(1000));
    }

    fn count_held_bytes(&mut self) {
        let held = self.exporter.held_bytes()
            + self.backlog.held_bytes()
            + self.rows.held_bytes()
            + self.told.held_bytes()
            + self.ended.capacity() * size_of::<(SiteId, Counters)>()
            + (self.settled.capacity() + self.listed.capacity()) * size_of::<u32>()
            + self.writer.as_mut().map_or(0, Writer::held_bytes);
        snapshot::set_recorder_bytes(held as u64);
    }
}
