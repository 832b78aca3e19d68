//! What one tick does: finds what has changed, and writes as much of it as there is time for.
//!
//! Every tick has the totals, resident memory, the peak and the sites that changed most: the *heartbeat*. What it costs
//! is bounded, and it waits for nothing: not for the table lock, which a sweep may hold for long. The other sites that
//! changed wait in the [`Backlog`], no longer than [`LONGEST_LAG`] and a tick unless there are more than
//! [`MOST_OF_A_TICK`] allows; the tick says how far they lag.

use std::io::{self, Write};
use std::time::{Duration, Instant, UNIX_EPOCH};

use heapsight_capture::model::{Counters, SiteId, Totals};
use heapsight_capture::{End, Exit, Header, Tick, WriteError, Writer};

use super::backlog::Backlog;
use super::budget::{Budget, thread_time};
use super::tracer_bytes::TracerBytes;
use crate::background::limits::Limits;
use crate::background::process_memory::{ProcessMemory, Status};
use crate::memory::lock::{self, Held};
use crate::readout::export::Exporter;
use crate::readout::snapshot;
use crate::session;
use crate::tables::changed::{self, Taken};
use crate::tables::{recorded, sites, totals};

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

/// Sites that are looked at under one holding of the table lock.
const AT_ONCE: usize = if cfg!(test) { 2 } else { 32 };

/// Where the recording stands.
pub(super) struct State {
    writer: Option<FileWriter>,
    exporter: Exporter,
    backlog: Backlog,
    budget: Budget,
    began: Instant,
    /// The generation of the tables that the exporter's ids belong to.
    generation: u32,
    /// Sites of the file below this number belong to earlier generations.
    first_site: usize,
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

/// What a tick tells of sites; kept for its memory.
#[derive(Default)]
struct Rows {
    changed: Vec<(SiteId, Counters)>,
    /// The tracer's number of each site looked at, and whether its figures at the peak are others than the live ones.
    looked_at: Vec<(u32, bool)>,
    /// How much more is live than the file has it.
    live: Live,
}

/// Wraps around where it is less than nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Live {
    bytes: u64,
    blocks: u64,
}

impl Live {
    fn of(counters: &Counters) -> Self {
        Self {
            bytes: counters.live_bytes(),
            blocks: counters.live_blocks(),
        }
    }

    fn plus(self, more: Self) -> Self {
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

/// Entries of a list that are kept from tick to tick.
const USUAL: usize = 1 << 13;

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
        let generation = session::generation();
        drop(held);
        Ok(Self {
            writer: Some(writer),
            exporter: Exporter::default(),
            backlog: Backlog::default(),
            budget: Budget::full(),
            began: start(header),
            generation,
            first_site: 0,
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
        let is_near = self.limits.is_near(&memory);
        if is_due || is_near {
            self.tick_with(Extent::Share(tick), &memory);
        }
        is_near
    }

    fn tick_with(&mut self, extent: Extent, memory: &ProcessMemory) {
        let began = thread_time();
        self.known_before_ns = self.backlog.known_until_ns(self.taken_ns);
        self.budget.accrue(self.began.elapsed());
        self.rows.clear();
        let tracer_bytes = self.tracer_bytes.get(extent == Extent::Whole);
        let held = extent.hold();
        let (elapsed_ns, totals) = self.totals_now(tracer_bytes);
        if let Some(mut held) = held {
            self.find_changes(&mut held, elapsed_ns);
        }
        self.look_at_sites(extent, elapsed_ns, began);
        self.exporter.name();
        for site in std::mem::take(self.exporter.ended()) {
            self.rows.end(site, self.writer.as_ref());
        }
        self.write(elapsed_ns, memory, totals);
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
        self.follow_generation();
        let mut sites = Vec::new();
        let taken = changed::take(held, &mut sites);
        if taken == Taken::TooMany || std::mem::take(&mut self.look_at_all) {
            sites = (1..sites::len()).collect();
        }
        for &site in &sites {
            self.backlog.add(site);
        }
        let peak = (recorded::epoch(), recorded::at_peak());
        if std::mem::replace(&mut self.peak, peak) != peak {
            self.backlog.add_apart();
        }
        self.taken_ns = elapsed_ns;
        if self.backlog.is_long() && self.is_far_behind() {
            self.prefer_largest(&sites);
        }
    }

    /// Is there much more or less live than the file tells by site?
    fn is_far_behind(&self) -> bool {
        let live_bytes = recorded::live_bytes();
        live_bytes.abs_diff(self.live.bytes) > (live_bytes / 64).max(1 << 16)
    }

    /// Has those of `sites` told in this tick whose live memory changed most.
    fn prefer_largest(&mut self, sites: &[u32]) {
        // Others are searched in each tick.
        self.ticks = self.ticks.wrapping_add(1);
        let step = sites.len().div_ceil(SEARCHED).max(1);
        let some: Vec<u32> = sites
            .iter()
            .skip(self.ticks % step)
            .step_by(step)
            .copied()
            .collect();
        let (exporter, writer) = (&self.exporter, &self.writer);
        let told_bytes = |site: u32| {
            let id = exporter.site_id(site).zip(writer.as_ref());
            let told = id.and_then(|(id, writer)| writer.counters(id));
            told.map_or(0, Counters::live_bytes)
        };
        self.backlog.prefer(&some, |site| {
            sites::live_bytes(site).abs_diff(told_bytes(site))
        });
    }

    /// Should the tables have been emptied since the last tick: all that the file has of them is over. The caller holds
    /// the table lock.
    fn follow_generation(&mut self) {
        let generation = session::generation();
        if std::mem::replace(&mut self.generation, generation) == generation {
            return;
        }
        self.backlog.clear(self.taken_ns);
        self.exporter.forget_paths();
        let end = self.exporter.site_count();
        for site in std::mem::replace(&mut self.first_site, end)..end {
            self.rows.end(site as SiteId, self.writer.as_ref());
        }
        self.look_at_all = true;
    }

    /// Reads the figures of as many sites of the backlog as there is time for.
    fn look_at_sites(&mut self, extent: Extent, elapsed_ns: u64, began: Duration) {
        let (tick, most) = match extent {
            Extent::Share(tick) => (tick, tick / MOST_OF_A_TICK),
            Extent::Ready | Extent::Whole => (Duration::ZERO, Duration::MAX),
        };
        let as_ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut due = self
            .backlog
            .due(elapsed_ns, as_ns(LONGEST_LAG), as_ns(tick));
        let mut sites = Vec::with_capacity(AT_ONCE);
        loop {
            self.backlog.take_preferred(AT_ONCE, &mut sites);
            if sites.is_empty() {
                // Half of the time is for what comes after: to write it down.
                let used = 2 * thread_time().saturating_sub(began);
                let may_go_on =
                    !extent.has_limit() || self.budget.allows(used) || (due > 0 && used < most);
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
        for &id in sites {
            if id >= sites::len() {
                continue;
            }
            let now = sites::recorded_counters(id);
            // A path on which nothing ever happened needs no place in the file.
            if now != Counters::default() || self.exporter.site_id(id).is_some() {
                let site = self.exporter.site(&mut held, id);
                if let Some(site) = site {
                    self.rows.add(site, &now, self.writer.as_ref());
                    let (live, peak) = (now.live_bytes(), now.peak_bytes);
                    let is_apart = (live, now.live_blocks()) != (peak, now.peak_blocks);
                    self.rows.looked_at.push((id, is_apart));
                }
            }
        }
        true
    }

    fn write(&mut self, elapsed_ns: u64, memory: &ProcessMemory, totals: Totals) {
        let Some(writer) = self.writer.as_mut() else {
            return;
        };
        let known_until_ns = self.backlog.known_until_ns(self.taken_ns);
        let live = self.live.plus(self.rows.live);
        let tick = Tick {
            elapsed_ns,
            rss_bytes: memory.resident_bytes,
            highest_rss_bytes: memory.highest_resident_bytes,
            paths_lag_ns: elapsed_ns.saturating_sub(known_until_ns),
            totals: Totals {
                live_blocks: live.blocks,
                ..totals
            },
            new_strings: &self.exporter.strings,
            new_codes: &self.exporter.codes,
            new_nodes: &self.exporter.nodes,
            new_sites: &self.exporter.sites,
            changed: &self.rows.changed,
        };
        let result = writer.tick(&tick);
        if let Err(error) = &result {
            self.failure.get_or_insert_with(|| error.to_string());
        }
        if result.as_ref().err().is_none_or(WriteError::taken) {
            self.live = live;
            self.exporter.forget_exported();
            for &(site, is_apart) in &self.rows.looked_at {
                self.backlog.is_written(site, is_apart);
            }
        } else {
            // What the writer did not take is given again, with what is newer, at the next tick.
            let looked_at = self.rows.looked_at.iter().map(|&(site, _)| site);
            self.backlog.requeue(self.known_before_ns, looked_at);
            self.rows.keep_ended(&mut self.exporter);
        }
    }

    /// Writes the last tick and the ending. Gives the size of the file and what went wrong, if anything did.
    pub(super) fn finish(&mut self, exit: Exit) -> Option<(u64, Option<String>)> {
        self.tick(Extent::Whole);
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
            + self.writer.as_mut().map_or(0, Writer::held_bytes);
        snapshot::set_recorder_bytes(held as u64);
    }
}

impl Rows {
    /// The figures of a site, if the file has others.
    fn add(&mut self, site: SiteId, now: &Counters, writer: Option<&FileWriter>) {
        let written = writer.and_then(|writer| writer.counters(site));
        let written = written.copied().unwrap_or_default();
        if *now != written {
            let more = Live::of(now).minus(Live::of(&written));
            self.live = self.live.plus(more);
            self.changed.push((site, *now));
        }
    }

    /// The site has no figures any more.
    fn end(&mut self, site: SiteId, writer: Option<&FileWriter>) {
        self.add(site, &Counters::default(), writer);
    }

    fn clear(&mut self) {
        self.changed.clear();
        self.changed.shrink_to(USUAL);
        self.looked_at.clear();
        self.looked_at.shrink_to(USUAL);
        self.live = Live::default();
    }

    /// Has the sites that ended told again: nothing but this knows of them.
    fn keep_ended(&self, exporter: &mut Exporter) {
        let ended = self
            .changed
            .iter()
            .filter(|(_, counters)| *counters == Counters::default())
            .map(|(site, _)| *site);
        exporter.ended().extend(ended);
    }

    fn held_bytes(&self) -> usize {
        self.changed.capacity() * size_of::<(SiteId, Counters)>()
            + self.looked_at.capacity() * size_of::<(u32, bool)>()
    }
}
