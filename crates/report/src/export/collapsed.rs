//! `outer;inner 123`: one line for each stack, bytes (of the chosen metric) at the end.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

use heapsight_capture::Capture;

use super::ExportOptions;
use super::stacks::Stacks;

pub(super) fn write(
    capture: &Capture,
    options: &ExportOptions,
    out: &mut dyn Write,
) -> io::Result<()> {
    let stacks = Stacks::new(&capture.tables, options.group_by);
    let mut bytes: BTreeMap<usize, u64> = BTreeMap::new();
    for sample in &stacks.samples {
        let sum = bytes.entry(sample.stack).or_default();
        *sum = sum.saturating_add(options.metric.of(&sample.counters).bytes);
    }
    let labels: Vec<String> = stacks
        .labels
        .iter()
        .map(|label| plain(&label.text()).into_owned())
        .collect();
    for (stack, bytes) in bytes.into_iter().filter(|(_, bytes)| *bytes > 0) {
        for (index, label) in stacks.labels_of(stack).into_iter().enumerate() {
            let separator = if index == 0 { "" } else { ";" };
            write!(out, "{separator}{}", labels[label])?;
        }
        writeln!(out, " {bytes}")?;
    }
    Ok(())
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
