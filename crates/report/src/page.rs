//! The page: one file with everything in it, made to be looked at in a browser.
//!
//! What is written is a page that was built from `web/` and is the same for every recording
//! (`crates/report/assets/page.html`), with the data of a recording in it: columns of numbers, each compressed and in
//! base64, which the page unpacks into typed arrays. Numbers are seven bits to a byte; names are told once. Only what
//! is about the whole (the sentence, warnings, totals) is JSON.
//!
//! It is written as it is made: beside the tables of the capture, memory grows with the call paths that are kept
//! ([`PageOptions::most_paths`]), and never with the size of the page.

mod about;
mod pack;
mod source;
mod times;
mod tree;

use std::io::{self, Write};

use heapsight_analysis::Columns;
use heapsight_analysis::recording::Half;
use heapsight_capture::Capture;
use heapsight_capture::model::{Counters, SiteId};

use about::About;
use pack::section;
use tree::Tree;

/// What the build of `web/` makes. `make check-web` proves that it is of those sources.
const TEMPLATE: &str = include_str!("../assets/page.html");

/// Where the title and the data go.
const TITLE: &str = "<!--heapsight:title-->";
const DATA: &str = "<!--heapsight:data-->";

/// Changes over time that a page holds, in all spans and call paths together.
const MOST_CHANGES: usize = 1_500_000;

/// One recording.
#[derive(Clone, Copy, Debug)]
pub struct PageSide<'c> {
    /// What it is called.
    pub name: &'c str,
    /// The recording, at its end.
    pub capture: &'c Capture,
    /// What happened over time, if that is known.
    pub columns: Option<&'c Columns>,
    /// The site of `capture` that each site of `columns` has become; `None` where they are the same.
    pub sites: Option<&'c [SiteId]>,
    /// What was live in the middle of the recording, if it is long enough to have one.
    pub half: Option<&'c Half>,
}

/// What a page shows, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageOptions {
    /// Whether lines of source are embedded.
    pub source: bool,
    /// Call paths that are kept apart; those with the least memory beyond that are added up below their callers.
    pub most_paths: usize,
    /// The span that is shown first, in nanoseconds since the start.
    pub span: Option<(u64, u64)>,
}

impl Default for PageOptions {
    fn default() -> Self {
        Self {
            source: true,
            most_paths: 1_000_000,
            span: None,
        }
    }
}

/// Writes the page of `new` to `out`, which should be buffered; with `old`, one that shows how `new` differs from it.
/// Gives what had to be left out, a sentence each: the page says so too.
///
/// # Errors
/// When `out` fails.
pub fn page(
    new: PageSide<'_>,
    old: Option<PageSide<'_>>,
    options: &PageOptions,
    out: &mut dyn Write,
) -> io::Result<Vec<String>> {
    let sides: Vec<PageSide<'_>> = std::iter::once(new).chain(old).collect();
    let tree = Tree::new(&sides, options.most_paths);
    let changes = new
        .columns
        .filter(|columns| old.is_none() && columns.changes() > 0)
        .map(|columns| times::Changes::new(columns, new.sites, &tree.maps[0], MOST_CHANGES));
    let source = options.source.then(|| source::Embedded::new(&sides, &tree));
    let about = About {
        sides: &sides,
        tree: &tree,
        changes: changes.as_ref(),
        source: source.as_ref(),
        span: options.span,
    };
    let (before_title, rest) = TEMPLATE.split_once(TITLE).unwrap_or((TEMPLATE, ""));
    let (before_data, after_data) = rest.split_once(DATA).unwrap_or((rest, ""));
    out.write_all(before_title.as_bytes())?;
    out.write_all(pack::html(&about.title()).as_bytes())?;
    out.write_all(before_data.as_bytes())?;
    pack::json(out, "about", &about.json())?;
    write_tree(&tree, old.is_some(), out)?;
    times::write_ticks("", new.capture, out)?;
    if let Some(old) = old {
        times::write_ticks("old-", old.capture, out)?;
    }
    if let Some(changes) = &changes {
        changes.write(out)?;
    }
    if let Some(source) = &source {
        source.write(out)?;
    }
    out.write_all(after_data.as_bytes())?;
    Ok(about.losses())
}

/// The figures of counters that a page has a column of, by name.
type Figure = (&'static str, fn(&Counters) -> u64);

const FIGURES: [Figure; 8] = [
    ("allocated-bytes", |of| of.allocated_bytes),
    ("freed-bytes", |of| of.freed_bytes),
    ("peak-bytes", |of| of.peak_bytes),
    ("temporary-bytes", |of| of.temporary_bytes),
    ("allocated-blocks", |of| of.allocated_blocks),
    ("freed-blocks", |of| of.freed_blocks),
    ("peak-blocks", |of| of.peak_blocks),
    ("temporary-blocks", |of| of.temporary_blocks),
];

fn write_tree(tree: &Tree, has_old: bool, out: &mut dyn Write) -> io::Result<()> {
    let names = &tree.names;
    pack::lines(out, "strings", names.strings())?;
    let modules = names.modules.iter();
    section(out, "modules", modules.len(), |pack| {
        modules
            .clone()
            .try_for_each(|of| pack.numbers([of.name.into(), of.kind as u64]))
    })?;
    section(out, "files", names.files.len(), |pack| {
        let mut files = names.files.iter();
        files.try_for_each(|of| pack.numbers([of.path.into(), of.short.into(), of.module.into()]))
    })?;
    section(out, "functions", names.functions.len(), |pack| {
        let mut functions = names.functions.iter();
        functions.try_for_each(|of| pack.numbers([of.name.into(), of.file.into(), of.kind as u64]))
    })?;
    section(out, "frames", names.frames.len(), |pack| {
        let mut frames = names.frames.iter();
        frames.try_for_each(|of| pack.numbers([of.function.into(), of.line.into()]))
    })?;
    // The root has neither caller nor frame.
    let nodes = (1..).zip(&tree.nodes[1..]);
    section(out, "callers", tree.nodes.len() - 1, |pack| {
        let mut nodes = nodes.clone();
        nodes.try_for_each(|(id, of): (u32, _)| pack.number((id - of.caller).into()))
    })?;
    section(out, "node-frames", tree.nodes.len() - 1, |pack| {
        let mut nodes = nodes.clone();
        nodes.try_for_each(|(_, of)| pack.number(of.frame.into()))
    })?;
    let sides = ["", "old-"].into_iter().zip(&tree.figures);
    for (prefix, figures) in sides.take(if has_old { 2 } else { 1 }) {
        for (name, of) in FIGURES {
            section(out, &format!("{prefix}{name}"), figures.len(), |pack| {
                figures.iter().try_for_each(|at| pack.number(of(at)))
            })?;
        }
    }
    Ok(())
}
