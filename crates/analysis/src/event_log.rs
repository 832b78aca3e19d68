//! Tables from a recording that is a log of events, such as those of memray.
//!
//! Memory grows with distinct call paths and with what is live, never with the number of events.

mod ranges;
mod timeline;

use std::io::Write;

use foldhash::{HashMap, HashMapExt};
use heapsight_capture::model::{Code, CodeKind, Domain, Node, NodeId, ROOT, Site, SiteId, Totals};
use heapsight_capture::{End, Note, Tick, WriteError, Writer};

use crate::builder::Builder;
use ranges::Ranges;
use timeline::Timeline;

pub use timeline::{Lifetime, Moments, Span};

/// A live block.
#[derive(Clone, Copy, Debug)]
struct Block {
    bytes: u64,
    site: SiteId,
}

/// What was allocated last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Newest {
    Block(u64),
    Mapping(u64),
}

/// Plays events back, in their order, and counts what became of them at each site.
///
/// The events alone do not tell times. What is known of the composition at certain times is added with [`Self::live`] and
/// [`Self::at_highest`], and becomes ticks in [`Self::write`].
#[derive(Debug)]
pub struct EventLog {
    builder: Builder,
    live: HashMap<u64, Block>,
    ranges: Ranges,
    /// For each site: the number of the peak that its peak figures are of.
    peaks: Vec<u64>,
    peak_number: u64,
    totals: Totals,
    /// The newest block or mapping, if nothing was allocated after it.
    newest: Option<Newest>,
    timeline: Timeline,
}

impl Default for EventLog {
    fn default() -> Self {
        Self::new()
    }
}

impl EventLog {
    /// Before the first event.
    #[must_use]
    pub fn new() -> Self {
        Self {
            builder: Builder::new(),
            live: HashMap::new(),
            ranges: Ranges::default(),
            peaks: Vec::new(),
            peak_number: 0,
            totals: Totals::default(),
            newest: None,
            timeline: Timeline::default(),
        }
    }

    /// The call path with `frame` below `caller`: function, file and line (0: unknown).
    pub fn call(&mut self, caller: NodeId, function: &str, filename: &str, line: u32) -> NodeId {
        let code = Code {
            kind: CodeKind::Python,
            filename: self.builder.string(filename),
            name: self.builder.string(function),
            first_line: 0,
        };
        let node = Node {
            parent: caller,
            code: self.builder.code(code),
            line,
        };
        self.builder.node(node)
    }

    /// The site for blocks that a call path took from a domain. [`ROOT`] is the path without frames.
    pub fn site(&mut self, node: NodeId, domain: Domain) -> SiteId {
        let site = self.builder.site(Site { node, domain });
        let sites = self.builder.tables().sites.len();
        self.peaks.resize(sites, 0);
        site
    }

    /// A block was allocated. One that was known to be at this address must have been freed unseen.
    pub fn allocate(&mut self, address: u64, bytes: u64, site: SiteId) {
        self.newest = None;
        self.free(address);
        self.live.insert(address, Block { bytes, site });
        self.add(bytes, site);
        self.newest = Some(Newest::Block(address));
    }

    /// A block was freed. One that is not known was allocated before the recording began.
    pub fn free(&mut self, address: u64) {
        let Some(block) = self.live.remove(&address) else {
            return;
        };
        let is_temporary = self.newest == Some(Newest::Block(address));
        self.take(block.bytes, 1, block.site, is_temporary);
    }

    /// Pages were mapped. What was mapped in that range before is replaced, as the system does it.
    pub fn map(&mut self, address: u64, bytes: u64, site: SiteId) {
        self.newest = None;
        self.unmap(address, bytes);
        self.ranges.insert(address, bytes, site);
        self.add(bytes, site);
        self.newest = Some(Newest::Mapping(address));
    }

    /// Pages were given back: whole mappings, or parts of them. The block counts as freed when its last page is.
    pub fn unmap(&mut self, address: u64, bytes: u64) {
        for piece in self.ranges.remove(address, bytes) {
            let is_temporary =
                piece.ends_whole && self.newest == Some(Newest::Mapping(piece.start));
            let blocks = u64::from(piece.ends_mapping);
            self.take(piece.bytes, blocks, piece.site, is_temporary);
        }
    }

    /// For a recording that tells sums and no events: what a site holds at the end.
    pub fn hold(&mut self, site: SiteId, bytes: u64, blocks: u64) {
        let counters = self.builder.counters_mut(site);
        counters.allocated_bytes += bytes;
        counters.allocated_blocks += blocks;
        self.totals.live_bytes += bytes;
        self.totals.live_blocks += blocks;
    }

    /// For a recording that tells sums and no events: what a site held at the peak. To be called after all of [`Self::hold`].
    ///
    /// Figures of what was allocated and freed are the least that fit: the true ones are not known.
    pub fn hold_at_peak(&mut self, site: SiteId, bytes: u64, blocks: u64) {
        let counters = self.builder.counters_mut(site);
        counters.peak_bytes += bytes;
        counters.peak_blocks += blocks;
        let (more_bytes, more_blocks) = (
            counters.peak_bytes.saturating_sub(counters.allocated_bytes),
            counters
                .peak_blocks
                .saturating_sub(counters.allocated_blocks),
        );
        counters.allocated_bytes += more_bytes;
        counters.freed_bytes += more_bytes;
        counters.allocated_blocks += more_blocks;
        counters.freed_blocks += more_blocks;
        self.totals.peak_bytes += bytes;
    }

    /// Some blocks of a site were live at certain moments.
    pub fn live(&mut self, site: SiteId, lifetime: Lifetime) {
        self.timeline.live(site, lifetime);
    }

    /// Some blocks of a site were live when memory was highest in certain spans between moments.
    pub fn at_highest(&mut self, site: SiteId, lifetime: Lifetime) {
        self.timeline.at_highest(site, lifetime);
    }

    /// Totals after the last event.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    fn add(&mut self, bytes: u64, site: SiteId) {
        self.keep_peak(site);
        let counters = self.builder.counters_mut(site);
        counters.allocated_bytes += bytes;
        counters.allocated_blocks += 1;
        self.totals.live_bytes += bytes;
        self.totals.live_blocks += 1;
        // Of several moments of the same height the last one counts, as in memray.
        if self.totals.live_bytes >= self.totals.peak_bytes {
            self.totals.peak_bytes = self.totals.live_bytes;
            self.peak_number += 1;
        }
    }

    fn take(&mut self, bytes: u64, blocks: u64, site: SiteId, is_temporary: bool) {
        self.keep_peak(site);
        let counters = self.builder.counters_mut(site);
        counters.freed_bytes += bytes;
        counters.freed_blocks += blocks;
        if is_temporary {
            counters.temporary_bytes += bytes;
            counters.temporary_blocks += blocks;
        }
        self.totals.live_bytes -= bytes;
        self.totals.live_blocks -= blocks;
    }

    /// Saves a site's live figures before they change for the first time after a peak.
    fn keep_peak(&mut self, site: SiteId) {
        let of_site = &mut self.peaks[site as usize];
        if *of_site < self.peak_number {
            *of_site = self.peak_number;
            let counters = self.builder.counters_mut(site);
            counters.peak_bytes = counters.live_bytes();
            counters.peak_blocks = counters.live_blocks();
        }
    }

    /// Writes the notes, a tick for each moment, and one for the end. Without `has_end` the recording was cut short.
    ///
    /// Blocks that lived between two moments, and not at any, are counted in the last tick only: when they lived is not known.
    ///
    /// # Errors
    /// As [`Writer::tick`].
    pub fn write<W: Write>(
        mut self,
        mut writer: Writer<W>,
        moments: &Moments,
        notes: &[Note],
        has_end: bool,
    ) -> Result<(), WriteError> {
        for site in 0..self.peaks.len() {
            self.keep_peak(site as SiteId);
        }
        for note in notes {
            writer.note(note)?;
        }
        let tables = self.builder.finish();
        let names = Tick {
            new_strings: &tables.strings,
            new_codes: &tables.codes,
            new_nodes: &tables.nodes,
            new_sites: &tables.sites,
            ..Tick::default()
        };
        let (mut first, others) = (Some(names), Tick::default());
        let mut sweep = self.timeline.sweep(tables.sites.len());
        for (index, span) in (0..).zip(&moments.spans) {
            let (totals, changed) =
                sweep.next(index, span, self.totals.peak_bytes, &tables.counters);
            writer.tick(&Tick {
                elapsed_ns: span.elapsed_ns,
                rss_bytes: span.rss_bytes,
                totals,
                changed: &changed,
                ..first.take().unwrap_or(others)
            })?;
        }
        let changed: Vec<_> = (0..).zip(tables.counters.iter().copied()).collect();
        let rss_bytes = moments.spans.last().map_or(0, |span| span.rss_bytes);
        writer.tick(&Tick {
            elapsed_ns: moments.end_ns,
            rss_bytes,
            totals: self.totals,
            changed: &changed,
            ..first.take().unwrap_or(others)
        })?;
        if has_end {
            let end = End {
                elapsed_ns: moments.end_ns,
                totals: self.totals,
                ..End::default()
            };
            writer.finish(&end)?;
        }
        Ok(())
    }
}

/// The path without frames, to start from.
pub const NO_CALLER: NodeId = ROOT;
