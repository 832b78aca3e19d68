//! Only the call paths that matter at one moment: a program of a million paths has live blocks on few of them.

use heapsight_capture::model::{Code, CodeKind, Counters, Domain, Node, Site, SiteId};

use super::{Exporter, NONE};
use crate::tables::{sites, totals};

impl Exporter {
    /// Instead of [`Self::update`], into tables that are still empty: appends the paths on which something is live or was at the peak. What
    /// was allocated and freed on the others is added up, by domain, on an element `[folded paths]`, so that no total changes.
    /// Costs time by the sites looked at, but memory and everything later by the paths that are needed.
    pub(crate) fn update_needed(&mut self) -> Vec<(SiteId, Counters)> {
        let lengths = self.update_codes();
        self.node_ids.resize(lengths.nodes as usize, (0, NONE));
        self.site_ids.resize(lengths.sites as usize, NONE);
        let (epoch, at_peak) = (totals::epoch(), totals::at_peak());
        let mut folded: Vec<(u32, Counters)> = Vec::new();
        for id in 1..lengths.sites {
            if !sites::is_used(id) {
                continue;
            }
            if sites::is_needed(id, epoch, at_peak) {
                let node = sites::site(id)
                    .node
                    .load(std::sync::atomic::Ordering::Relaxed);
                if node < lengths.nodes {
                    self.export_node(node);
                    self.export_site(id);
                }
                continue;
            }
            let counters = sites::counters(id, epoch, at_peak);
            let domain = sites::site(id).domain();
            match folded.iter_mut().find(|(known, _)| *known == domain) {
                Some((_, sum)) => add(sum, &counters),
                None => folded.push((domain, counters)),
            }
        }
        folded.retain(|(_, sum)| sum.allocated_blocks > 0);
        self.export_folded(&folded)
    }

    fn export_folded(&mut self, folded: &[(u32, Counters)]) -> Vec<(SiteId, Counters)> {
        if folded.is_empty() {
            return Vec::new();
        }
        let code = Code {
            kind: CodeKind::Folded,
            filename: self.intern(""),
            name: self.intern("[folded paths]"),
            first_line: 0,
        };
        self.codes.push(code);
        self.nodes.push(Node {
            parent: 0,
            code: (self.codes.len() - 1) as u32,
            line: 0,
        });
        let node = (self.nodes.len() - 1) as u32;
        let export = |&(domain, sum): &(u32, Counters)| {
            self.sites.push(Site {
                node,
                domain: Domain(domain),
            });
            self.site_of.push(0);
            ((self.sites.len() - 1) as SiteId, sum)
        };
        folded.iter().map(export).collect()
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
