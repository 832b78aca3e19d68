//! What a page knows of time: every tick for the timeline, and what each call path did in each span.

use std::io::{self, Write};

use heapsight_analysis::{Columns, SiteChange};
use heapsight_capture::model::SiteId;
use heapsight_capture::{Capture, TickSummary};

use super::pack::section;
use super::tree::NOWHERE;

/// Points of the timeline. No screen has as many columns.
const MOST_POINTS: usize = 4000;

/// Changes of the call paths of a page, by span and node.
#[derive(Debug)]
pub(super) struct Changes {
    ends_ns: Vec<u64>,
    /// For each span, the changes of nodes, ascending.
    spans: Vec<Vec<(u32, SiteChange)>>,
    /// Of call paths that only the whole run is known of: bytes allocated.
    pub left_out_bytes: u64,
    /// Bytes allocated by all.
    pub all_bytes: u64,
}

impl Changes {
    /// At most `most` of them: where there are more, those of the nodes that allocated least are left out.
    pub(super) fn new(
        columns: &Columns,
        sites: Option<&[SiteId]>,
        map: &[u32],
        most: usize,
    ) -> Self {
        let node_of = |site: SiteId| {
            let site = sites.map_or(site, |sites| sites[site as usize]);
            map.get(site as usize).copied().unwrap_or(NOWHERE)
        };
        let mut all = Self {
            ends_ns: columns.ends_ns().collect(),
            spans: Vec::new(),
            left_out_bytes: 0,
            all_bytes: 0,
        };
        for index in 0..all.ends_ns.len() {
            let changes = columns.column(index);
            let mut of_nodes: Vec<(u32, SiteChange)> = changes
                .map(|(site, change)| (node_of(site), change))
                .filter(|(node, _)| *node != NOWHERE)
                .collect();
            of_nodes.sort_by_key(|(node, _)| *node);
            of_nodes.dedup_by(|(later, change), (node, sum)| {
                let is_same = later == node;
                if is_same {
                    *sum += *change;
                }
                is_same
            });
            of_nodes.shrink_to_fit();
            all.spans.push(of_nodes);
        }
        all.keep(most);
        all
    }

    fn keep(&mut self, most: usize) {
        let nodes = self.spans.iter().flatten().map(|(node, _)| *node).max();
        let mut sums = vec![(0_u64, 0_u32); nodes.map_or(0, |node| node as usize + 1)];
        for (node, change) in self.spans.iter().flatten() {
            let (bytes, changes) = &mut sums[*node as usize];
            *bytes = bytes.saturating_add(change.allocated_bytes);
            *changes += 1;
            self.all_bytes = self.all_bytes.saturating_add(change.allocated_bytes);
        }
        let mut order: Vec<u32> = (0..sums.len() as u32).collect();
        order.sort_unstable_by_key(|node| std::cmp::Reverse(sums[*node as usize].0));
        let mut room = most;
        let mut is_kept = vec![true; sums.len()];
        for node in order {
            let (bytes, changes) = sums[node as usize];
            match room.checked_sub(changes as usize) {
                Some(rest) => room = rest,
                None => {
                    room = 0;
                    is_kept[node as usize] = false;
                    self.left_out_bytes = self.left_out_bytes.saturating_add(bytes);
                }
            }
        }
        if self.left_out_bytes > 0 {
            for span in &mut self.spans {
                span.retain(|(node, _)| is_kept[*node as usize]);
            }
        }
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        section(out, "span-ends", self.ends_ns.len(), |pack| {
            let mut last = 0;
            self.ends_ns.iter().try_for_each(|end| {
                let us = end / 1000;
                pack.number(us.saturating_sub(std::mem::replace(&mut last, us)))
            })
        })?;
        section(out, "span-counts", self.spans.len(), |pack| {
            let mut spans = self.spans.iter();
            spans.try_for_each(|span| pack.number(span.len() as u64))
        })?;
        let changes = self.spans.iter().map(Vec::len).sum();
        section(out, "changes", changes, |pack| {
            for span in &self.spans {
                let mut last = 0;
                for (node, change) in span {
                    pack.number(u64::from(node - std::mem::replace(&mut last, *node)))?;
                    let figures = change.figures();
                    let there = (0..figures.len()).filter(|at| figures[*at] > 0);
                    pack.number(there.fold(0, |mask, at| mask | 1 << at))?;
                    for figure in figures.into_iter().filter(|figure| *figure > 0) {
                        pack.number(figure)?;
                    }
                }
            }
            Ok(())
        })
    }
}

/// A figure of a tick, by name.
type TickFigure = (&'static str, fn(&TickSummary) -> u64);

/// Writes the timeline: the time of each tick, and what was known of the process.
pub(super) fn write_ticks(prefix: &str, capture: &Capture, out: &mut dyn Write) -> io::Result<()> {
    let ticks = few_ticks(&capture.timeline);
    section(out, &format!("{prefix}tick-times"), ticks.len(), |pack| {
        let mut last = 0;
        ticks.iter().try_for_each(|tick| {
            let us = tick.elapsed_ns / 1000;
            pack.number(us.saturating_sub(std::mem::replace(&mut last, us)))
        })
    })?;
    let figures: [TickFigure; 5] = [
        ("live", |tick| tick.live_bytes),
        ("live-blocks", |tick| tick.live_blocks),
        ("resident", |tick| tick.rss_bytes),
        ("tracer", |tick| tick.tracer_bytes),
        ("allocated", |tick| tick.allocated_bytes),
    ];
    for (name, of) in figures {
        section(out, &format!("{prefix}tick-{name}"), ticks.len(), |pack| {
            ticks.iter().try_for_each(|tick| pack.number(of(tick)))
        })?;
    }
    Ok(())
}

/// All ticks, or of each run of them the highest and the last.
fn few_ticks(ticks: &[TickSummary]) -> Vec<TickSummary> {
    if ticks.len() <= MOST_POINTS {
        return ticks.to_vec();
    }
    let run = ticks.len().div_ceil(MOST_POINTS / 2);
    let mut few = Vec::with_capacity(MOST_POINTS);
    for run in ticks.chunks(run) {
        let highest = run.iter().max_by_key(|tick| tick.live_bytes);
        let last = run.last();
        few.extend(
            highest.filter(|highest| Some(highest.elapsed_ns) != last.map(|of| of.elapsed_ns)),
        );
        few.extend(last);
    }
    few
}
