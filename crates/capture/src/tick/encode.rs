//! Ticks to bytes, and the memory of what was written before.

use super::{Tick, mask};
use crate::end::{put_bounds, put_totals};
use crate::model::{Bounds, Code, Counters, Node, ROOT, Site, SiteId, Totals};
use crate::varint::{put, put_change};

/// What the reader will know once it has read everything encoded so far.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    elapsed_ns: u64,
    rss_bytes: u64,
    highest_rss_bytes: u64,
    totals: Totals,
    strings: usize,
    /// First line of each code: lines of call paths are stored relative to it.
    first_lines: Vec<u32>,
    nodes: usize,
    sites: usize,
    /// Of each site, unless the caller keeps them.
    counters: Vec<Counters>,
    columns: Columns,
}

impl Encoder {
    /// Checks that every id of `tick` will mean something to the reader; says which does not.
    pub(crate) fn check(&self, tick: &Tick<'_>) -> Result<(), String> {
        let strings = self.strings + tick.new_strings.len();
        for code in tick.new_codes {
            if code.filename as usize >= strings || code.name as usize >= strings {
                return Err(format!(
                    "{code:?} names a string that is not among the {strings} known"
                ));
            }
        }
        let codes = self.first_lines.len() + tick.new_codes.len();
        for (id, node) in (self.nodes..).zip(tick.new_nodes) {
            let is_root = id == ROOT as usize;
            let parent_known = (node.parent as usize) < id || (is_root && node.parent == ROOT);
            let code_known = (node.code as usize) < codes || is_root;
            if !parent_known || !code_known {
                return Err(format!(
                    "call path {id} ({node:?}) must come after its parent, and use one of the {codes} codes known"
                ));
            }
        }
        let nodes = self.nodes + tick.new_nodes.len();
        for site in tick.new_sites {
            if site.node as usize >= nodes {
                return Err(format!(
                    "{site:?} is not on one of the {nodes} call paths known"
                ));
            }
        }
        if tick
            .before
            .is_some_and(|before| before.len() != tick.changed.len())
        {
            return Err("the counters before are not as many as those that changed".to_owned());
        }
        let sites = self.sites + tick.new_sites.len();
        for (site, _) in tick.changed {
            if *site as usize >= sites {
                return Err(format!(
                    "counters for site {site}, but only {sites} sites are known"
                ));
            }
        }
        Ok(())
    }

    /// Appends `tick`, which [`Self::check`] accepted. What the reader will know is as before: call [`Self::commit`]
    /// once the bytes are safe.
    pub(crate) fn encode(&mut self, tick: &Tick<'_>, out: &mut Vec<u8>) {
        put(out, tick.elapsed_ns.saturating_sub(self.elapsed_ns));
        put_change(out, self.rss_bytes, tick.rss_bytes);
        put_totals(out, &self.totals, &tick.totals);
        encode_strings(tick.new_strings, out);
        encode_codes(tick.new_codes, out);
        self.encode_nodes(tick.new_nodes, tick.new_codes, out);
        encode_sites(tick.new_sites, out);
        self.encode_changed(tick, out);
        let bounds = [self.totals.bounds, tick.totals.bounds];
        let has_bounds = bounds != [Bounds::default(); 2];
        if has_bounds || (tick.highest_rss_bytes, tick.paths_lag_ns) != (0, 0) {
            put_change(out, self.highest_rss_bytes, tick.highest_rss_bytes);
            put(out, tick.paths_lag_ns);
        }
        if has_bounds {
            let [old, new] = bounds;
            put_bounds(out, &old, &new);
        }
    }

    /// Remembers that `tick` was encoded.
    pub(crate) fn commit(&mut self, tick: &Tick<'_>) {
        self.elapsed_ns = self.elapsed_ns.max(tick.elapsed_ns);
        self.rss_bytes = tick.rss_bytes;
        self.highest_rss_bytes = tick.highest_rss_bytes;
        self.totals = tick.totals;
        self.strings += tick.new_strings.len();
        self.first_lines
            .extend(tick.new_codes.iter().map(|code| code.first_line));
        self.nodes += tick.new_nodes.len();
        self.sites += tick.new_sites.len();
        if tick.before.is_some() {
            return;
        }
        self.counters.resize(self.sites, Counters::default());
        for (site, counters) in tick.changed {
            self.counters[*site as usize] = *counters;
        }
    }

    /// Bytes on the heap.
    pub(crate) fn held_bytes(&self) -> usize {
        self.counters.capacity() * size_of::<Counters>()
            + self.first_lines.capacity() * size_of::<u32>()
            + self.columns.held_bytes()
    }

    /// The counters that the reader will have.
    pub(crate) fn counters(&self, site: SiteId) -> Option<&Counters> {
        self.counters.get(site as usize)
    }

    /// Number of sites that the reader knows.
    pub(crate) fn sites(&self) -> usize {
        self.sites
    }

    fn encode_nodes(&self, new: &[Node], new_codes: &[Code], out: &mut Vec<u8>) {
        put(out, new.len() as u64);
        for (id, node) in (self.nodes..).zip(new) {
            put(out, id as u64 - u64::from(node.parent));
        }
        let mut previous = 0;
        for node in new {
            put_change(out, previous, u64::from(node.code));
            previous = u64::from(node.code);
        }
        for node in new {
            let code = node.code as usize;
            let first_line = match code.checked_sub(self.first_lines.len()) {
                None => self.first_lines[code],
                // Only the root may have a code that does not exist.
                Some(index) => new_codes.get(index).map_or(0, |code| code.first_line),
            };
            put_change(out, u64::from(first_line), u64::from(node.line));
        }
    }

    fn encode_changed(&mut self, tick: &Tick<'_>, out: &mut Vec<u8>) {
        put(out, tick.changed.len() as u64);
        let nothing = Counters::default();
        let mut previous = 0;
        for (index, (site, new)) in tick.changed.iter().enumerate() {
            put_change(out, previous, u64::from(*site));
            previous = u64::from(*site);
            let old = match tick.before {
                Some(before) => before.get(index),
                None => self.counters.get(*site as usize),
            };
            self.columns.put(old.unwrap_or(&nothing), new);
        }
        self.columns.append_to(out);
    }
}

/// The columns of a tick's changed sites. A site is read once and put into all of them; they stand behind one another
/// in the file. Kept for their memory.
#[derive(Debug, Default)]
struct Columns {
    masks: Vec<u8>,
    /// In file order: bytes and blocks of what was allocated, freed, temporary and live at the peak.
    figures: [Vec<u8>; 8],
}

/// So many bytes of a column have their place from tick to tick.
const USUAL: usize = 1 << 16;

impl Columns {
    fn put(&mut self, old: &Counters, new: &Counters) {
        let mask = mask_of(old, new);
        self.masks.push(mask);
        let [
            allocated_bytes,
            allocated_blocks,
            freed_bytes,
            freed_blocks,
            temporary_bytes,
            temporary_blocks,
            peak_bytes,
            peak_blocks,
        ] = &mut self.figures;
        if mask & mask::ALLOCATED != 0 {
            put_change(allocated_bytes, old.allocated_bytes, new.allocated_bytes);
            put_change(allocated_blocks, old.allocated_blocks, new.allocated_blocks);
        }
        if mask & mask::FREED != 0 {
            // Most of what a busy site allocates it frees again, so freed is predicted to grow as allocated does.
            let grown = new.allocated_bytes.wrapping_sub(old.allocated_bytes);
            let predicted = old.freed_bytes.wrapping_add(grown);
            put_change(freed_bytes, predicted, new.freed_bytes);
            let grown = new.allocated_blocks.wrapping_sub(old.allocated_blocks);
            let predicted = old.freed_blocks.wrapping_add(grown);
            put_change(freed_blocks, predicted, new.freed_blocks);
        }
        if mask & mask::TEMPORARY != 0 {
            put_change(temporary_bytes, old.temporary_bytes, new.temporary_bytes);
            put_change(temporary_blocks, old.temporary_blocks, new.temporary_blocks);
        }
        if mask & mask::PEAK != 0 {
            put_change(peak_bytes, old.peak_bytes, new.peak_bytes);
            put_change(peak_blocks, old.peak_blocks, new.peak_blocks);
        }
    }

    /// Empties all of them into `out`.
    fn append_to(&mut self, out: &mut Vec<u8>) {
        for column in [&mut self.masks].into_iter().chain(&mut self.figures) {
            out.append(column);
            column.shrink_to(USUAL);
        }
    }

    fn held_bytes(&self) -> usize {
        self.masks.capacity() + self.figures.iter().map(Vec::capacity).sum::<usize>()
    }
}

fn mask_of(old: &Counters, new: &Counters) -> u8 {
    let when = |changed: bool, bit: u8| if changed { bit } else { 0 };
    let peak = if (old.peak_bytes, old.peak_blocks) == (new.peak_bytes, new.peak_blocks) {
        0
    } else if (new.live_bytes(), new.live_blocks()) == (new.peak_bytes, new.peak_blocks) {
        mask::PEAK_IS_LIVE
    } else {
        mask::PEAK
    };
    peak | when(
        (old.allocated_bytes, old.allocated_blocks) != (new.allocated_bytes, new.allocated_blocks),
        mask::ALLOCATED,
    ) | when(
        (old.freed_bytes, old.freed_blocks) != (new.freed_bytes, new.freed_blocks),
        mask::FREED,
    ) | when(
        (old.temporary_bytes, old.temporary_blocks) != (new.temporary_bytes, new.temporary_blocks),
        mask::TEMPORARY,
    )
}

fn encode_strings(new: &[String], out: &mut Vec<u8>) {
    put(out, new.len() as u64);
    for string in new {
        put(out, string.len() as u64);
    }
    for string in new {
        out.extend_from_slice(string.as_bytes());
    }
}

fn encode_codes(new: &[Code], out: &mut Vec<u8>) {
    put(out, new.len() as u64);
    out.extend(new.iter().map(|code| code.kind as u8));
    for column in [
        |code: &Code| code.filename,
        |code: &Code| code.name,
        |code: &Code| code.first_line,
    ] {
        let mut previous = 0;
        for code in new {
            let value = u64::from(column(code));
            put_change(out, previous, value);
            previous = value;
        }
    }
}

fn encode_sites(new: &[Site], out: &mut Vec<u8>) {
    put(out, new.len() as u64);
    let mut previous = 0;
    for site in new {
        put_change(out, previous, u64::from(site.node));
        previous = u64::from(site.node);
    }
    for site in new {
        put(out, u64::from(site.domain.0));
    }
}
