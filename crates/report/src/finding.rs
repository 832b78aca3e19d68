//! What a recording shows, in one sentence. Summaries and pages begin with it.

use foldhash::{HashMap, HashMapExt};
use heapsight_analysis::path::{Frame, frame, frames};
use heapsight_analysis::recording::{Half, Reached};
use heapsight_analysis::{Imports, Metric, heaviest_path, import_sites, short_name};
use heapsight_capture::Capture;
use heapsight_capture::model::{Counters, NodeId, Site, StringId, Tables};

use crate::callers::{Run, runs};
use crate::figures::format_size;
use crate::look::Look;
use crate::moment::{time, when};
use crate::text::{keep_end, keep_start, printable};

/// A path is told of from this share (in per cent) on: more than half, so there is one at most.
const LEAST_SHARE: u64 = 51;

/// Growth is told of if it is at least this part of what is live, beside imports: a tenth.
const LEAST_GROWTH: u64 = 10;

/// Frames that are named; recursion and the import system count as one, as they do in tables.
const FRAMES: usize = 3;

/// Columns of a name in a sentence.
const LONGEST_NAME: usize = 80;

/// What a sentence is about.
struct Subject {
    /// `the growth since 10 s`.
    what: String,
    /// Bytes of each site.
    bytes: Vec<u64>,
}

/// The sentence; `None` if the recording has no memory to speak of. With what was live in the middle of it, it may be
/// about how memory grew since then.
pub(crate) fn finding(capture: &Capture, half: Option<&Half>, look: &Look) -> Option<String> {
    let tables = &capture.tables;
    let imports = import_sites(tables, Imports::for_people(capture.header.mode, false));
    let mut subject = half
        .and_then(|half| growth(capture, half, &imports))
        .or_else(|| held(capture, &imports))?;
    let mut of_imports = 0_u64;
    for (bytes, is_import) in subject.bytes.iter_mut().zip(&imports) {
        if *is_import {
            of_imports = of_imports.saturating_add(std::mem::take(bytes));
        }
    }
    let total: u64 = subject.bytes.iter().copied().fold(0, u64::saturating_add);
    if total == 0 {
        return None;
    }
    if format_size(total) != format_size(total.saturating_add(of_imports)) {
        // Else it would be another total than that of the lines below, and nobody would know why.
        subject.what.push_str(" beside imports");
    }
    let part = |bytes: u64, total: u64| {
        let share = bytes as f64 / total as f64 * 100.0;
        format!(
            "{share:.0} % of {} ({} of {})",
            subject.what,
            format_size(bytes),
            format_size(total)
        )
    };
    if let Some(heaviest) = heaviest_path(tables, &subject.bytes, LEAST_SHARE) {
        return Some(format!(
            "{} is on one path: {}",
            part(heaviest.bytes, heaviest.total_bytes),
            path(capture, heaviest.node, look)
        ));
    }
    // As where each thread has a part of it.
    if let Some((site, bytes)) = heaviest_line(tables, &subject.bytes)
        && u128::from(bytes) * 100 >= u128::from(total) * u128::from(LEAST_SHARE)
    {
        return Some(format!(
            "{} is from one line: {}",
            part(bytes, total),
            path(capture, site.node, look)
        ));
    }
    Some(format!(
        "No call path holds more than half of {} ({}).",
        subject.what,
        format_size(total)
    ))
}

/// The line with the most of `bytes`, as the site of it that has the most, and what it has.
fn heaviest_line(tables: &Tables, bytes: &[u64]) -> Option<(Site, u64)> {
    let mut lines: HashMap<(StringId, u32), (u64, u64, Site)> = HashMap::new();
    for (site, bytes) in tables.sites.iter().zip(bytes) {
        if *bytes == 0 || frame(tables, site.node).is_none() {
            continue;
        }
        let node = tables.nodes[site.node as usize];
        let file = tables.codes[node.code as usize].filename;
        let (sum, most, heaviest) = lines.entry((file, node.line)).or_insert((0, 0, *site));
        *sum = sum.saturating_add(*bytes);
        if bytes > most {
            (*most, *heaviest) = (*bytes, *site);
        }
    }
    let lines = lines.into_values();
    let heaviest = lines.max_by_key(|(sum, most, site)| (*sum, *most, site.node));
    heaviest.map(|(sum, _, site)| (site, sum))
}

/// What is live at the end; or at the peak, if next to nothing is left of that.
fn held(capture: &Capture, imports: &[bool]) -> Option<Subject> {
    let of = |metric: Metric| -> Vec<u64> {
        let counters = capture.tables.counters.iter();
        counters.map(|of| metric.of(of).bytes).collect()
    };
    let sum = |bytes: &[u64]| {
        let others = bytes
            .iter()
            .zip(imports)
            .filter(|(_, is_import)| !**is_import);
        others.fold(0_u64, |sum, (bytes, _)| sum.saturating_add(*bytes))
    };
    let (live, peak) = (of(Metric::Live), of(Metric::Peak));
    if sum(&live).saturating_mul(LEAST_GROWTH) < sum(&peak) {
        return Some(Subject {
            what: "the memory at the peak".to_owned(),
            bytes: peak,
        });
    }
    (sum(&live) > 0).then(|| Subject {
        what: format!(
            "the memory {}",
            when(Reached::End, capture).trim_end_matches(',')
        ),
        bytes: live,
    })
}

/// What grew in the second half of the recording, if that is much. Modules that were imported then do not make it much:
/// the sentence is not about them.
fn growth(capture: &Capture, half: &Half, imports: &[bool]) -> Option<Subject> {
    let live = |of: &Counters| of.live_bytes();
    let ends = capture.tables.counters.iter().map(live);
    let begins = half.live_bytes.iter().copied().chain(std::iter::repeat(0));
    let gained: Vec<i128> = ends
        .zip(begins)
        .map(|(end, begin)| i128::from(end) - i128::from(begin))
        .collect();
    let others = gained.iter().zip(imports);
    let others = others.filter(|(_, is_import)| !**is_import);
    let grown: i128 = others.map(|(bytes, _)| bytes).sum();
    let live = capture.tables.counters.iter().map(live);
    let live = live.fold(0, u64::saturating_add);
    if grown * i128::from(LEAST_GROWTH) < i128::from(live) || grown <= 0 {
        return None;
    }
    let bytes = gained
        .into_iter()
        .map(|bytes| u64::try_from(bytes.max(0)).unwrap_or(u64::MAX));
    Some(Subject {
        what: format!("the growth since {}", time(half.elapsed_ns)),
        bytes: bytes.collect(),
    })
}

/// `store.py:18 add ← app.py:40 main`, most recent frame first, and at least one of the program's own, if it has any.
fn path(capture: &Capture, node: NodeId, look: &Look) -> String {
    let tables: &Tables = &capture.tables;
    let of_frame = |frame: &Frame<'_>| {
        let name = short_name(frame.filename, &capture.header.working_directory).text;
        let name = keep_end(
            &printable(name, look.unicode),
            LONGEST_NAME,
            look.ellipsis(),
        );
        let function = printable(frame.name, look.unicode);
        let function = keep_start(&function, LONGEST_NAME, look.ellipsis());
        match (frame.filename, frame.line) {
            ("", _) => function,
            (_, 0) => format!("{name} {function}"),
            (_, line) => format!("{name}:{line} {function}"),
        }
    };
    let text = |run: &Run<'_>| match run {
        Run::Recursion(frame, 1) => of_frame(frame),
        Run::Recursion(frame, count) => format!("{} {}{count}", of_frame(frame), look.times()),
        Run::Import(count) => format!("import ({count} frames)"),
    };
    let all = runs(frames(tables, node));
    let own = all.iter().position(Run::is_own_code);
    let mut named: Vec<String> = all.iter().take(FRAMES).map(text).collect();
    match own {
        Some(own) if own >= FRAMES => {
            named.push(look.ellipsis().to_owned());
            named.push(text(&all[own]));
        }
        _ if all.len() > FRAMES => named.push(look.ellipsis().to_owned()),
        _ => {}
    }
    named.join(&format!(" {} ", look.arrow()))
}
