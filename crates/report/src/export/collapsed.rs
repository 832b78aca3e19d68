//! `outer;inner 123`: one line for each stack, bytes (of the chosen metric) at the end. Frames only: threads are added
//! up.

use std::borrow::Cow;
use std::io::{self, Write};

use heapsight_capture::Capture;

use super::ExportOptions;
use super::stacks::{Stacks, Threads};

pub(super) fn write(
    capture: &Capture,
    options: &ExportOptions,
    out: &mut dyn Write,
) -> io::Result<()> {
    let stacks = Stacks::new(&capture.tables, options.group_by, Threads::LeftOut);
    let labels = labels(&stacks);
    for (stack, bytes) in weights(&stacks, options) {
        for (index, label) in stacks.labels_of(stack).into_iter().enumerate() {
            let separator = if index == 0 { "" } else { ";" };
            write!(out, "{separator}{}", labels[label])?;
        }
        writeln!(out, " {bytes}")?;
    }
    Ok(())
}

/// How many bytes that will be, roughly.
pub(super) fn expected_bytes(capture: &Capture, options: &ExportOptions) -> u64 {
    let stacks = Stacks::new(&capture.tables, options.group_by, Threads::LeftOut);
    let labels = labels(&stacks);
    let lengths: Vec<u64> = labels.iter().map(|label| label.len() as u64 + 1).collect();
    let stacks_with_memory = weights(&stacks, options).map(|(stack, _)| stack);
    stacks.spelled_bytes(&lengths, stacks_with_memory)
}

/// Stacks that have memory, and how much.
fn weights(stacks: &Stacks, options: &ExportOptions) -> impl Iterator<Item = (usize, u64)> {
    let mut bytes = vec![0_u64; stacks.stacks.len()];
    for sample in &stacks.samples {
        let sum = &mut bytes[sample.stack];
        *sum = sum.saturating_add(options.metric.of(&sample.counters).bytes);
    }
    let bytes = bytes.into_iter().enumerate();
    bytes.filter(|(_, bytes)| *bytes > 0)
}

fn labels(stacks: &Stacks) -> Vec<String> {
    let labels = stacks.labels.iter();
    labels
        .map(|label| plain(&label.text()).into_owned())
        .collect()
}

/// `text` without the characters that separate frames and lines.
fn plain(text: &str) -> Cow<'_, str> {
    let separates = |character: char| character == ';' || character.is_control();
    if text.contains(separates) {
        text.replace(separates, "_").into()
    } else {
        text.into()
    }
}
