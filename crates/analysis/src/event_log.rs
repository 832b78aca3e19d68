//! A capture from a recording that is a log of events, such as those of memray.
//!
//! Memory grows with distinct call paths and with what is live, never with the number of events.

mod live;
mod ranges;

use std::io::Write;

use heapsight_capture::model::{
    Code, CodeId, CodeKind, Counters, Domain, Node, NodeId, ROOT, Site, SiteId, Totals,
};
use heapsight_capture::{End, Note, Tick, WriteError, Writer};

use crate::builder::Builder;
use live::{Block, Live};
use ranges::Ranges;

/// What was allocated last.
#[derive(Clone, Copy, Debug)]
enum Newest {
    Nothing,
    /// Not in the table of live blocks yet: most blocks never get there, for they are freed before another one comes.
    Block(u64, Block),
    Mapping(u64),
}

/// What is remembered of a site beside its counters.
#[derive(Clone, Copy, Debug, Default)]
struct SiteState {
    /// The number of the peak that its peak figures are of.
    peak: u64,
    /// The number of the tick that has it among its changes.
    tick: u32,
    /// It is among those whose peak figures are not their live ones.
    is_off_peak: bool,
}

/// Plays events back, in their order, counts what becomes of them at each site, and writes that as the ticks of a
/// capture.
pub struct EventLog<W: Write> {
    writer: Writer<W>,
    builder: Builder,
    live: Live,
    ranges: Ranges,
    states: Vec<SiteState>,
    /// How often there was a new peak.
    peak_number: u64,
    totals: Totals,
    newest: Newest,
    /// The tick that comes next, counting from 1, and the sites that changed since the last one.
    tick: u32,
    changed: Vec<SiteId>,
    /// Sites whose peak figures were not their live ones at the last tick. A new peak changes them although nothing
    /// happens to them.
    off_peak: Vec<SiteId>,
    /// The peak that the last tick knew of.
    told_peak: u64,
    /// How much of each table is written.
    written: Written,
}

#[derive(Debug, Default)]
struct Written {
    strings: usize,
    codes: usize,
    nodes: usize,
    sites: usize,
}

impl<W: Write> EventLog<W> {
    /// Before the first event.
    pub fn new(writer: Writer<W>) -> Self {
        Self {
            writer,
            builder: Builder::new(),
            live: Live::default(),
            ranges: Ranges::default(),
            states: Vec::new(),
            peak_number: 0,
            totals: Totals::default(),
            newest: Newest::Nothing,
            tick: 1,
            changed: Vec::new(),
            off_peak: Vec::new(),
            told_peak: 0,
            written: Written::default(),
        }
    }

    /// A function that begins at a line of a file (0: unknown).
    pub fn code(&mut self, function: &str, filename: &str, first_line: u32) -> CodeId {
        let code = Code {
            kind: CodeKind::Python,
            filename: self.builder.string(filename),
            name: self.builder.string(function),
            first_line,
        };
        self.builder.code(code)
    }

    /// The call path with a call of `code` below `caller`, at a line (0: unknown). [`NO_CALLER`] is the path without
    /// frames.
    pub fn call(&mut self, caller: NodeId, code: CodeId, line: u32) -> NodeId {
        self.builder.node(Node {
            parent: caller,
            code,
            line,
        })
    }

    /// The site for blocks that a call path took from a domain.
    pub fn site(&mut self, node: NodeId, domain: Domain) -> SiteId {
        let site = self.builder.site(Site { node, domain });
        let sites = self.builder.tables().sites.len();
        self.states.resize(sites, SiteState::default());
        site
    }

    /// A block was allocated. One that was known to be at this address must have been freed unseen.
    #[inline]
    pub fn allocate(&mut self, address: u64, bytes: u64, site: SiteId) {
        self.settle();
        if let Some(block) = self.live.remove(address) {
            self.take(block.bytes, 1, block.site, false);
        }
        self.add(bytes, site);
        self.newest = Newest::Block(address, Block { bytes, site });
    }

    /// A block was freed. One that is not known was allocated before the recording began.
    #[inline]
    pub fn free(&mut self, address: u64) {
        if let Newest::Block(newest, block) = self.newest
            && newest == address
        {
            self.newest = Newest::Nothing;
            return self.take(block.bytes, 1, block.site, true);
        }
        if let Some(block) = self.live.remove(address) {
            self.take(block.bytes, 1, block.site, false);
        }
    }

    /// Pages were mapped. What was mapped in that range before is replaced, as the system does it.
    pub fn map(&mut self, address: u64, bytes: u64, site: SiteId) {
        self.settle();
        self.unmap(address, bytes);
        self.ranges.insert(address, bytes, site);
        self.add(bytes, site);
        self.newest = Newest::Mapping(address);
    }

    /// Pages were unmapped: whole mappings, or parts of them. The block counts as freed when its last page is.
    pub fn unmap(&mut self, address: u64, bytes: u64) {
        for piece in self.ranges.remove(address, bytes) {
            let newest = self.newest;
            let is_newest = matches!(newest, Newest::Mapping(start) if start == piece.start);
            let blocks = u64::from(piece.ends_mapping);
            self.take(
                piece.bytes,
                blocks,
                piece.site,
                piece.ends_whole && is_newest,
            );
        }
    }

    /// For a recording that tells sums and no events: what a site holds at the end.
    pub fn hold(&mut self, site: SiteId, bytes: u64, blocks: u64) {
        let counters = self.builder.counters_mut(site);
        counters.allocated_bytes = counters.allocated_bytes.saturating_add(bytes);
        counters.allocated_blocks = counters.allocated_blocks.saturating_add(blocks);
        self.totals.live_bytes = self.totals.live_bytes.saturating_add(bytes);
        self.totals.live_blocks = self.totals.live_blocks.saturating_add(blocks);
    }

    /// For a recording that tells sums and no events: what a site held at the peak.
    pub fn hold_at_peak(&mut self, site: SiteId, bytes: u64, blocks: u64) {
        let counters = self.builder.counters_mut(site);
        counters.peak_bytes = counters.peak_bytes.saturating_add(bytes);
        counters.peak_blocks = counters.peak_blocks.saturating_add(blocks);
        self.totals.peak_bytes = self.totals.peak_bytes.saturating_add(bytes);
    }

    /// Totals after the last event.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Writes a note.
    ///
    /// # Errors
    /// As [`Writer::note`].
    pub fn note(&mut self, note: &Note) -> Result<(), WriteError> {
        self.writer.note(note)
    }

    /// Writes what became new or changed since the last tick.
    ///
    /// # Errors
    /// As [`Writer::tick`].
    pub fn tick(&mut self, elapsed_ns: u64, rss_bytes: u64) -> Result<(), WriteError> {
        let mut sites = std::mem::take(&mut self.changed);
        if self.peak_number > self.told_peak {
            for site in &self.off_peak {
                self.states[*site as usize].is_off_peak = false;
            }
            sites.append(&mut self.off_peak);
            sites.sort_unstable();
            sites.dedup();
            self.told_peak = self.peak_number;
        } else {
            sites.sort_unstable();
        }
        let mut rows = Vec::with_capacity(sites.len());
        for site in sites {
            self.keep_peak(site);
            let counters = *self.builder.counters_mut(site);
            let live = (counters.live_bytes(), counters.live_blocks());
            let state = &mut self.states[site as usize];
            if live != (counters.peak_bytes, counters.peak_blocks) && !state.is_off_peak {
                state.is_off_peak = true;
                self.off_peak.push(site);
            }
            rows.push((site, counters));
        }
        self.tick += 1;
        self.write(elapsed_ns, rss_bytes, self.totals, &rows)
    }

    /// Writes a tick of which only the total is known. `peak_bytes` is the highest so far.
    ///
    /// # Errors
    /// As [`Writer::tick`].
    pub fn tick_of_total(
        &mut self,
        elapsed_ns: u64,
        rss_bytes: u64,
        live_bytes: u64,
        peak_bytes: u64,
    ) -> Result<(), WriteError> {
        let totals = Totals {
            live_bytes,
            peak_bytes,
            ..Totals::default()
        };
        self.write(elapsed_ns, rss_bytes, totals, &[])
    }

    /// Writes the last tick of a recording that tells sums and no events, with what it holds.
    ///
    /// Figures of what was allocated and freed are the least that fit: the true ones are not known.
    ///
    /// # Errors
    /// As [`Writer::tick`].
    pub fn tick_of_sums(&mut self, elapsed_ns: u64, rss_bytes: u64) -> Result<(), WriteError> {
        let at_least_peak = |mut counters: Counters| {
            let live = (counters.live_bytes(), counters.live_blocks());
            counters.allocated_bytes = counters.allocated_bytes.max(counters.peak_bytes);
            counters.allocated_blocks = counters.allocated_blocks.max(counters.peak_blocks);
            counters.freed_bytes = counters.allocated_bytes - live.0;
            counters.freed_blocks = counters.allocated_blocks - live.1;
            counters
        };
        let counters = self.builder.tables().counters.iter();
        let rows: Vec<_> = (0..).zip(counters.copied().map(at_least_peak)).collect();
        self.write(elapsed_ns, rss_bytes, self.totals, &rows)
    }

    /// Writes the end of a recording that has one. Without this it was cut short.
    ///
    /// # Errors
    /// As [`Writer::finish`].
    pub fn finish(self, elapsed_ns: u64) -> Result<(), WriteError> {
        let end = End {
            elapsed_ns,
            totals: self.totals,
            ..End::default()
        };
        self.writer.finish(&end).map(drop)
    }

    fn write(
        &mut self,
        elapsed_ns: u64,
        rss_bytes: u64,
        totals: Totals,
        changed: &[(SiteId, Counters)],
    ) -> Result<(), WriteError> {
        let (tables, written) = (self.builder.tables(), &mut self.written);
        self.writer.tick(&Tick {
            elapsed_ns,
            rss_bytes,
            highest_rss_bytes: 0,
            paths_lag_ns: 0,
            totals,
            new_strings: &tables.strings[written.strings..],
            new_codes: &tables.codes[written.codes..],
            new_nodes: &tables.nodes[written.nodes..],
            new_sites: &tables.sites[written.sites..],
            changed,
            before: None,
        })?;
        *written = Written {
            strings: tables.strings.len(),
            codes: tables.codes.len(),
            nodes: tables.nodes.len(),
            sites: tables.sites.len(),
        };
        Ok(())
    }

    /// Puts the newest block among the live ones.
    #[inline]
    fn settle(&mut self) {
        if let Newest::Block(address, block) = self.newest {
            self.live.insert(address, block);
        }
        self.newest = Newest::Nothing;
    }

    #[inline]
    fn add(&mut self, bytes: u64, site: SiteId) {
        self.touch(site);
        let counters = self.builder.counters_mut(site);
        counters.allocated_bytes = counters.allocated_bytes.saturating_add(bytes);
        counters.allocated_blocks += 1;
        self.totals.live_bytes = self.totals.live_bytes.saturating_add(bytes);
        self.totals.live_blocks += 1;
        self.see_peak();
    }

    #[inline]
    fn take(&mut self, bytes: u64, blocks: u64, site: SiteId, is_temporary: bool) {
        self.touch(site);
        let counters = self.builder.counters_mut(site);
        counters.freed_bytes = counters.freed_bytes.saturating_add(bytes);
        counters.freed_blocks += blocks;
        if is_temporary {
            counters.temporary_bytes = counters.temporary_bytes.saturating_add(bytes);
            counters.temporary_blocks += blocks;
        }
        self.totals.live_bytes = self.totals.live_bytes.saturating_sub(bytes);
        self.totals.live_blocks -= blocks;
        if bytes == 0 {
            self.see_peak();
        }
    }

    /// Of several moments of the same height the last one counts, as in memray.
    #[inline]
    fn see_peak(&mut self) {
        if self.totals.live_bytes >= self.totals.peak_bytes {
            self.totals.peak_bytes = self.totals.live_bytes;
            self.peak_number += 1;
        }
    }

    /// To be called before a site's counters change.
    #[inline]
    fn touch(&mut self, site: SiteId) {
        self.keep_peak(site);
        let state = &mut self.states[site as usize];
        if state.tick != self.tick {
            state.tick = self.tick;
            self.changed.push(site);
        }
    }

    /// Saves a site's live figures before they change for the first time after a peak.
    #[inline]
    fn keep_peak(&mut self, site: SiteId) {
        let state = &mut self.states[site as usize];
        if state.peak < self.peak_number {
            state.peak = self.peak_number;
            let counters = self.builder.counters_mut(site);
            counters.peak_bytes = counters.live_bytes();
            counters.peak_blocks = counters.live_blocks();
        }
    }
}

/// The path without frames, to start from.
pub const NO_CALLER: NodeId = ROOT;
