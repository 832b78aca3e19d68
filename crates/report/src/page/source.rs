//! The lines of source that a page brings along.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use heapsight_analysis::Metric;

use super::PageSide;
use super::pack::{lines, section};
use super::tree::{FunctionKind, Tree};
use crate::secrets::looks_like_a_secret;
use crate::source::{Source, shown_line};

/// Lines before and after one with memory.
const AROUND: u32 = 12;

/// Files of no more lines than this are embedded whole.
const SHORT_FILE: usize = 120;

/// Bytes of source that a page holds.
const MOST_BYTES: usize = 2 << 20;

/// Lines of source, by file.
#[derive(Debug, Default)]
pub(super) struct Embedded {
    files: Vec<EmbeddedFile>,
    /// File of the page, and line: left out, for they look like secrets.
    pub secrets: Vec<(u32, u32)>,
    /// Files that lines were wanted of and that were not found as they ran.
    pub missing: usize,
    /// Files left out because the page has enough.
    pub left_out: usize,
}

#[derive(Debug)]
struct EmbeddedFile {
    file: u32,
    /// First line, and the lines.
    windows: Vec<(u32, Vec<String>)>,
}

impl Embedded {
    pub(super) fn new(sides: &[PageSide<'_>], tree: &Tree) -> Self {
        let mut embedded = Self::default();
        let mut sources: Vec<Source> = sides.iter().map(|side| Source::of(side.capture)).collect();
        let mut bytes = 0;
        for (file, wanted) in wanted(tree) {
            let name = &tree.names.file_names[file as usize];
            let found = sources
                .iter_mut()
                .find_map(|source| source.lines(name).ok().filter(|lines| !lines.is_empty()));
            let Some(all) = found else {
                embedded.missing += usize::from(!name.starts_with('<') && !name.is_empty());
                continue;
            };
            if bytes > MOST_BYTES {
                embedded.left_out += 1;
                continue;
            }
            let mut windows = Vec::new();
            for (first, last) in windows_of(&wanted, all.len()) {
                let mut shown = Vec::new();
                for (number, line) in (first..=last).zip(&all[first as usize - 1..]) {
                    if looks_like_a_secret(line) {
                        embedded.secrets.push((file, number));
                        shown.push(String::new());
                    } else {
                        shown.push(shown_line(line));
                    }
                }
                bytes += shown.iter().map(String::len).sum::<usize>();
                windows.push((first, shown));
            }
            embedded.files.push(EmbeddedFile { file, windows });
        }
        embedded
    }

    /// Files with lines.
    pub(super) fn files(&self) -> usize {
        self.files.len()
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        section(out, "source-files", self.files.len(), |pack| {
            for file in &self.files {
                pack.numbers([file.file.into(), file.windows.len() as u64])?;
                for (first, lines) in &file.windows {
                    pack.numbers([u64::from(*first), lines.len() as u64])?;
                }
            }
            Ok(())
        })?;
        let windows = self.files.iter().flat_map(|file| &file.windows);
        let text: Vec<&str> = windows
            .flat_map(|(_, lines)| lines)
            .map(String::as_str)
            .collect();
        lines(out, "source-lines", text.into_iter())
    }
}

/// The lines with memory of each file, files with the most first.
fn wanted(tree: &Tree) -> Vec<(u32, BTreeSet<u32>)> {
    let mut of_files: BTreeMap<u32, (u64, BTreeSet<u32>)> = BTreeMap::new();
    let metrics = [Metric::Live, Metric::Peak, Metric::Allocated];
    for figures in &tree.figures {
        for (node, counters) in tree.nodes.iter().zip(figures).skip(1) {
            let frame = tree.names.frames[node.frame as usize];
            let function = tree.names.functions[frame.function as usize];
            if frame.line == 0 || function.kind != FunctionKind::Python {
                continue;
            }
            let (weight, lines) = of_files.entry(function.file).or_default();
            let bytes = metrics.map(|metric| metric.of(counters).bytes);
            *weight = weight.saturating_add(bytes.into_iter().max().unwrap_or(0));
            lines.insert(frame.line);
        }
    }
    let mut files: Vec<_> = of_files.into_iter().collect();
    files.sort_by_key(|(_, (weight, _))| std::cmp::Reverse(*weight));
    let without_weight = files.into_iter().map(|(file, (_, lines))| (file, lines));
    without_weight.collect()
}

/// First and last lines of what is shown of a file with `len` lines: the wanted ones with what is around them.
fn windows_of(wanted: &BTreeSet<u32>, len: usize) -> Vec<(u32, u32)> {
    let end = u32::try_from(len).unwrap_or(u32::MAX);
    if len <= SHORT_FILE {
        return if len == 0 { Vec::new() } else { vec![(1, end)] };
    }
    let mut windows: Vec<(u32, u32)> = Vec::new();
    for line in wanted.iter().filter(|line| **line <= end) {
        let (first, last) = (line.saturating_sub(AROUND).max(1), end.min(line + AROUND));
        match windows.last_mut() {
            Some((_, until)) if first <= *until + 1 => *until = last,
            _ => windows.push((first, last)),
        }
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_around_the_wanted_lines_and_do_not_overlap() {
        let windows = |lines: &[u32], len| windows_of(&lines.iter().copied().collect(), len);
        assert_eq!(windows(&[50], 1000), [(38, 62)]);
        assert_eq!(windows(&[50, 75, 200], 1000), [(38, 87), (188, 212)]);
        assert_eq!(windows(&[1, 995, 4000], 1000), [(1, 13), (983, 1000)]);
        assert_eq!(windows(&[50], 100), [(1, 100)], "a short file is whole");
        assert_eq!(windows(&[], 0), []);
    }
}
