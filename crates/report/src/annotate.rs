//! Source with the memory of each line in the margin.

mod file;
mod target;

use std::collections::BTreeMap;
use std::path::PathBuf;

use foldhash::{HashMap, HashMapExt};
use heapsight_analysis::recording::Reached;
use heapsight_analysis::{Amount, GroupBy, ImportSum, Imports, Key, Metric, Query, group};
use heapsight_capture::Capture;

use crate::figures::{counted, format_share, format_size};
use crate::headline::headline;
use crate::look::{Look, Role};
use crate::moment::describe;
use crate::place::printable_file;
use crate::places::Places;
use crate::source::Source;
use crate::summary::total;
use crate::table::{imports_line, line_below};
use crate::text::wrap;

/// What is to be annotated, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotate {
    /// The source that was named; `None`: the files with most memory.
    pub file: Option<PathBuf>,
    /// Files shown when none is named.
    pub count: usize,
    /// Whether lines without figures are shown too.
    pub all: bool,
    /// Whether a block counts on every line of its call path.
    pub cumulative: bool,
    /// The moment that the tables of the capture are of.
    pub moment: Reached,
    /// Whether memory of imported code is in the lines, or one line below.
    pub imports: Imports,
    /// Whether filters were applied.
    pub is_filtered: bool,
}

/// No line of the file that was named has memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NothingThere;

/// Memory of one line, in the order of the columns.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    live: Amount,
    peak: Amount,
    allocated: Amount,
}

impl Figures {
    fn of(&mut self, metric: Metric) -> &mut Amount {
        match metric {
            Metric::Peak => &mut self.peak,
            Metric::Allocated => &mut self.allocated,
            _ => &mut self.live,
        }
    }

    /// Live memory first: who has none comes after all that have some.
    fn rank(&self) -> (u64, u64, u64) {
        (self.live.bytes, self.peak.bytes, self.allocated.bytes)
    }
}

/// The lines of one file that have memory. Line 0 is unknown.
type FileLines = BTreeMap<u32, Figures>;

/// What the capture tells of every line.
struct Answer<'c> {
    /// Files with most memory first.
    files: Vec<(&'c str, FileLines, Figures)>,
    /// Of everything, files or not.
    total: Figures,
    imports: Option<ImportSum>,
    metrics: Vec<Metric>,
}

/// The annotated source as text, ending with a line break.
///
/// # Errors
/// When a file was named and none of its lines has memory.
pub fn annotate(capture: &Capture, what: &Annotate, look: &Look) -> Result<String, NothingThere> {
    let answer = Answer::of(capture, what);
    let mut source = Source::of(capture);
    let chosen: Vec<usize> = match &what.file {
        None => (0..answer.files.len().min(what.count)).collect(),
        Some(named) => {
            let names = answer.files.iter().map(|(name, ..)| *name);
            let found = target::find(named, names, &capture.header.working_directory);
            for index in &found {
                let filename = answer.files[*index].0;
                if source.lines(filename).is_err() && named.is_file() {
                    source.take_from(filename, named);
                }
            }
            found
        }
    };
    if chosen.is_empty() && what.file.is_some() {
        return Err(NothingThere);
    }
    let mut places = Places::new(&capture.header.working_directory, look.ellipsis());
    for index in &chosen {
        places.add(answer.files[*index].0);
    }
    let mut out = headline(capture, look);
    if capture.timeline.is_empty() {
        return Ok(out);
    }
    out += &format!("\n{}", answer.legend(capture, what, look));
    for index in &chosen {
        let (filename, lines, sum) = &answer.files[*index];
        let name = printable_file(filename, &places, look);
        let title = format!("{name}{}", answer.shares(sum));
        out.push('\n');
        for line in wrap(title.split(' '), look.width, 2).lines() {
            out += &format!("{}\n", look.paint(Role::Heading, line));
        }
        out += &file::text(
            lines,
            &answer.metrics,
            source.lines(filename),
            what.all,
            look,
        );
    }
    if what.file.is_none() {
        out += &answer.below(chosen.len(), what, look);
    }
    Ok(out)
}

impl<'c> Answer<'c> {
    fn of(capture: &'c Capture, what: &Annotate) -> Self {
        let mut metrics = vec![Metric::Live, Metric::Peak, Metric::Allocated];
        if capture.knows_ends_only() {
            metrics.pop();
        }
        let mut lines: HashMap<&str, FileLines> = HashMap::new();
        let mut sums: HashMap<&str, Figures> = HashMap::new();
        let mut total_of = Figures::default();
        let mut imports = None;
        for metric in &metrics {
            let by = |group_by| {
                let query = Query {
                    metric: *metric,
                    group_by,
                    cumulative: what.cumulative,
                    imports: what.imports,
                };
                group(&capture.tables, query)
            };
            let by_line = by(GroupBy::Line);
            *total_of.of(*metric) = total(
                capture,
                *metric,
                what.moment,
                what.is_filtered,
                by_line.total,
            );
            for row in &by_line.rows {
                if let Key::Line(Some((filename, line))) = row.key {
                    let figures = lines.entry(filename).or_default().entry(line).or_default();
                    *figures.of(*metric) = row.amount;
                }
            }
            // Not the sum of its lines, which overlap where a block counts on several.
            for row in &by(GroupBy::Filename).rows {
                if let Key::Filename(Some(filename)) = row.key {
                    *sums.entry(filename).or_default().of(*metric) = row.amount;
                }
            }
            if *metric == Metric::Live {
                imports = by_line.imports;
            }
        }
        let mut files: Vec<(&str, FileLines, Figures)> = lines
            .into_iter()
            .map(|(filename, lines)| {
                let sum = sums.get(filename).copied().unwrap_or_default();
                (filename, lines, sum)
            })
            .collect();
        files.sort_unstable_by(|(one, _, a), (other, _, b)| {
            b.rank().cmp(&a.rank()).then_with(|| one.cmp(other))
        });
        Self {
            files,
            total: total_of,
            imports,
            metrics,
        }
    }

    /// What the columns are, with their sums.
    fn legend(&self, capture: &Capture, what: &Annotate, look: &Look) -> String {
        let mut total = self.total;
        let mut out = String::new();
        for metric in &self.metrics {
            let size = format_size(total.of(*metric).bytes);
            let meaning = describe(what.moment, *metric, capture);
            let kept = if what.is_filtered {
                " kept by the filters"
            } else {
                ""
            };
            let text = format!("{:<10} {meaning}: {size}{kept}", metric.name());
            for line in wrap(text.split(' '), look.width, 11).lines() {
                out += &format!("{}\n", look.paint(Role::Secondary, line));
            }
        }
        if what.cumulative {
            let text = "A block counts on every line of its call path.";
            out += &format!("{}\n", look.paint(Role::Secondary, text));
        }
        out
    }

    /// `: 56 % of live, 84 % of peak`.
    fn shares(&self, sum: &Figures) -> String {
        let (mut sum, mut total) = (*sum, self.total);
        let share = |metric: &Metric| {
            let (part, whole) = (sum.of(*metric).bytes, total.of(*metric).bytes);
            format!("{} of {}", format_share(part, whole), metric.name())
        };
        let shares: Vec<String> = self.metrics.iter().map(share).collect();
        format!(": {}", shares.join(", "))
    }

    /// What is in no file that was shown.
    fn below(&self, shown: usize, what: &Annotate, look: &Look) -> String {
        let mut lines = Vec::new();
        let rest = &self.files[shown..];
        if !rest.is_empty() {
            let mut text = counted(rest.len() as u64, "other file", "other files");
            if !what.cumulative {
                let live: Amount = rest.iter().map(|(_, _, sum)| sum.live).sum();
                text += &format!(": {} live", format_size(live.bytes));
            }
            lines.push(text);
        }
        lines.extend(self.imports.as_ref().and_then(imports_line));
        let text: String = lines.iter().map(|text| line_below(text, look)).collect();
        if text.is_empty() {
            text
        } else {
            format!("\n{text}")
        }
    }
}
