//! A capture in figures.

use std::collections::HashSet;

use heapsight_analysis::path::is_frame;
use heapsight_analysis::recording::Reached;
use heapsight_analysis::{
    Amount, GroupBy, ImportSum, Imports, Key, Meaning, Metric, Query, group, group_counters,
    margin_bytes, standard_error_bytes,
};
use heapsight_capture::Capture;
use heapsight_capture::account::{Account, Part};
use heapsight_capture::model::{CodeKind, NodeId, ROOT};
use serde::Serialize;
use serde_json::{Value, json};

use crate::account::{account_of, account_sentence, account_table};
use crate::export::{bounds_json, header_json, missing_json};
use crate::figures::{counted, format_count, format_size};
use crate::headline::{headline, last_bounds};
use crate::look::{Look, Role};
use crate::moment::{at, describe, peak, time};
use crate::process::{
    error, growth_text, highest_resident_bytes, labelled, residency, resident_lines,
};
use crate::summary::total;
use crate::table::in_modules;
use crate::text::wrap;

/// The figures of a capture at a moment, or of the part of it that filters kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Bytes of the file.
    file_bytes: u64,
    moment: Reached,
    is_filtered: bool,
    /// Live memory of imported code.
    imports: ImportSum,
    /// Sum of each metric over all sites.
    metrics: Vec<(Metric, Amount)>,
    domains: Vec<(String, Vec<(Metric, Amount)>)>,
    shape: Shape,
}

/// How large the recording is, in what its cost grows with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Shape {
    ticks: usize,
    sites: usize,
    call_paths: usize,
    functions: usize,
    files: usize,
    /// Frames of the longest call path that has memory.
    deepest_call_path: u32,
}

impl Statistics {
    /// Of a capture whose file has so many bytes, at the moment that its tables are of. With filters the figures are
    /// those of what they kept.
    #[must_use]
    pub fn new(capture: &Capture, file_bytes: u64, moment: Reached, is_filtered: bool) -> Self {
        let tables = &capture.tables;
        let sum = |metric: Metric| {
            let of_sites = tables.counters.iter().map(|of| metric.of(of)).sum();
            total(capture, metric, moment, is_filtered, of_sites)
        };
        let query = Query {
            group_by: GroupBy::Domain,
            imports: Imports::for_people(capture.header.mode, false),
            ..Query::default()
        };
        let is_known = |metric: &Metric| {
            !capture.knows_ends_only() || matches!(metric, Metric::Live | Metric::Peak)
        };
        let known = || Metric::ALL.into_iter().filter(is_known);
        let mut domains: Vec<(String, Vec<(Metric, Amount)>)> =
            group_counters(tables, GroupBy::Domain)
                .into_iter()
                .map(|(key, counters)| {
                    let name = match key {
                        Key::Domain(domain) => domain.name(),
                        _ => String::new(),
                    };
                    let amounts = known().map(|metric| (metric, metric.of(&counters)));
                    (name, amounts.collect())
                })
                .collect();
        domains.sort_by(|a, b| a.0.cmp(&b.0));
        Self {
            file_bytes,
            moment,
            is_filtered,
            imports: group(tables, query).imports.unwrap_or_default(),
            metrics: known().map(|metric| (metric, sum(metric))).collect(),
            domains,
            shape: Shape::of(capture),
        }
    }

    /// As text, ending with a line break.
    #[must_use]
    pub fn text(&self, capture: &Capture, look: &Look) -> String {
        let moment = self.moment;
        let mode = capture.header.mode;
        let mut out = headline(capture, look);
        out.push('\n');
        // Then the line of that metric has it.
        let is_whole_peak = moment == Reached::End && !self.is_filtered;
        for (metric, amount) in &self.metrics {
            let size = format_size(amount.bytes);
            let average = match amount.blocks {
                0 => String::new(),
                _ => format!(", {} on average", format_size(amount.average_bytes())),
            };
            let kept = match self.is_filtered {
                true => " kept by the filters",
                false => "",
            };
            let mut what = describe(moment, *metric, capture);
            if *metric == Metric::Peak && is_whole_peak {
                let elapsed_ns = peak(capture).and_then(|(elapsed_ns, _)| elapsed_ns);
                what += &elapsed_ns.map_or_else(String::new, |at| format!(", at {}", time(at)));
            }
            let text = format!(
                "{} in {}{kept}{average} ({what})",
                error(mode, amount.bytes, look),
                counted(amount.blocks, "block", "blocks"),
            );
            out += &labelled(metric.name(), &size, &text, look);
        }
        if !self.imports.amount.is_zero() {
            let text = format!(" of live memory{}", in_modules(self.imports.modules));
            out += &labelled(
                "imports",
                &format_size(self.imports.amount.bytes),
                &text,
                look,
            );
        }
        if let Some((elapsed_ns, bytes)) = peak(capture).filter(|_| !is_whole_peak) {
            let text = error(mode, bytes, look) + &at(elapsed_ns);
            out += &labelled("whole peak", &format_size(bytes), &text, look);
        }
        if let Some(highest) = highest_resident_bytes(capture) {
            out += &labelled("resident", &format_size(highest), " at most", look);
        }
        if let Some((rate, text)) = growth_text(capture, moment) {
            out += &labelled("growth", &rate, &text, look);
        }
        out += &resident_lines(capture, moment, 2, look);
        let shape = self.shape;
        let text = format!(
            " of file, {}, {}, {}, {}, {}; at most {} deep",
            counted(shape.ticks as u64, "tick", "ticks"),
            counted(shape.sites as u64, "site", "sites"),
            counted(shape.call_paths as u64, "call path", "call paths"),
            counted(shape.functions as u64, "function", "functions"),
            counted(shape.files as u64, "file", "files"),
            format_count(u64::from(shape.deepest_call_path)),
        );
        out += &labelled("recording", &format_size(self.file_bytes), &text, look);
        if !self.domains.is_empty() {
            let title = match capture.knows_ends_only() {
                true => "Live memory by allocator domain",
                false => "Live and allocated memory by allocator domain",
            };
            out += &format!("\n{}\n", look.paint(Role::Heading, title));
        }
        let longest = self.domains.iter().map(|(name, _)| name.len()).max();
        let name_width = longest.unwrap_or(0).max(12);
        for (name, amounts) in &self.domains {
            let of = |metric: Metric| {
                let found = amounts.iter().find(|(known, _)| *known == metric);
                found.map(|(_, amount)| {
                    let blocks = counted(amount.blocks, "block", "blocks");
                    format!("{} in {blocks}", format_size(amount.bytes))
                })
            };
            let live = of(Metric::Live).unwrap_or_default();
            let allocated = of(Metric::Allocated).map(|of| format!(", of {of} allocated"));
            let line = format!(
                "{name:<name_width$} {live}{}",
                allocated.unwrap_or_default()
            );
            let wrapped = wrap(line.split(' '), look.width.saturating_sub(2), 4);
            out += &format!("  {wrapped}\n");
        }
        if let Some(account) = account_of(capture).filter(|_| moment == Reached::End) {
            out += "\n";
            out += &account_table(&account, look);
        }
        out
    }

    /// As JSON on one line, ending with a line break.
    #[must_use]
    pub fn json(&self, capture: &Capture) -> String {
        let moment = self.moment;
        let amount = |metric: Metric, amount: Amount| {
            json!({
                "bytes": amount.bytes,
                "blocks": amount.blocks,
                "standard_error_bytes": standard_error_bytes(capture.header.mode, amount.bytes),
                "margin_bytes": margin_bytes(capture.header.mode, amount.bytes),
                "meaning": describe(moment, metric, capture),
            })
        };
        let metrics: serde_json::Map<String, Value> = self
            .metrics
            .iter()
            .map(|(metric, of)| (metric.name().to_owned(), amount(*metric, *of)))
            .collect();
        let domains: serde_json::Map<String, Value> = self
            .domains
            .iter()
            .map(|(name, amounts)| {
                let metrics: serde_json::Map<String, Value> = amounts
                    .iter()
                    .map(|(metric, of)| {
                        let of = json!({"bytes": of.bytes, "blocks": of.blocks});
                        (metric.name().to_owned(), of)
                    })
                    .collect();
                (name.clone(), Value::Object(metrics))
            })
            .collect();
        let last = capture.timeline.last().copied().unwrap_or_default();
        let end = capture.end.unwrap_or_default();
        let value = json!({
            "header": header_json(capture),
            "duration_ns": last.elapsed_ns.max(end.elapsed_ns),
            "is_complete": capture.missing().is_none(),
            "missing": missing_json(capture),
            "unreadable_from": capture.truncation.map(|truncation| truncation.offset),
            "lost_events": last.lost_events.max(end.totals.lost_events),
            "file_bytes": self.file_bytes,
            "metrics": metrics,
            "domains": domains,
            "peak": peak(capture).map(|(elapsed_ns, bytes)| json!({"elapsed_ns": elapsed_ns, "bytes": bytes})),
            "imports": {
                "bytes": self.imports.amount.bytes,
                "blocks": self.imports.amount.blocks,
                "modules": self.imports.modules,
            },
            "rss_bytes": residency(capture, moment).map(|of| of.resident_bytes),
            "highest_rss_bytes": highest_resident_bytes(capture),
            "process": account_of(capture).map(|account| account_json(&account)),
            "tracer_bytes": capture.tables.totals.tracer_bytes,
            "bounds": bounds_json(&last_bounds(capture)),
            "recording": self.shape,
        });
        format!("{value}\n")
    }
}

/// Resident memory at the end: its parts, other figures, and what it means.
fn account_json(account: &Account) -> Value {
    let parts = Part::ALL.map(|part| (part.key().to_owned(), json!(account.part(part))));
    json!({
        "resident_bytes": account.resident_bytes,
        "private_bytes": account.private_bytes,
        "copy_on_write_bytes": account.copy_on_write_bytes,
        "huge_bytes": account.huge_bytes,
        "swapped_bytes": account.swapped_bytes,
        "parts": serde_json::Map::from_iter(parts),
        "meaning": Meaning::of(account).0.key(),
        "sentence": account_sentence(account),
    })
}

impl Shape {
    fn of(capture: &Capture) -> Self {
        let tables = &capture.tables;
        let python = |kind: CodeKind| kind == CodeKind::Python;
        let used = tables.codes.iter().filter(|code| python(code.kind));
        let functions: HashSet<_> = used
            .clone()
            .map(|code| (code.filename, code.name, code.first_line))
            .collect();
        let files: HashSet<_> = used.map(|code| code.filename).collect();
        let mut depths: Vec<u32> = Vec::with_capacity(tables.nodes.len());
        for (id, node) in (0..).zip(&tables.nodes) {
            let depth = match id {
                ROOT => 0,
                _ => depths[node.parent as usize] + u32::from(is_frame(tables, id as NodeId)),
            };
            depths.push(depth);
        }
        let deepest = tables
            .sites
            .iter()
            .map(|site| depths[site.node as usize])
            .max();
        Self {
            ticks: capture.timeline.len(),
            sites: tables.sites.len(),
            call_paths: tables.nodes.len().saturating_sub(1),
            functions: functions.len(),
            files: files.len(),
            deepest_call_path: deepest.unwrap_or(0),
        }
    }
}
