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

    /// Appends `tick`, which [`Self::check`] accepted. Changes nothing here: call [`Self::commit`] once the bytes are
    /// safe.
    pub(crate) fn encode(&self, tick: &Tick<'_>, out: &mut Vec<u8>) {
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

    fn encode_changed(&self, tick: &Tick<'_>, out: &mut Vec<u8>) {
        let changed = tick.changed;
        put(out, changed.len() as u64);
        let mut previous = 0;
        for (site, _) in changed {
            put_change(out, previous, u64::from(*site));
            previous = u64::from(*site);
        }
        let nothing = Counters::default();
        let old_of = |index: usize| {
            let old = match tick.before {
                Some(before) => before.get(index),
                None => self.counters.get(changed[index].0 as usize),
            };
            old.unwrap_or(&nothing)
        };
        let masks = out.len();
        for (index, (_, new)) in changed.iter().enumerate() {
            out.push(mask_of(old_of(index), new));
        }
        for (bit, column) in COLUMNS {
            for (index, (_, new)) in changed.iter().enumerate() {
                if out[masks + index] & bit != 0 {
                    let (from, to) = column(old_of(index), new);
                    put_change(out, from, to);
                }
            }
        }
    }
}

/// What a column stores for one site: (what the reader predicts, the value).
type Column = fn(&Counters, &Counters) -> (u64, u64);

/// The columns in file order, each with the mask bit of the sites that have it.
const COLUMNS: [(u8, Column); 8] = [
    (mask::ALLOCATED, |old, new| {
        (old.allocated_bytes, new.allocated_bytes)
    }),
    (mask::ALLOCATED, |old, new| {
        (old.allocated_blocks, new.allocated_blocks)
    }),
    // Most of what a busy site allocates it frees again, so freed is predicted to grow as allocated does.
    (mask::FREED, |old, new| {
        let grown = new.allocated_bytes.wrapping_sub(old.allocated_bytes);
        (old.freed_bytes.wrapping_add(grown), new.freed_bytes)
    }),
    (mask::FREED, |old, new| {
        let grown = new.allocated_blocks.wrapping_sub(old.allocated_blocks);
        (old.freed_blocks.wrapping_add(grown), new.freed_blocks)
    }),
    (mask::TEMPORARY, |old, new| {
        (old.temporary_bytes, new.temporary_bytes)
    }),
    (mask::TEMPORARY, |old, new| {
        (old.temporary_blocks, new.temporary_blocks)
    }),
    (mask::PEAK, |old, new| (old.peak_bytes, new.peak_bytes)),
    (mask::PEAK, |old, new| (old.peak_blocks, new.peak_blocks)),
];

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
