//! The file format of speedscope: frames once, and one profile for each metric in which a stack weighs its bytes.
//!
//! <https://github.com/jlfwong/speedscope/wiki/Importing-from-custom-sources>

use std::io::{self, Write};

use heapsight_analysis::Metric;
use heapsight_capture::Capture;
use serde::ser::{Serialize, Serializer};

use super::ExportOptions;
use super::stacks::{Label, Stacks, Threads};

const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    name: &'a str,
    exporter: String,
    active_profile_index: usize,
    shared: Shared<'a>,
    profiles: Vec<Profile<'a>>,
}

#[derive(serde::Serialize)]
struct Shared<'a> {
    frames: Vec<Frame<'a>>,
}

#[derive(serde::Serialize)]
struct Frame<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile<'a> {
    r#type: &'static str,
    name: &'static str,
    unit: &'static str,
    start_value: u64,
    end_value: u64,
    samples: Samples<'a>,
    weights: Weights<'a>,
}

/// The stacks that have memory of a metric, each as the labels of its frames. Made while they are written: together
/// they may take gigabytes.
struct Samples<'a>(&'a Stacks, Metric);

impl Serialize for Samples<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(stacks, metric) = self;
        serializer.collect_seq(weights(stacks, *metric).map(|(stack, _)| stacks.labels_of(stack)))
    }
}

/// Their bytes.
struct Weights<'a>(&'a Stacks, Metric);

impl Serialize for Weights<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(stacks, metric) = self;
        serializer.collect_seq(weights(stacks, *metric).map(|(_, bytes)| bytes))
    }
}

fn weights(stacks: &Stacks, metric: Metric) -> impl Iterator<Item = (usize, u64)> {
    let samples = stacks.samples.iter();
    samples
        .map(move |sample| (sample.stack, metric.of(&sample.counters).bytes))
        .filter(|(_, bytes)| *bytes > 0)
}

pub(super) fn write(
    capture: &Capture,
    options: &ExportOptions,
    out: &mut dyn Write,
) -> io::Result<()> {
    let stacks = Stacks::new(&capture.tables, options.group_by, Threads::Frames);
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

fn profile(stacks: &Stacks, metric: Metric) -> Profile<'_> {
    let bytes = weights(stacks, metric).map(|(_, bytes)| bytes);
    Profile {
        r#type: "sampled",
        name: metric.name(),
        unit: "bytes",
        start_value: 0,
        end_value: bytes.fold(0, u64::saturating_add),
        samples: Samples(stacks, metric),
        weights: Weights(stacks, metric),
    }
}

/// How many bytes a file will have, roughly: the stacks are by far the most of it.
pub(super) fn expected_bytes(capture: &Capture, options: &ExportOptions) -> u64 {
    let stacks = Stacks::new(&capture.tables, options.group_by, Threads::Frames);
    let digits = |number: usize| u64::from(number.checked_ilog10().unwrap_or(0)) + 1;
    let lengths: Vec<u64> = (0..stacks.labels.len())
        .map(|label| digits(label) + 1)
        .collect();
    let with_memory = Metric::ALL
        .into_iter()
        .flat_map(|metric| weights(&stacks, metric));
    stacks.spelled_bytes(&lengths, with_memory.map(|(stack, _)| stack))
}
