//! Bytes to tables: the mirror of `encode`, distrusting every figure.

use super::mask;
use crate::end::{take_bounds, take_totals};
use crate::model::{Code, CodeKind, Counters, Domain, Node, ROOT, Site, SiteId, Tables};
use crate::room;
use crate::varint::{Input, Malformed};

/// Where the last tick that was read stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Nanoseconds since the start of tracing.
    pub elapsed_ns: u64,
    /// Resident memory of the process.
    pub rss_bytes: u64,
    /// Highest resident memory of the process so far; 0 when unknown.
    pub highest_rss_bytes: u64,
    /// How old the figures of single call paths may be.
    pub paths_lag_ns: u64,
    /// Bytes allocated so far, over all sites.
    pub allocated_bytes: u64,
    /// Blocks allocated so far, over all sites.
    pub allocated_blocks: u64,
}

/// Counters that a tick sets. A site may be among them more than once.
pub(crate) struct Set {
    pub(crate) site: SiteId,
    pub(crate) before: Counters,
    pub(crate) after: Counters,
}

/// The time of the tick in `payload`, in nanoseconds since the start of tracing.
pub(crate) fn starts_at(payload: &[u8], progress: &Progress) -> Result<u64, Malformed> {
    progress
        .elapsed_ns
        .checked_add(Input::new(payload).varint()?)
        .ok_or("the time exceeds 64 bits")
}

/// Applies one tick to `tables` and `progress`, and tells which counters it sets. On failure both are as before.
pub(crate) fn apply(
    payload: &[u8],
    tables: &mut Tables,
    progress: &mut Progress,
) -> Result<Vec<Set>, Malformed> {
    let lengths = Lengths::of(tables);
    let result = apply_partly(payload, tables, progress);
    if result.is_err() {
        lengths.restore(tables);
    }
    result
}

/// Appends names as they are read, but touches counters, totals and `progress` only when all has been read.
fn apply_partly(
    payload: &[u8],
    tables: &mut Tables,
    progress: &mut Progress,
) -> Result<Vec<Set>, Malformed> {
    let mut input = Input::new(payload);
    let elapsed_ns = starts_at(payload, progress)?;
    input.varint()?;
    let rss_bytes = input.change(progress.rss_bytes)?;
    let mut totals = take_totals(&mut input, &tables.totals)?;
    decode_strings(&mut input, tables)?;
    decode_codes(&mut input, tables)?;
    decode_nodes(&mut input, tables)?;
    decode_sites(&mut input, tables)?;
    let changed = decode_changed(&mut input, &tables.counters)?;
    // The first files of version 1 end here, and ticks that know neither.
    let (highest_rss_bytes, paths_lag_ns) = if input.is_empty() {
        (0, 0)
    } else {
        (input.change(progress.highest_rss_bytes)?, input.varint()?)
    };
    if !input.is_empty() {
        totals.bounds = take_bounds(&mut input, &tables.totals.bounds)?;
    }
    // Bytes that are left belong to a later version.

    progress.elapsed_ns = elapsed_ns;
    progress.rss_bytes = rss_bytes;
    progress.highest_rss_bytes = highest_rss_bytes;
    progress.paths_lag_ns = paths_lag_ns;
    tables.totals = totals;
    let mut set = room::with_capacity(changed.len())?;
    for change in changed {
        let counters = &mut tables.counters[change.site as usize];
        let grown = |old: u64, new: u64, total: &mut u64| {
            *total = total.wrapping_add(new.wrapping_sub(old));
        };
        let new = change.counters;
        grown(
            counters.allocated_bytes,
            new.allocated_bytes,
            &mut progress.allocated_bytes,
        );
        grown(
            counters.allocated_blocks,
            new.allocated_blocks,
            &mut progress.allocated_blocks,
        );
        set.push(Set {
            site: change.site,
            before: std::mem::replace(counters, new),
            after: new,
        });
    }
    Ok(set)
}

/// How long each table is, to undo a tick that turned out to be malformed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lengths {
    pub(crate) strings: usize,
    pub(crate) codes: usize,
    pub(crate) nodes: usize,
    pub(crate) sites: usize,
}

impl Lengths {
    pub(crate) fn of(tables: &Tables) -> Self {
        Self {
            strings: tables.strings.len(),
            codes: tables.codes.len(),
            nodes: tables.nodes.len(),
            sites: tables.sites.len(),
        }
    }

    pub(crate) fn restore(&self, tables: &mut Tables) {
        tables.strings.truncate(self.strings);
        tables.codes.truncate(self.codes);
        tables.nodes.truncate(self.nodes);
        tables.sites.truncate(self.sites);
        tables.counters.truncate(self.sites);
    }
}

fn decode_strings(input: &mut Input<'_>, tables: &mut Tables) -> Result<(), Malformed> {
    let count = input.count(1)?;
    let mut lengths = room::with_capacity(count)?;
    for _ in 0..count {
        lengths.push(input.varint()?);
    }
    room::reserve(&mut tables.strings, count)?;
    for length in lengths {
        let bytes = input.bytes(usize::try_from(length).unwrap_or(usize::MAX))?;
        let string = str::from_utf8(bytes).map_err(|_| "a string is not UTF-8")?;
        tables.strings.push(string.to_owned());
    }
    Ok(())
}

fn decode_codes(input: &mut Input<'_>, tables: &mut Tables) -> Result<(), Malformed> {
    let count = input.count(4)?;
    let first = tables.codes.len();
    let strings = tables.strings.len();
    room::reserve(&mut tables.codes, count)?;
    for kind in input.bytes(count)? {
        let kind = match kind {
            0 => CodeKind::Python,
            1 => CodeKind::Thread,
            2 => CodeKind::Folded,
            _ => return Err("a code is of an unknown kind"),
        };
        tables.codes.push(Code {
            kind,
            filename: 0,
            name: 0,
            first_line: 0,
        });
    }
    let new = &mut tables.codes[first..];
    for column in [
        |code: &mut Code, id: u32| code.filename = id,
        |code: &mut Code, id: u32| code.name = id,
    ] {
        let mut previous = 0;
        for code in &mut *new {
            previous = input.change32(previous)?;
            if previous as usize >= strings {
                return Err("a code names a string that does not exist");
            }
            column(code, previous);
        }
    }
    let mut previous = 0;
    for code in new {
        previous = input.change32(previous)?;
        code.first_line = previous;
    }
    Ok(())
}

fn decode_nodes(input: &mut Input<'_>, tables: &mut Tables) -> Result<(), Malformed> {
    let count = input.count(3)?;
    let first = tables.nodes.len();
    u32::try_from(first + count).map_err(|_| "there are more than 2^32 call paths")?;
    room::reserve(&mut tables.nodes, count)?;
    for id in first..first + count {
        let distance = input.varint32()? as usize;
        let is_root = id == ROOT as usize;
        if distance > id || (distance == 0) != is_root {
            return Err("a call path comes before its parent");
        }
        tables.nodes.push(Node {
            parent: (id - distance) as u32,
            code: 0,
            line: 0,
        });
    }
    let mut previous = 0;
    for (id, node) in (first..).zip(&mut tables.nodes[first..]) {
        previous = input.change32(previous)?;
        if previous as usize >= tables.codes.len() && id != ROOT as usize {
            return Err("a call path uses a code that does not exist");
        }
        node.code = previous;
    }
    for node in &mut tables.nodes[first..] {
        let first_line = tables
            .codes
            .get(node.code as usize)
            .map_or(0, |code| code.first_line);
        node.line = input.change32(first_line)?;
    }
    Ok(())
}

fn decode_sites(input: &mut Input<'_>, tables: &mut Tables) -> Result<(), Malformed> {
    let count = input.count(2)?;
    let first = tables.sites.len();
    room::reserve(&mut tables.sites, count)?;
    room::reserve(&mut tables.counters, count)?;
    let mut previous = 0;
    for _ in 0..count {
        previous = input.change32(previous)?;
        if previous as usize >= tables.nodes.len() {
            return Err("a site is on a call path that does not exist");
        }
        tables.sites.push(Site {
            node: previous,
            domain: Domain(0),
        });
    }
    for site in &mut tables.sites[first..] {
        site.domain = Domain(input.varint32()?);
    }
    tables
        .counters
        .resize(tables.sites.len(), Counters::default());
    Ok(())
}

/// New values for one site.
struct Change {
    site: SiteId,
    mask: u8,
    counters: Counters,
}

fn decode_changed(input: &mut Input<'_>, old: &[Counters]) -> Result<Vec<Change>, Malformed> {
    let count = input.count(2)?;
    let mut changed = room::with_capacity(count)?;
    let mut site = 0;
    for _ in 0..count {
        site = input.change32(site)?;
        let counters = *old
            .get(site as usize)
            .ok_or("counters are for a site that does not exist")?;
        changed.push(Change {
            site,
            mask: 0,
            counters,
        });
    }
    for (change, mask) in changed.iter_mut().zip(input.bytes(count)?) {
        change.mask = *mask;
    }
    let old_of = |change: &Change| old[change.site as usize];
    for change in with(mask::ALLOCATED, &mut changed) {
        change.counters.allocated_bytes = input.change(change.counters.allocated_bytes)?;
    }
    for change in with(mask::ALLOCATED, &mut changed) {
        change.counters.allocated_blocks = input.change(change.counters.allocated_blocks)?;
    }
    for change in with(mask::FREED, &mut changed) {
        let old = old_of(change);
        let grown = change
            .counters
            .allocated_bytes
            .wrapping_sub(old.allocated_bytes);
        change.counters.freed_bytes = input.change(old.freed_bytes.wrapping_add(grown))?;
    }
    for change in with(mask::FREED, &mut changed) {
        let old = old_of(change);
        let grown = change
            .counters
            .allocated_blocks
            .wrapping_sub(old.allocated_blocks);
        change.counters.freed_blocks = input.change(old.freed_blocks.wrapping_add(grown))?;
    }
    for change in with(mask::TEMPORARY, &mut changed) {
        change.counters.temporary_bytes = input.change(change.counters.temporary_bytes)?;
    }
    for change in with(mask::TEMPORARY, &mut changed) {
        change.counters.temporary_blocks = input.change(change.counters.temporary_blocks)?;
    }
    for change in with(mask::PEAK, &mut changed) {
        change.counters.peak_bytes = input.change(change.counters.peak_bytes)?;
    }
    for change in with(mask::PEAK, &mut changed) {
        change.counters.peak_blocks = input.change(change.counters.peak_blocks)?;
    }
    for change in with(mask::PEAK_IS_LIVE, &mut changed) {
        change.counters.peak_bytes = change.counters.live_bytes();
        change.counters.peak_blocks = change.counters.live_blocks();
    }
    Ok(changed)
}

fn with(bit: u8, changed: &mut [Change]) -> impl Iterator<Item = &mut Change> {
    changed
        .iter_mut()
        .filter(move |change| change.mask & bit != 0)
}
