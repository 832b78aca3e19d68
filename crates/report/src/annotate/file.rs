//! One file: its lines, with figures in front of those that have some.

use heapsight_analysis::Metric;

use super::{Figures, FileLines};
use crate::figures::{counted, format_count, format_size};
use crate::look::{Look, Role};
use crate::source::NoSource;
use crate::text::{keep_start, printable, right, width};

/// Lines without figures that are shown around those that have some.
const CONTEXT: usize = 1;

/// Columns that a tab moves on to.
const TAB: usize = 4;

const GAP: &str = "  ";

/// A line of the file, or several that are only counted.
enum Shown {
    Line(usize),
    Folded(usize),
}

/// The file as text. Without its source the lines with figures are listed by number, and one line says why.
pub(super) fn text(
    lines: &FileLines,
    metrics: &[Metric],
    source: Result<&[String], NoSource>,
    all: bool,
    look: &Look,
) -> String {
    let highest = lines.keys().last().map_or(0, |line| *line as usize);
    let (source, why) = match source {
        Ok(source) if highest > source.len() => (
            None,
            Some("has fewer lines than the one that ran".to_owned()),
        ),
        Ok(source) => (Some(source), None),
        Err(why) => (None, Some(why.to_string())),
    };
    let last = source.map_or(highest, <[String]>::len);
    let margin = Margin::fitting(lines, metrics, last);
    let mut out = String::new();
    if let Some(why) = why {
        let note = format!("{GAP}The source {why}: only line numbers are shown.");
        out += &format!("{}\n", look.paint(Role::Secondary, note));
    }
    out += &format!("{}\n", look.paint(Role::ColumnName, margin.names()));
    if let Some(unknown) = lines.get(&0) {
        out += &margin.line(Some(unknown), "?", "unknown line", look);
    }
    for shown in shown(lines, last, source.is_some(), all) {
        out += &match shown {
            Shown::Line(line) => {
                let figures = u32::try_from(line).ok().and_then(|line| lines.get(&line));
                let text = source.and_then(|source| source.get(line - 1));
                margin.line(
                    figures,
                    &line.to_string(),
                    text.map_or("", String::as_str),
                    look,
                )
            }
            Shown::Folded(count) => margin.folded(count, look),
        };
    }
    out
}

/// The lines to show, in order. Without source there is nothing to see in a line without figures.
fn shown(lines: &FileLines, last: usize, has_source: bool, all: bool) -> Vec<Shown> {
    if !has_source {
        let with_figures = lines.keys().filter(|line| **line > 0);
        return with_figures
            .map(|line| Shown::Line(*line as usize))
            .collect();
    }
    if all {
        return (1..=last).map(Shown::Line).collect();
    }
    let mut out = Vec::new();
    let mut next = 1;
    let mut show_until = |from: usize, until: usize, out: &mut Vec<Shown>| {
        let from = from.max(next);
        // A line that only counts one line could as well show it.
        match from - next {
            0 => {}
            1 => out.push(Shown::Line(next)),
            hidden => out.push(Shown::Folded(hidden)),
        }
        out.extend((from..=until).map(Shown::Line));
        next = next.max(until + 1);
    };
    for line in lines.keys().filter(|line| **line > 0) {
        let line = *line as usize;
        show_until(
            line.saturating_sub(CONTEXT).max(1),
            (line + CONTEXT).min(last),
            &mut out,
        );
    }
    show_until(last + 1, last, &mut out);
    out
}

/// What stands before the source: a column for each metric, and the line's number.
struct Margin<'a> {
    metrics: &'a [Metric],
    widths: Vec<usize>,
    number: usize,
}

impl<'a> Margin<'a> {
    fn fitting(lines: &FileLines, metrics: &'a [Metric], last: usize) -> Self {
        let widest = |metric: &Metric| {
            let cells = lines.values().map(|figures| width(&cell(figures, *metric)));
            cells.max().unwrap_or(0).max(width(metric.name()))
        };
        Self {
            metrics,
            widths: metrics.iter().map(widest).collect(),
            number: last.to_string().len().max(width("line")),
        }
    }

    fn names(&self) -> String {
        let names = self.metrics.iter().zip(&self.widths);
        let names: String = names
            .map(|(metric, columns)| GAP.to_owned() + &right(metric.name(), *columns))
            .collect();
        format!("{names}{GAP}{}", right("line", self.number))
    }

    fn line(&self, figures: Option<&Figures>, number: &str, text: &str, look: &Look) -> String {
        let mut cells = String::new();
        for (metric, columns) in self.metrics.iter().zip(&self.widths) {
            let cell = figures.map_or_else(String::new, |figures| cell(figures, *metric));
            cells += GAP;
            cells += &right(&cell, *columns);
        }
        let room = look.width.saturating_sub(self.columns());
        let text = printable(&without_tabs(text), look.unicode);
        let text = keep_start(text.trim_end(), room, look.ellipsis());
        let (of_cells, role) = match figures {
            Some(_) => (Role::Figure, Role::Function),
            None => (Role::Function, Role::Secondary),
        };
        let line = format!(
            "{}{GAP}{}{GAP}{}",
            look.paint(of_cells, cells),
            look.paint(Role::Secondary, right(number, self.number)),
            look.paint(role, text)
        );
        format!("{}\n", line.trim_end())
    }

    fn folded(&self, count: usize, look: &Look) -> String {
        let before = self.columns() - self.number - 2 * GAP.len();
        let text = format!(
            "{}{GAP}{}{GAP}{}",
            " ".repeat(before),
            right(look.ellipsis(), self.number),
            counted(count as u64, "line", "lines")
        );
        format!("{}\n", look.paint(Role::Secondary, text))
    }

    /// Columns before the source.
    fn columns(&self) -> usize {
        let figures: usize = self.widths.iter().map(|columns| columns + GAP.len()).sum();
        figures + self.number + 2 * GAP.len()
    }
}

/// A figure; nothing where there is no memory. Empty blocks have a number but no bytes.
fn cell(figures: &Figures, metric: Metric) -> String {
    let mut figures = *figures;
    let amount = figures.of(metric);
    match (amount.bytes, amount.blocks) {
        (0, 0) => String::new(),
        (0, blocks) => format!("0 B in {}", format_count(blocks)),
        (bytes, _) => format_size(bytes),
    }
}

/// The line with spaces for tabs, as far as each moves the text.
fn without_tabs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    for character in text.chars() {
        if character == '\t' {
            let spaces = TAB - column % TAB;
            out.extend(std::iter::repeat_n(' ', spaces));
            column += spaces;
        } else {
            out.push(character);
            column += 1;
        }
    }
    out
}
