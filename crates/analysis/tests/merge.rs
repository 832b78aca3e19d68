//! Several recordings as one, against a plain model that keeps a map from names to bytes.

use std::collections::BTreeMap;

use heapsight_analysis::Merge;
use heapsight_capture::model::{
    Code, CodeKind, Counters, Domain, Node, Site, SiteId, Tables, Totals,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Functions that any process may allocate in.
const NAMES: [&str; 4] = ["f", "g", "h", "k"];

/// A process that allocates in functions called straight from the root; every block has one byte.
#[derive(Clone, Default)]
struct Process {
    tables: Tables,
    /// Sites that changed since the last tick.
    changed: Vec<SiteId>,
}

impl Process {
    fn new() -> Self {
        let root = Node {
            parent: 0,
            code: 0,
            line: 0,
        };
        let tables = Tables {
            nodes: vec![root],
            ..Tables::default()
        };
        Self {
            tables,
            changed: Vec::new(),
        }
    }

    fn site(&mut self, name: &str) -> SiteId {
        let tables = &mut self.tables;
        if let Some(id) = tables.strings.iter().position(|known| known == name) {
            return id as SiteId;
        }
        let id = tables.strings.len() as u32;
        tables.strings.push(name.to_owned());
        tables.codes.push(Code {
            kind: CodeKind::Python,
            filename: id,
            name: id,
            first_line: 1,
        });
        tables.nodes.push(Node {
            parent: 0,
            code: id,
            line: 7,
        });
        tables.sites.push(Site {
            node: id + 1,
            domain: Domain::OBJ,
        });
        tables.counters.push(Counters::default());
        id
    }

    /// Allocates so many bytes, or frees them.
    fn change(&mut self, name: &str, bytes: i64) {
        let site = self.site(name);
        let counters = &mut self.tables.counters[site as usize];
        if bytes >= 0 {
            counters.allocated_bytes += bytes as u64;
            counters.allocated_blocks += bytes as u64;
        } else {
            let freed = counters.live_bytes().min(bytes.unsigned_abs());
            counters.freed_bytes += freed;
            counters.freed_blocks += freed;
        }
        let live = self.tables.counters.iter().map(Counters::live_bytes).sum();
        let totals = &mut self.tables.totals;
        (totals.live_bytes, totals.live_blocks) = (live, live);
        self.changed.push(site);
        if live > totals.peak_bytes {
            totals.peak_bytes = live;
            for (id, counters) in (0..).zip(&mut self.tables.counters) {
                counters.peak_bytes = counters.live_bytes();
                counters.peak_blocks = counters.live_blocks();
                self.changed.push(id);
            }
        }
    }

    fn by_name(&self, figure: fn(&Counters) -> u64) -> BTreeMap<String, u64> {
        by_name(&self.tables, figure)
    }
}

fn by_name(tables: &Tables, figure: fn(&Counters) -> u64) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for (site, counters) in tables.sites.iter().zip(&tables.counters) {
        let code = &tables.codes[tables.nodes[site.node as usize].code as usize];
        let name = tables.strings[code.name as usize].clone();
        *sums.entry(name).or_insert(0) += figure(counters);
    }
    sums.retain(|_, sum| *sum > 0);
    sums
}

fn sum<'m>(maps: impl Iterator<Item = &'m BTreeMap<String, u64>>) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for (name, bytes) in maps.flatten() {
        *sums.entry(name.clone()).or_insert(0) += bytes;
    }
    sums
}

/// What a process does until its next tick: (which process, allocations and frees in its functions).
fn ticks() -> impl Strategy<Value = Vec<(usize, Vec<(usize, i64)>)>> {
    let change = (0..NAMES.len(), -40..50_i64);
    vec((0..3_usize, vec(change, 0..6)), 0..25)
}

proptest! {
    #[test]
    fn figures_add_up_and_the_peak_is_the_highest_moment_looked_at(ticks in ticks()) {
        let mut processes = vec![Process::new(); 3];
        // What is known of each process between its ticks.
        let mut known: Vec<BTreeMap<String, u64>> = vec![BTreeMap::new(); 3];
        let (mut peak_bytes, mut peak) = (0, BTreeMap::new());
        let mut merge = Merge::new(3);
        let mut replayed = Tables::default();
        for (who, changes) in &ticks {
            let process = &mut processes[*who];
            let own_peak_before = process.tables.totals.peak_bytes;
            for (name, bytes) in changes {
                process.change(NAMES[*name], *bytes);
            }
            let changed = std::mem::take(&mut process.changed);
            merge.add(*who, &process.tables, &changed);

            known[*who] = process.by_name(Counters::live_bytes);
            let mut moments = vec![known.clone()];
            if process.tables.totals.peak_bytes > own_peak_before {
                let mut at_own_peak = known.clone();
                at_own_peak[*who] = process.by_name(|counters| counters.peak_bytes);
                moments.insert(0, at_own_peak);
            }
            for moment in moments {
                let moment = sum(moment.iter());
                let bytes = moment.values().sum::<u64>();
                if bytes > peak_bytes {
                    (peak_bytes, peak) = (bytes, moment);
                }
            }
            prop_assert_eq!(merge.totals().peak_bytes, peak_bytes);
            prop_assert_eq!(by_name(merge.tables(), |of| of.peak_bytes), peak.clone());
            prop_assert_eq!(by_name(merge.tables(), Counters::live_bytes), sum(known.iter()));

            let changes = merge.take_changes();
            replayed.strings.extend_from_slice(changes.strings);
            replayed.codes.extend_from_slice(changes.codes);
            replayed.nodes.extend_from_slice(changes.nodes);
            replayed.sites.extend_from_slice(changes.sites);
            replayed.counters.resize(replayed.sites.len(), Counters::default());
            for (site, counters) in changes.counters {
                replayed.counters[site as usize] = counters;
            }
            prop_assert_eq!(&replayed.counters, &merge.tables().counters);
            prop_assert_eq!(&replayed.nodes[..], &merge.tables().nodes[..]);
        }
    }
}

#[test]
fn the_peak_of_one_process_alone_is_its_own() {
    let mut process = Process::new();
    let mut merge = Merge::new(1);
    for bytes in [50, 100, -120, 10, -5, 3] {
        process.change("f", bytes);
        process.change("g", bytes / 2);
    }
    merge.add(0, &process.tables, &[0, 1]);
    assert_eq!(merge.totals(), process.tables.totals);
    assert_eq!(
        by_name(merge.tables(), |of| of.peak_bytes),
        process.by_name(|of| of.peak_bytes)
    );
}

#[test]
fn a_process_that_has_ended_has_no_live_memory_but_keeps_its_share_of_the_peak() {
    let mut merge = Merge::new(2);
    for (index, bytes) in [(0, 70), (1, 30)] {
        let mut process = Process::new();
        process.change("f", bytes);
        merge.add(index, &process.tables, &[0]);
    }
    merge.end(0);
    assert_eq!(
        merge.totals(),
        Totals {
            live_bytes: 30,
            live_blocks: 30,
            peak_bytes: 100,
            ..Totals::default()
        }
    );
    let [counters] = &merge.tables().counters[..] else {
        panic!("one site");
    };
    assert_eq!((counters.live_bytes(), counters.peak_bytes), (30, 100));
    assert_eq!(counters.allocated_bytes, 100);
}
