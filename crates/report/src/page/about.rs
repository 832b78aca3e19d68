//! What a page says of the recording as a whole.

use heapsight_analysis::highest_resident;
use heapsight_analysis::recording::Reached;
use heapsight_capture::Capture;
use heapsight_capture::model::Mode;
use serde_json::{Value, json};

use super::PageSide;
use super::source::Embedded;
use super::times::Changes;
use super::tree::Tree;
use crate::figures::{counted, format_count, format_share, format_size};
use crate::finding::finding;
use crate::headline::{facts, warnings_of};
use crate::look::Look;
use crate::moment::{is_snapshot, when};
use crate::process::is_of_memray;
use crate::summary::total;
use crate::text::printable;

/// The version of what a page's data look like.
const FORMAT: u32 = 1;

/// Lines that look like secrets and are named one by one.
const NAMED_SECRETS: usize = 20;

/// Everything that there is to say.
pub(super) struct About<'a> {
    pub sides: &'a [PageSide<'a>],
    pub tree: &'a Tree,
    pub changes: Option<&'a Changes>,
    pub source: Option<&'a Embedded>,
    pub span: Option<(u64, u64)>,
}

impl About<'_> {
    fn newer(&self) -> &PageSide<'_> {
        &self.sides[0]
    }

    /// The title of the window.
    pub(super) fn title(&self) -> String {
        let name = |side: &PageSide<'_>| printable(side.name, true);
        match self.sides {
            [new, old] => format!("{} compared with {} · heapsight", name(new), name(old)),
            _ => format!("{} · heapsight", name(self.newer())),
        }
    }

    pub(super) fn json(&self) -> Value {
        let new = self.newer();
        let look = Look::plain(usize::MAX);
        let sentence = match self.sides {
            [_, _] => None,
            _ => finding(new.capture, new.half, &look),
        };
        json!({
            "format": FORMAT,
            "version": env!("CARGO_PKG_VERSION"),
            "sentence": sentence,
            "new": side(new),
            "old": self.sides.get(1).map(side),
            "losses": self.losses(),
            "span_us": self.span.map(|(from, to)| [from / 1000, to / 1000]),
            "source": match self.source {
                None => json!(null),
                Some(source) => json!({
                    "secrets": source.secrets,
                    "missing": source.missing,
                    "left_out": source.left_out,
                    "files": source.files(),
                }),
            },
            "paths": self.tree.left_out.of_paths,
        })
    }

    /// What is not shown as it was recorded, and how much that is.
    pub(super) fn losses(&self) -> Vec<String> {
        let mut losses = Vec::new();
        let left_out = self.tree.left_out;
        if left_out.paths > 0 {
            losses.push(format!(
                "{} of {} call paths, those with the least memory, are added up as \"smaller call paths\" below their \
                 callers: together {} live and {} allocated",
                format_count(left_out.paths as u64),
                format_count(left_out.of_paths as u64),
                format_size(left_out.live.bytes),
                format_size(left_out.allocated.bytes),
            ));
        }
        if let Some(changes) = self.changes.filter(|of| of.left_out_bytes > 0) {
            losses.push(format!(
                "ranges leave out call paths with {} of all allocated bytes ({}): of these only the whole run is kept",
                format_share(changes.left_out_bytes, changes.all_bytes),
                format_size(changes.left_out_bytes),
            ));
        }
        if let Some(source) = self.source {
            losses.extend(self.of_source(source));
        }
        losses
    }

    fn of_source(&self, source: &Embedded) -> Vec<String> {
        let mut losses = Vec::new();
        if !source.secrets.is_empty() {
            let mut places: Vec<String> = Vec::new();
            for (file, line) in source.secrets.iter().take(NAMED_SECRETS) {
                let name = &self.tree.names.file_names[*file as usize];
                let from = &self.newer().capture.header.working_directory;
                let short = heapsight_analysis::short_name(name, from).text;
                places.push(format!("{}:{line}", printable(short, true)));
            }
            if source.secrets.len() > NAMED_SECRETS {
                places.push(format!("{} more", source.secrets.len() - NAMED_SECRETS));
            }
            losses.push(format!(
                "{} of source left out because they look like secrets: {}",
                counted(source.secrets.len() as u64, "line", "lines"),
                places.join(", ")
            ));
        }
        if source.left_out > 0 {
            let files = counted(source.left_out as u64, "file", "files");
            losses.push(format!(
                "source of {files} with the least memory is left out"
            ));
        }
        losses
    }
}

/// One recording in figures.
fn side(side: &PageSide<'_>) -> Value {
    let capture: &Capture = side.capture;
    let look = Look::plain(usize::MAX);
    let total = |metric| {
        let counters = capture.tables.counters.iter();
        let of_sites = counters
            .map(|of| heapsight_analysis::Metric::of(metric, of))
            .sum();
        let all = total(capture, metric, Reached::End, false, of_sites);
        json!([all.bytes, all.blocks])
    };
    let peak = capture.peak();
    let knows_ends_only = capture.knows_ends_only();
    json!({
        "name": printable(side.name, true),
        "facts": facts(capture, &look),
        "warnings": warnings_of(capture),
        "end": when(Reached::End, capture).trim_end_matches(','),
        "mean_bytes": match capture.header.mode {
            Mode::Sampled { mean_bytes } => Some(mean_bytes),
            Mode::Exact { .. } => None,
        },
        "ends_only": knows_ends_only,
        "snapshot": is_snapshot(capture),
        "memray": is_of_memray(capture),
        "live": total(heapsight_analysis::Metric::Live),
        "peak": total(heapsight_analysis::Metric::Peak),
        "peak_us": peak.filter(|_| !knows_ends_only).map(|(elapsed_ns, _)| elapsed_ns / 1000),
        "until_us": capture.totals_until_ns() / 1000,
        "start_unix_ms": capture.header.start_unix_ns / 1_000_000,
        "highest_resident": highest_resident(capture).map(|highest| highest.bytes),
        "directory": printable(&capture.header.working_directory, true),
        "by_thread": capture.header.by_thread,
    })
}
