//! Several recordings as one: processes that ran at the same time, with their combined memory at every moment.

use heapsight_capture::model::{Bounds, Code, Counters, Node, Site, SiteId, Tables, Totals};

use crate::builder::{Builder, Translation};

/// One process among several.
#[derive(Debug, Default)]
struct Process {
    ids: Translation,
    /// What is part of the merge: the counters of each of its sites, by its own ids.
    counters: Vec<Counters>,
    totals: Totals,
}

/// The combined tables of several recordings whose ticks are [added](Self::add) in the order of time.
///
/// Call paths are matched by file, line, function, thread and domain. All counters are sums over the processes.
///
/// # The combined peak
///
/// Ticks of different processes fall at different times, and between two ticks of a process only its own peak is known.
/// So the combined memory is looked at once for each tick: that process as at the tick (or at its own peak, if that
/// came within the tick and is higher), the others as at their last tick. The highest of these moments is the combined
/// peak, with its composition. Of one process alone this is its own peak, exactly.
#[derive(Debug)]
pub struct Merge {
    builder: Builder,
    processes: Vec<Process>,
    /// Sites whose counters were set since the last [`Self::take_changes`].
    touched: Vec<SiteId>,
    is_touched: Vec<bool>,
    peak_bytes: u64,
    /// Lengths of the tables at the last [`Self::take_changes`].
    taken: [usize; 4],
}

/// What became new or changed in a [`Merge`], in the form in which a capture stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes<'c> {
    /// Strings that appeared.
    pub strings: &'c [String],
    /// Codes that appeared.
    pub codes: &'c [Code],
    /// Call paths that appeared.
    pub nodes: &'c [Node],
    /// Sites that appeared.
    pub sites: &'c [Site],
    /// Sites whose counters may have changed, ascending, with the counters now.
    pub counters: Vec<(SiteId, Counters)>,
    /// Totals now.
    pub totals: Totals,
}

impl Merge {
    /// Of so many processes, none of which has memory yet.
    #[must_use]
    pub fn new(processes: usize) -> Self {
        Self {
            builder: Builder::new(),
            processes: (0..processes).map(|_| Process::default()).collect(),
            touched: Vec::new(),
            is_touched: Vec::new(),
            peak_bytes: 0,
            taken: [0; 4],
        }
    }

    /// Adds a tick: `tables` are those of `process` after it, and `changed` its sites whose counters the tick set.
    ///
    /// Time: the changes, and all sites where the tick brings a new combined peak.
    ///
    /// # Panics
    /// When there is no such process, or when ids of `tables` are out of range.
    pub fn add(&mut self, process: usize, tables: &Tables, changed: &[SiteId]) {
        let others: u64 = self.live_bytes_without(process);
        let part = &mut self.processes[process];
        let reached_own_peak = tables.totals.peak_bytes > part.totals.peak_bytes;
        part.ids.extend(&mut self.builder, tables);
        part.counters
            .resize(tables.sites.len(), Counters::default());
        part.totals = tables.totals;
        self.is_touched
            .resize(self.builder.tables().sites.len(), false);
        for site in changed {
            let part = &mut self.processes[process];
            let (old, new) = (
                std::mem::replace(
                    &mut part.counters[*site as usize],
                    tables.counters[*site as usize],
                ),
                tables.counters[*site as usize],
            );
            let here = part.ids.sites()[*site as usize];
            self.replace(here, &old, &new);
        }

        let at_tick = others.saturating_add(tables.totals.live_bytes);
        let at_own_peak = match reached_own_peak {
            true => others.saturating_add(tables.totals.peak_bytes),
            false => 0,
        };
        if at_tick.max(at_own_peak) > self.peak_bytes {
            self.peak_bytes = at_tick.max(at_own_peak);
            self.set_peak((at_own_peak >= at_tick).then_some(process));
        }
    }

    /// Takes the memory of a process that has ended out of what is live: the system has it back.
    ///
    /// # Panics
    /// When there is no such process.
    pub fn end(&mut self, process: usize) {
        let part = &mut self.processes[process];
        part.totals.live_bytes = 0;
        part.totals.live_blocks = 0;
        part.totals.tracer_bytes = 0;
        for site in 0..part.counters.len() {
            let part = &mut self.processes[process];
            let old = part.counters[site];
            let new = Counters {
                freed_bytes: old.allocated_bytes,
                freed_blocks: old.allocated_blocks,
                ..old
            };
            if new != old {
                part.counters[site] = new;
                let here = part.ids.sites()[site];
                self.replace(here, &old, &new);
            }
        }
    }

    /// The combined tables as they are now.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        self.builder.tables()
    }

    /// The combined totals as they are now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let sum = |field: fn(&Totals) -> u64| {
            let parts = self.processes.iter().map(|process| field(&process.totals));
            parts.fold(0, u64::saturating_add)
        };
        Totals {
            live_bytes: sum(|totals| totals.live_bytes),
            live_blocks: sum(|totals| totals.live_blocks),
            peak_bytes: self.peak_bytes,
            lost_events: sum(|totals| totals.lost_events),
            tracer_bytes: sum(|totals| totals.tracer_bytes),
            bounds: self
                .processes
                .iter()
                .fold(Bounds::default(), |sum, process| {
                    sum.plus(&process.totals.bounds)
                }),
        }
    }

    /// What became new or changed since the last call.
    pub fn take_changes(&mut self) -> Changes<'_> {
        let totals = self.totals();
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        for site in &touched {
            self.is_touched[*site as usize] = false;
        }
        let tables = self.builder.tables();
        let [strings, codes, nodes, sites] = self.taken;
        self.taken = [
            tables.strings.len(),
            tables.codes.len(),
            tables.nodes.len(),
            tables.sites.len(),
        ];
        Changes {
            strings: &tables.strings[strings..],
            codes: &tables.codes[codes..],
            nodes: &tables.nodes[nodes..],
            sites: &tables.sites[sites..],
            counters: touched
                .into_iter()
                .map(|site| (site, tables.counters[site as usize]))
                .collect(),
            totals,
        }
    }

    fn live_bytes_without(&self, process: usize) -> u64 {
        let others = self.processes.iter().enumerate();
        others
            .filter(|(index, _)| *index != process)
            .map(|(_, part)| part.totals.live_bytes)
            .fold(0, u64::saturating_add)
    }

    /// Counts `new` instead of `old` in everything but the peak figures.
    fn replace(&mut self, site: SiteId, old: &Counters, new: &Counters) {
        let sum = self.builder.counters_mut(site);
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
        ] {
            // Sums of a damaged file may exceed 64 bits: adding and taking away must still cancel out.
            *sum = sum.wrapping_sub(old).wrapping_add(new);
        }
        self.touch(site);
    }

    fn touch(&mut self, site: SiteId) {
        if !std::mem::replace(&mut self.is_touched[site as usize], true) {
            self.touched.push(site);
        }
    }

    /// Makes this moment the peak: every process with its live memory, but `at_own_peak` with that of its own peak.
    fn set_peak(&mut self, at_own_peak: Option<usize>) {
        let mut peaks = vec![(0_u64, 0_u64); self.builder.tables().sites.len()];
        for (index, process) in self.processes.iter().enumerate() {
            for (here, counters) in process.ids.sites().iter().zip(&process.counters) {
                let (bytes, blocks) = if at_own_peak == Some(index) {
                    (counters.peak_bytes, counters.peak_blocks)
                } else {
                    (counters.live_bytes(), counters.live_blocks())
                };
                let peak = &mut peaks[*here as usize];
                peak.0 = peak.0.saturating_add(bytes);
                peak.1 = peak.1.saturating_add(blocks);
            }
        }
        for (site, (bytes, blocks)) in (0..).zip(peaks) {
            let counters = self.builder.counters_mut(site);
            if (counters.peak_bytes, counters.peak_blocks) != (bytes, blocks) {
                (counters.peak_bytes, counters.peak_blocks) = (bytes, blocks);
                self.touch(site);
            }
        }
    }
}
