//! `outer;inner 123`: one line for each stack, bytes (of the chosen metric) at the end. Frames only: threads are added
//! up.

use std::borrow::Cow;
use std::io::{self, Write};

use heapsight_capture::Capture;

use super::ExportOptions;
use super::stacks::Stacks;

pub(super) fn write(
    capture: &Capture,
    options: &ExportOptions,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (stacks, weights) = Stacks::weighed(&capture.tables, options.group_by, options.metric);
    let labels = labels(&stacks);
    for (stack, bytes) in with_memory(&weights) {
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
    let (stacks, weights) = Stacks::weighed(&capture.tables, options.group_by, options.metric);
    let labels = labels(&stacks);
    let lengths: Vec<u64> = labels.iter().map(|label| label.len() as u64 + 1).collect();
    let stacks_with_memory = with_memory(&weights).map(|(stack, _)| stack);
    stacks.spelled_bytes(&lengths, stacks_with_memory)
}

/// Stacks that have memory, and how much.
fn with_memory(weights: &[u64]) -> impl Iterator<Item = (usize, u64)> {
    let weights = weights.iter().copied().enumerate();
    weights.filter(|(_, bytes)| *bytes > 0)
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
