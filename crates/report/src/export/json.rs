//! Everything that is known, as JSON: header, totals, timeline, call paths as a tree, and the counters of each site.
//!
//! The shape is described in docs/how-to/export.md; `format` rises when an existing field changes its meaning.

use std::io::{self, Write};

use heapsight_capture::Capture;
use heapsight_capture::model::{CodeKind, Mode};
use serde_json::{Map, Value, json};

use super::rows::FIGURES;

const FORMAT: u32 = 1;

pub(super) fn write(capture: &Capture, out: &mut dyn Write) -> io::Result<()> {
    let tables = &capture.tables;
    let text = |id: u32| tables.strings[id as usize].as_str();
    let call_paths: Vec<Value> = tables
        .nodes
        .iter()
        .enumerate()
        .map(|(id, node)| match tables.codes.get(node.code as usize) {
            Some(code) if id > 0 => json!({
                "caller": node.parent,
                "kind": kind(code.kind),
                "function": text(code.name),
                "filename": text(code.filename),
                "line": node.line,
            }),
            _ => json!({"caller": null, "kind": "root"}),
        })
        .collect();
    let sites: Vec<Value> = tables
        .sites
        .iter()
        .zip(&tables.counters)
        .map(|(site, counters)| {
            let mut row = Map::new();
            row.insert("call_path".to_owned(), site.node.into());
            row.insert("domain".to_owned(), site.domain.name().into());
            for (name, figure) in FIGURES {
                row.insert(name.to_owned(), figure(counters).into());
            }
            Value::Object(row)
        })
        .collect();
    let timeline: Vec<Value> = capture
        .timeline
        .iter()
        .map(|point| {
            json!({
                "elapsed_ns": point.elapsed_ns,
                "rss_bytes": point.rss_bytes,
                "live_bytes": point.live_bytes,
                "live_blocks": point.live_blocks,
                "peak_bytes": point.peak_bytes,
                "allocated_bytes": point.allocated_bytes,
                "allocated_blocks": point.allocated_blocks,
                "lost_events": point.lost_events,
                "tracer_bytes": point.tracer_bytes,
            })
        })
        .collect();
    let file = json!({
        "format": FORMAT,
        "header": header(capture),
        "totals": {
            "live_bytes": tables.totals.live_bytes,
            "live_blocks": tables.totals.live_blocks,
            "peak_bytes": tables.totals.peak_bytes,
            "lost_events": tables.totals.lost_events,
            "tracer_bytes": tables.totals.tracer_bytes,
        },
        "timeline": timeline,
        "call_paths": call_paths,
        "sites": sites,
    });
    serde_json::to_writer(&mut *out, &file)?;
    out.write_all(b"\n")
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
