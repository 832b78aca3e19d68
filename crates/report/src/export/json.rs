//! Everything that is known, as JSON: header, totals, timeline, functions, call paths as a tree, and the counters of
//! each site.
//!
//! The shape is described in docs/how-to/export.md; `format` rises when an existing field changes its meaning.
//! Functions are written once, and the two long tables by column, so that a name is not repeated in every row; all is
//! written as it is read.

use std::io::{self, Write};

use heapsight_capture::model::{Bounds, CodeKind, Domain, Mode, Node, ROOT, Tables};
use heapsight_capture::{Capture, TickSummary};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::rows::FIGURES;

const FORMAT: u32 = 2;

pub(super) fn write(capture: &Capture, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &File(capture))?;
    out.write_all(b"\n")
}

struct File<'c>(&'c Capture);

impl Serialize for File<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(capture) = self;
        let tables = &capture.tables;
        let domains = domains(tables);
        let functions = list(|| tables.codes.iter().map(|code| function(tables, code)));
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("format", &FORMAT)?;
        map.serialize_entry("header", &header(capture))?;
        map.serialize_entry("missing", &missing(capture))?;
        map.serialize_entry("totals", &totals(tables))?;
        map.serialize_entry("timeline", &list(|| capture.timeline.iter().map(moment)))?;
        map.serialize_entry("functions", &functions)?;
        map.serialize_entry("call_paths", &CallPaths(tables))?;
        let names: Vec<String> = domains.iter().map(|domain| domain.name()).collect();
        map.serialize_entry("domains", &names)?;
        map.serialize_entry("sites", &Sites(tables, &domains))?;
        map.end()
    }
}

/// What a recording that was cut short lacks; null of a whole one.
pub(crate) fn missing(capture: &Capture) -> Option<Value> {
    capture.missing().map(|missing| {
        json!({
            "totals_until_ns": missing.totals_until_ns,
            "paths_until_ns": missing.paths_until_ns,
            "longest_tick_ns": missing.longest_tick_ns,
        })
    })
}

fn totals(tables: &Tables) -> Value {
    json!({
        "live_bytes": tables.totals.live_bytes,
        "live_blocks": tables.totals.live_blocks,
        "peak_bytes": tables.totals.peak_bytes,
        "lost_events": tables.totals.lost_events,
        "tracer_bytes": tables.totals.tracer_bytes,
        "bounds": bounds(&tables.totals.bounds),
    })
}

/// What keeping within the tracer's budget has cost.
pub(crate) fn bounds(bounds: &Bounds) -> Value {
    json!({
        "folded_bytes": bounds.folded_bytes,
        "cuts": bounds.cuts,
        "gone_paths": bounds.gone_paths,
    })
}

fn moment(point: &TickSummary) -> Value {
    json!({
        "elapsed_ns": point.elapsed_ns,
        "paths_lag_ns": point.paths_lag_ns,
        "rss_bytes": point.rss_bytes,
        "highest_rss_bytes": point.highest_rss_bytes,
        "live_bytes": point.live_bytes,
        "live_blocks": point.live_blocks,
        "peak_bytes": point.peak_bytes,
        "allocated_bytes": point.allocated_bytes,
        "allocated_blocks": point.allocated_blocks,
        "lost_events": point.lost_events,
        "tracer_bytes": point.tracer_bytes,
    })
}

fn function(tables: &Tables, code: &heapsight_capture::model::Code) -> Value {
    json!({
        "kind": kind(code.kind),
        "function": tables.strings[code.name as usize],
        "filename": tables.strings[code.filename as usize],
        "first_line": code.first_line,
    })
}

/// The call paths by column. The first is the empty one, which has no caller and no function.
struct CallPaths<'t>(&'t Tables);

impl Serialize for CallPaths<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let column = |value: fn(&Node) -> u32| {
            list(move || {
                let nodes = (0..).zip(&self.0.nodes);
                nodes.map(move |(id, node)| (id != ROOT).then(|| value(node)))
            })
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("caller", &column(|node| node.parent))?;
        map.serialize_entry("function", &column(|node| node.code))?;
        map.serialize_entry("line", &column(|node| node.line))?;
        map.end()
    }
}

/// The sites by column.
struct Sites<'t>(&'t Tables, &'t [Domain]);

impl Serialize for Sites<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(tables, domains) = self;
        let mut map = serializer.serialize_map(None)?;
        let paths = list(|| tables.sites.iter().map(|site| site.node));
        map.serialize_entry("call_path", &paths)?;
        let number = |domain: Domain| domains.binary_search(&domain).unwrap_or_default();
        let numbers = list(|| tables.sites.iter().map(|site| number(site.domain)));
        map.serialize_entry("domain", &numbers)?;
        for (name, figure) in FIGURES {
            map.serialize_entry(name, &list(|| tables.counters.iter().map(figure)))?;
        }
        map.end()
    }
}

/// The domains that occur, in order.
fn domains(tables: &Tables) -> Vec<Domain> {
    let mut domains: Vec<Domain> = Vec::new();
    for site in &tables.sites {
        if let Err(at) = domains.binary_search(&site.domain) {
            domains.insert(at, site.domain);
        }
    }
    domains
}

/// A list whose elements are made while they are written.
fn list<I: Iterator<Item: Serialize>>(elements: impl Fn() -> I) -> impl Serialize {
    struct List<F>(F);
    impl<I: Iterator<Item: Serialize>, F: Fn() -> I> Serialize for List<F> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq((self.0)())
        }
    }
    List(elements)
}

/// What was traced, and how.
pub(crate) fn header(capture: &Capture) -> Value {
    let header = &capture.header;
    let (sample_bytes, frame_limit) = match header.mode {
        Mode::Exact { frame_limit } => (None, frame_limit),
        Mode::Sampled { mean_bytes } => (Some(mean_bytes), None),
    };
    json!({
        "program": header.program,
        "argv": header.argv,
        "working_directory": header.working_directory,
        "python_version": header.python_version,
        "executable": header.executable,
        "platform": header.platform,
        "pid": header.pid,
        "start_unix_ns": header.start_unix_ns,
        "sample_bytes": sample_bytes,
        "frame_limit": frame_limit,
        "by_thread": header.by_thread,
        "tick_ms": header.tick_ms,
        "heapsight_version": header.heapsight_version,
        // As text: few readers of JSON keep 64 bits.
        "run_id": (header.run_id != 0).then(|| format!("{:016x}", header.run_id)),
        "is_child": header.is_child,
    })
}

fn kind(kind: CodeKind) -> &'static str {
    match kind {
        CodeKind::Python => "frame",
        CodeKind::Thread => "thread",
        CodeKind::Folded => "folded",
    }
}
