//! Only the call paths that matter at one moment: a program of a million paths has live blocks on few of them.

use heapsight_capture::model::{Code, CodeKind, Counters, Domain, Node, ROOT, Site};

use super::Exporter;
use crate::memory::lock;
use crate::tables::{history, sites, totals};

/// Sites that are looked at under one holding of the lock.
const AT_ONCE: u32 = 64;

impl Exporter {
    /// Into tables that are still empty: appends the paths on which something is live or was at the peak, and tells the
    /// counters of all sites. What was allocated and freed on the others is added up, by domain, on an element
    /// `[folded paths]`, so that no total changes. Costs time by the sites looked at, but memory and everything later
    /// by the paths that are needed.
    pub(crate) fn needed(&mut self) -> Vec<Counters> {
        let (epoch, at_peak) = (totals::epoch(), totals::at_peak());
        let mut all = Vec::new();
        // What left memory because a file has it.
        let mut folded = history::sums(&mut lock::hold());
        let mut next = 1_u32;
        loop {
            let mut held = lock::hold();
            let end = sites::len().min(next.saturating_add(AT_ONCE));
            if next >= end {
                break;
            }
            for id in (next..end).filter(|&id| sites::is_in_view(id)) {
                let counters = sites::counters(id, epoch, at_peak);
                if sites::is_needed(&counters) && self.site(&mut held, id).is_some() {
                    all.push(counters);
                    continue;
                }
                let domain = sites::site(id).domain();
                match folded.iter_mut().find(|(known, _)| *known == domain) {
                    Some((_, sum)) => add(sum, &counters),
                    None => folded.push((domain, counters)),
                }
            }
            next = end;
        }
        self.name();
        folded.retain(|(_, sum)| sum.allocated_blocks > 0);
        self.append_folded(&folded, &mut all);
        all
    }

    /// The same with every path in use, one by one.
    pub(crate) fn all(&mut self) -> Vec<Counters> {
        let (epoch, at_peak) = (totals::epoch(), totals::at_peak());
        let mut all = Vec::new();
        for id in 1..sites::len() {
            let mut held = lock::hold();
            if sites::is_in_view(id) && self.site(&mut held, id).is_some() {
                all.push(sites::counters(id, epoch, at_peak));
            }
            drop(held);
            self.name();
        }
        let left = history::sums(&mut lock::hold());
        self.append_folded(&left, &mut all);
        all
    }

    fn append_folded(&mut self, folded: &[(u32, Counters)], all: &mut Vec<Counters>) {
        if self.nodes.is_empty() {
            self.nodes.push(Node {
                parent: ROOT,
                code: 0,
                line: 0,
            });
        }
        if folded.is_empty() {
            return;
        }
        let code = Code {
            kind: CodeKind::Folded,
            filename: self.intern(""),
            name: self.intern("[folded paths]"),
            first_line: 0,
        };
        self.codes.push(code);
        self.nodes.push(Node {
            parent: ROOT,
            code: (self.codes.len() - 1) as u32,
            line: 0,
        });
        for &(domain, sum) in folded {
            self.sites.push(Site {
                node: (self.nodes.len() - 1) as u32,
                domain: Domain(domain),
            });
            all.push(sum);
        }
    }
}

fn add(sum: &mut Counters, more: &Counters) {
    sum.allocated_bytes += more.allocated_bytes;
    sum.allocated_blocks += more.allocated_blocks;
    sum.freed_bytes += more.freed_bytes;
    sum.freed_blocks += more.freed_blocks;
    sum.temporary_bytes += more.temporary_bytes;
    sum.temporary_blocks += more.temporary_blocks;
}
