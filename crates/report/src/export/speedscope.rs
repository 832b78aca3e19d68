//! The file format of speedscope: frames once, and one profile for each metric in which a stack weighs its bytes.
//!
//! <https://github.com/jlfwong/speedscope/wiki/Importing-from-custom-sources>

use std::io::{self, Write};

use heapsight_analysis::Metric;
use heapsight_capture::Capture;
use serde::Serialize;

use super::ExportOptions;
use super::stacks::{Label, Stacks};

const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    name: &'a str,
    exporter: String,
    active_profile_index: usize,
    shared: Shared<'a>,
    profiles: Vec<Profile>,
}

#[derive(Serialize)]
struct Shared<'a> {
    frames: Vec<Frame<'a>>,
}

#[derive(Serialize)]
struct Frame<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    r#type: &'static str,
    name: &'static str,
    unit: &'static str,
    start_value: u64,
    end_value: u64,
    samples: Vec<Vec<usize>>,
    weights: Vec<u64>,
}

pub(super) fn write(
    capture: &Capture,
    options: &ExportOptions,
    out: &mut dyn Write,
) -> io::Result<()> {
    let stacks = Stacks::new(&capture.tables, options.group_by);
    let active = Metric::ALL
        .iter()
        .position(|metric| *metric == options.metric);
    let file = File {
        schema: SCHEMA,
        name: &capture.header.program,
        exporter: concat!("heapsight ", env!("CARGO_PKG_VERSION")).to_owned(),
        active_profile_index: active.unwrap_or(0),
        shared: Shared {
            frames: stacks.labels.iter().map(frame).collect(),
        },
        profiles: Metric::ALL
            .map(|metric| profile(&stacks, metric))
            .into_iter()
            .collect(),
    };
    serde_json::to_writer(&mut *out, &file)?;
    out.write_all(b"\n")
}

fn frame(label: &Label) -> Frame<'_> {
    Frame {
        name: &label.name,
        file: &label.filename,
        line: Some(label.line).filter(|line| *line > 0),
    }
}

fn profile(stacks: &Stacks, metric: Metric) -> Profile {
    let (mut samples, mut weights) = (Vec::new(), Vec::new());
    let mut total = 0_u64;
    for sample in &stacks.samples {
        let bytes = metric.of(&sample.counters).bytes;
        if bytes > 0 {
            samples.push(stacks.labels_of(sample.stack));
            weights.push(bytes);
            total = total.saturating_add(bytes);
        }
    }
    Profile {
        r#type: "sampled",
        name: metric.name(),
        unit: "bytes",
        start_value: 0,
        end_value: total,
        samples,
        weights,
    }
}
