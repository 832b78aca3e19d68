//! Equal call paths of one file as one.
//!
//! A tracer that gives back the memory of a path whose figures are in the file knows nothing of it any more: if the
//! path comes back, the file has it once more, under new numbers and with counters that begin at zero. Here each
//! string, code, call path and site that was there before is found again, and what its doubles count is added up.
//! Numbers that were given stay what they are, so nothing is merged that came before the first path was given back.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::model::{Code, Counters, Node, ROOT, Site, SiteId, Tables};
use crate::tick::{Lengths, Progress, apply};
use crate::varint::Malformed;

/// The tables as the file has them, and which row of the others each of their rows is.
pub(super) struct Equal {
    file: Tables,
    strings: Vec<u32>,
    codes: Vec<u32>,
    nodes: Vec<u32>,
    sites: Vec<u32>,
    known: Known,
}

/// Where each distinct row is.
#[derive(Default)]
struct Known {
    hasher: RandomState,
    /// By hash: a text that shares its hash with another one is not found again, which loses nothing but room.
    strings: HashMap<u64, u32>,
    codes: HashMap<Code, u32>,
    nodes: HashMap<Node, u32>,
    sites: HashMap<Site, u32>,
}

impl Equal {
    /// Begins with `tables` as a tick left them that is the first one with doubles. `before` is how long they were
    /// before it.
    pub(super) fn since(tables: &mut Tables, before: Lengths) -> Self {
        let mut equal = Self {
            file: tables.clone(),
            strings: (0..before.strings as u32).collect(),
            codes: (0..before.codes as u32).collect(),
            nodes: (0..before.nodes as u32).collect(),
            sites: (0..before.sites as u32).collect(),
            known: Known::default(),
        };
        for text in &mut equal.file.strings[..before.strings] {
            *text = String::new();
        }
        before.restore(tables);
        equal.known.add_all(tables);
        equal.follow(tables);
        for (here, counters) in equal
            .sites
            .iter()
            .zip(&equal.file.counters)
            .skip(before.sites)
        {
            add(
                &mut tables.counters[*here as usize],
                &Counters::default(),
                counters,
            );
        }
        equal
    }

    /// Applies one more tick. Gives the sites whose counters it sets. On failure nothing changes.
    pub(super) fn apply(
        &mut self,
        payload: &[u8],
        tables: &mut Tables,
        progress: &mut Progress,
    ) -> Result<Vec<SiteId>, Malformed> {
        let changed = apply(payload, &mut self.file, progress)?;
        self.follow(tables);
        tables.totals = self.file.totals;
        let set = changed.into_iter().map(|set| {
            let here = self.site(set.site);
            add(&mut tables.counters[here as usize], &set.before, &set.after);
            here
        });
        Ok(set.collect())
    }

    /// How many sites the file has.
    pub(super) fn file_sites(&self) -> usize {
        self.file.sites.len()
    }

    /// The site that is meant by the file's number.
    pub(super) fn site(&self, of_file: SiteId) -> SiteId {
        self.sites.get(of_file as usize).copied().unwrap_or(0)
    }

    /// Finds or appends what is new in the file.
    fn follow(&mut self, tables: &mut Tables) {
        let Self { file, known, .. } = self;
        for text in &mut file.strings[self.strings.len()..] {
            // Whoever has it in the end has it alone.
            let text = std::mem::take(text);
            self.strings.push(known.string(text, tables));
        }
        for code in &file.codes[self.codes.len()..] {
            let code = Code {
                filename: self.strings[code.filename as usize],
                name: self.strings[code.name as usize],
                ..*code
            };
            let next = tables.codes.len() as u32;
            let id = *known.codes.entry(code.clone()).or_insert(next);
            if id == next {
                tables.codes.push(code);
            }
            self.codes.push(id);
        }
        for index in self.nodes.len()..file.nodes.len() {
            let node = file.nodes[index];
            let is_root = index == ROOT as usize;
            let node = Node {
                parent: if is_root {
                    ROOT
                } else {
                    self.nodes[node.parent as usize]
                },
                code: self.codes.get(node.code as usize).copied().unwrap_or(0),
                line: node.line,
            };
            let next = tables.nodes.len() as u32;
            // The root is like no other, whatever it says.
            let id = match is_root {
                true => next,
                false => *known.nodes.entry(node).or_insert(next),
            };
            if id == next {
                tables.nodes.push(node);
            }
            self.nodes.push(id);
        }
        for site in &file.sites[self.sites.len()..] {
            let site = Site {
                node: self.nodes[site.node as usize],
                domain: site.domain,
            };
            let next = tables.sites.len() as u32;
            let id = *known.sites.entry(site).or_insert(next);
            if id == next {
                tables.sites.push(site);
                tables.counters.push(Counters::default());
            }
            self.sites.push(id);
        }
    }
}

impl Known {
    /// All rows of `tables`; of equal ones the first.
    fn add_all(&mut self, tables: &Tables) {
        for (id, text) in (0..).zip(&tables.strings) {
            self.strings.entry(self.hasher.hash_one(text)).or_insert(id);
        }
        for (id, code) in (0..).zip(&tables.codes) {
            self.codes.entry(code.clone()).or_insert(id);
        }
        for (id, node) in (0..).zip(&tables.nodes).skip(1) {
            self.nodes.entry(*node).or_insert(id);
        }
        for (id, site) in (0..).zip(&tables.sites) {
            self.sites.entry(*site).or_insert(id);
        }
    }

    fn string(&mut self, text: String, tables: &mut Tables) -> u32 {
        let next = tables.strings.len() as u32;
        let id = *self
            .strings
            .entry(self.hasher.hash_one(&text))
            .or_insert(next);
        if tables.strings.get(id as usize) == Some(&text) {
            return id;
        }
        tables.strings.push(text);
        next
    }
}

/// Counts `new` instead of `old`. Sums of a damaged file may exceed 64 bits: adding and taking away still cancel out.
fn add(sum: &mut Counters, old: &Counters, new: &Counters) {
    for (sum, old, new) in [
        (
            &mut sum.allocated_bytes,
            old.allocated_bytes,
            new.allocated_bytes,
        ),
        (
            &mut sum.allocated_blocks,
            old.allocated_blocks,
            new.allocated_blocks,
        ),
        (&mut sum.freed_bytes, old.freed_bytes, new.freed_bytes),
        (&mut sum.freed_blocks, old.freed_blocks, new.freed_blocks),
        (
            &mut sum.temporary_bytes,
            old.temporary_bytes,
            new.temporary_bytes,
        ),
        (
            &mut sum.temporary_blocks,
            old.temporary_blocks,
            new.temporary_blocks,
        ),
        (&mut sum.peak_bytes, old.peak_bytes, new.peak_bytes),
        (&mut sum.peak_blocks, old.peak_blocks, new.peak_blocks),
    ] {
        *sum = sum.wrapping_sub(old).wrapping_add(new);
    }
}
