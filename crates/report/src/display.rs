//! The top of a snapshot in plain lines, and how it differs from an earlier one: one line for each place, stable, easy
//! to search.
//!
//! ```text
//! 2026-11-22 14:33:07: Top 2 allocations per filename and line number (compared to 2026-11-22 14:32:57)
//! #1: .../myapp/cache/store.py:128: size=408 KiB (+408 KiB), count=5379 (+5379), average=77 B
//! #2: app.py:7: size=12 KiB (+0 B), count=3 (+0), average=4096 B
//! 7 more: size=1580 KiB (+1138 KiB), count=12635 (+7801), average=128 B
//! imports: size=13 MiB (+0 B), count=122712 (+0), average=111 B
//! Total: size=2000 KiB (+1546 KiB), count=18017 (+13180), average=113 B
//! process_memory.rss: 61 MiB (+2 MiB)
//! ```
//!
//! Pure formatting: plain values in, text out. Lines are as long as they need to be, whatever the width of the
//! terminal.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use heapsight_analysis::{GroupBy, Key, path};
use heapsight_capture::model::Tables;

use crate::figures::{format_whole_size, format_whole_size_change};
use crate::process::per_minute;
use crate::text::printable;

/// What a line shows, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisplayOptions {
    /// ANSI colours.
    pub color: bool,
    /// The last parts of a file name that are shown; what stands before them becomes `...`.
    pub filename_parts: usize,
    /// Show sizes.
    pub show_size: bool,
    /// Show numbers of blocks.
    pub show_count: bool,
    /// Show the mean size of a block.
    pub show_average: bool,
    /// Nanoseconds between the two moments that are compared: growth per minute is shown then.
    pub growth_span_ns: Option<u64>,
}

impl Default for DisplayOptions {
    fn default() -> Self {
        Self {
            color: false,
            filename_parts: 3,
            show_size: true,
            show_count: true,
            show_average: true,
            growth_span_ns: None,
        }
    }
}

/// Memory, and how it changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DisplayFigures {
    /// Bytes.
    pub size_bytes: u64,
    /// Bytes gained or lost.
    pub size_change_bytes: i64,
    /// Blocks.
    pub count: u64,
    /// Blocks gained or lost.
    pub count_change: i64,
}

impl std::ops::AddAssign for DisplayFigures {
    fn add_assign(&mut self, other: Self) {
        self.size_bytes = self.size_bytes.saturating_add(other.size_bytes);
        self.size_change_bytes = self
            .size_change_bytes
            .saturating_add(other.size_change_bytes);
        self.count = self.count.saturating_add(other.count);
        self.count_change = self.count_change.saturating_add(other.count_change);
    }
}

/// A frame as far as it is known: file name, line.
pub type DisplayFrame = (Option<String>, Option<u32>);

/// What a line is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DisplayKey {
    /// A file.
    Filename(Option<String>),
    /// A line of a file.
    Line(DisplayFrame),
    /// File and qualified name of a function.
    Function(Option<String>, Option<String>),
    /// A memory block.
    Address(u64),
    /// A call path, most recent frame first.
    Traceback(Vec<DisplayFrame>),
    /// A domain or a thread.
    Name(Option<String>),
}

impl DisplayKey {
    /// The key of a group of `tables`.
    #[must_use]
    pub fn of_group(key: &Key<'_>, tables: &Tables) -> Self {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let frame =
            |filename: &str, line: u32| (text(filename), Some(line).filter(|line| *line > 0));
        match *key {
            Key::Filename(filename) => Self::Filename(filename.and_then(text)),
            Key::Line(known) => {
                Self::Line(known.map_or((None, None), |(filename, line)| frame(filename, line)))
            }
            Key::Function(known) => {
                let (filename, name) = known.map_or((None, None), |(filename, name)| {
                    (text(filename), text(name))
                });
                Self::Function(filename, name)
            }
            Key::Traceback(node) => Self::Traceback(
                path::frames(tables, node)
                    .map(|known| frame(known.filename, known.line))
                    .collect(),
            ),
            Key::Domain(domain) => Self::Name(Some(domain.name())),
            Key::Thread(name) => Self::Name(name.and_then(text)),
        }
    }
}

/// How a metric is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricFormat {
    /// A number.
    Int,
    /// Bytes.
    Size,
    /// A share: 1.0 is 100 %.
    Percent,
}

impl MetricFormat {
    /// The format of this name, as snapshots have it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "int" => Some(Self::Int),
            "size" => Some(Self::Size),
            "percent" => Some(Self::Percent),
            _ => None,
        }
    }
}

/// A figure of the program's own.
#[derive(Clone, Debug, PartialEq)]
pub struct DisplayMetric {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Its value in the snapshot compared with, if that has it.
    pub old: Option<f64>,
    /// How to show both.
    pub format: MetricFormat,
}

/// Everything that is shown of one snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DisplayTop {
    /// When it was taken, as text; nothing when unknown.
    pub timestamp: Option<String>,
    /// Whether figures are compared with others, and when those were taken.
    pub compared_to: Option<Option<String>>,
    /// Text of the grouping: see [`grouping_title`].
    pub grouping: String,
    /// Whether a block counts for every frame of its call path.
    pub cumulative: bool,
    /// The places shown, in order.
    pub rows: Vec<(DisplayKey, DisplayFigures)>,
    /// How many places are not shown, and their sum.
    pub others: (usize, DisplayFigures),
    /// Memory of imported code, if it is in no row, and what else is to be said of it.
    pub imports: Option<(DisplayFigures, String)>,
    /// Sum over all places.
    pub total: DisplayFigures,
    /// Further figures.
    pub metrics: Vec<DisplayMetric>,
}

/// `filename and line number` for [`GroupBy::Line`], and so on.
#[must_use]
pub fn grouping_title(group_by: GroupBy) -> &'static str {
    match group_by {
        GroupBy::Line => "filename and line number",
        GroupBy::Function => "function",
        GroupBy::Filename => "filename",
        GroupBy::Traceback => "traceback",
        GroupBy::Domain => "domain",
        GroupBy::Thread => "thread",
    }
}

/// The lines of `top`, each with its line end.
#[must_use]
pub fn display_top(top: &DisplayTop, options: &DisplayOptions) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write_lines(&mut out, top, options);
    out
}

fn write_lines(out: &mut String, top: &DisplayTop, options: &DisplayOptions) -> std::fmt::Result {
    let compared = top.compared_to.is_some();
    let mut title = format!(
        "{} {} allocations per {}",
        if top.cumulative {
            "Cumulative top"
        } else {
            "Top"
        },
        top.rows.len(),
        top.grouping
    );
    if let Some(timestamp) = &top.timestamp {
        title = format!("{timestamp}: {title}");
    }
    if let Some(Some(timestamp)) = &top.compared_to {
        write!(title, " (compared to {timestamp})")?;
    }
    writeln!(out, "{}", options.paint(Style::new().bold(), &title))?;
    for (rank, (key, figures)) in (1..).zip(&top.rows) {
        let place = options.paint(color(AnsiColor::Cyan), &key.text(options.filename_parts));
        write!(out, "#{rank}: {place}")?;
        options.write_figures(out, figures, compared)?;
        writeln!(out)?;
    }
    let (rows, figures) = &top.others;
    if *rows > 0 {
        write!(out, "{rows} more")?;
        options.write_figures(out, figures, compared)?;
        writeln!(out)?;
    }
    if let Some((figures, note)) = &top.imports {
        write!(out, "imports")?;
        options.write_figures(out, figures, compared)?;
        writeln!(out, "{note}")?;
    }
    write!(out, "Total")?;
    options.write_figures(out, &top.total, compared)?;
    writeln!(out)?;
    for metric in &top.metrics {
        let name = printable(&metric.name, true);
        write!(out, "{name}: {}", metric.format.value(metric.value))?;
        if let Some(old) = metric.old {
            let change = metric.value - old;
            options.write_change(out, change, &metric.format.change(change))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

impl DisplayOptions {
    fn paint(&self, style: Style, text: &str) -> String {
        if self.color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    /// The rest of a line, without its end.
    fn write_figures(
        &self,
        out: &mut String,
        figures: &DisplayFigures,
        compared: bool,
    ) -> std::fmt::Result {
        let mut before = ": ";
        if self.show_size {
            let size = self.paint(Style::new().bold(), &format_whole_size(figures.size_bytes));
            write!(out, "{before}size={size}")?;
            if compared {
                let change = figures.size_change_bytes;
                self.write_change(out, change as f64, &format_whole_size_change(change))?;
            }
            before = ", ";
        }
        if self.show_count {
            write!(out, "{before}count={}", figures.count)?;
            if compared {
                let change = figures.count_change;
                self.write_change(out, change as f64, &format!("{change:+}"))?;
            }
            before = ", ";
        }
        if self.show_average
            && let Some(average) = figures.size_bytes.checked_div(figures.count)
        {
            write!(out, "{before}average={}", format_whole_size(average))?;
            before = ", ";
        }
        let span_ns = self.growth_span_ns.filter(|_| compared);
        let growth = span_ns.and_then(|span_ns| per_minute(figures.size_change_bytes, span_ns));
        if let Some(growth) = growth {
            write!(
                out,
                "{before}growth={}/min",
                format_whole_size_change(growth)
            )?;
        }
        Ok(())
    }

    fn write_change(&self, out: &mut String, change: f64, text: &str) -> std::fmt::Result {
        let style = match change.partial_cmp(&0.0) {
            Some(std::cmp::Ordering::Greater) => color(AnsiColor::Red),
            Some(std::cmp::Ordering::Less) => color(AnsiColor::Green),
            _ => Style::new(),
        };
        write!(out, " ({})", self.paint(style, text))
    }
}

fn color(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(color.into()))
}

impl DisplayKey {
    fn text(&self, filename_parts: usize) -> String {
        let file = |name: &Option<String>| {
            name.as_deref()
                .map_or_else(|| UNKNOWN.to_owned(), |name| shorten(name, filename_parts))
        };
        let frame = |(name, line): &DisplayFrame| match line {
            Some(line) => format!("{}:{line}", file(name)),
            None => format!("{}:?", file(name)),
        };
        let text = match self {
            Self::Filename(name) => file(name),
            Self::Line(place) => frame(place),
            Self::Function(filename, Some(name)) => format!("{}:{name}", file(filename)),
            Self::Function(filename, None) => file(filename),
            Self::Address(address) => format!("{address:#x}"),
            Self::Traceback(frames) if frames.is_empty() => UNKNOWN.to_owned(),
            Self::Traceback(frames) => frames.iter().map(frame).collect::<Vec<_>>().join(" <- "),
            Self::Name(name) => name.clone().unwrap_or_else(|| UNKNOWN.to_owned()),
        };
        printable(&text, true)
    }
}

const UNKNOWN: &str = "<unknown>";

/// The last `parts` parts of a path, after `...` if there are more.
fn shorten(filename: &str, parts: usize) -> String {
    let is_separator = |character: char| character == '/' || (cfg!(windows) && character == '\\');
    let mut from_the_end = filename.rmatch_indices(is_separator).map(|(at, _)| at);
    match from_the_end.nth(parts.saturating_sub(1)) {
        // A separator at the very start is the root, and no further part.
        Some(at) if at > 0 => format!("...{}", &filename[at..]),
        _ => filename.to_owned(),
    }
}

impl MetricFormat {
    fn value(self, value: f64) -> String {
        match self {
            Self::Int if value.fract() == 0.0 => format!("{value:.0}"),
            Self::Int => format!("{value:.2}"),
            Self::Size if value < 0.0 => format_whole_size_change(value as i64),
            Self::Size => format_whole_size(value as u64),
            Self::Percent => format!("{:.1} %", value * 100.0),
        }
    }

    fn change(self, change: f64) -> String {
        // Not "-0": what rounds to nothing has no direction.
        let sign = if change < 0.0 { "" } else { "+" };
        match self {
            Self::Size => format_whole_size_change(change as i64),
            Self::Int | Self::Percent => format!("{sign}{}", self.value(change)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(
        size_bytes: u64,
        size_change_bytes: i64,
        count: u64,
        count_change: i64,
    ) -> DisplayFigures {
        DisplayFigures {
            size_bytes,
            size_change_bytes,
            count,
            count_change,
        }
    }

    fn example() -> DisplayTop {
        let line = |name: &str, line| DisplayKey::Line((Some(name.to_owned()), Some(line)));
        DisplayTop {
            timestamp: Some("2026-11-22 14:33:07".to_owned()),
            compared_to: Some(Some("2026-11-22 14:32:57".to_owned())),
            grouping: grouping_title(GroupBy::Line).to_owned(),
            cumulative: false,
            rows: vec![
                (
                    line("/srv/myapp/cache/store.py", 128),
                    figures(408 << 10, 408 << 10, 5379, 5379),
                ),
                (line("app.py", 7), figures(0, -6000, 0, -3)),
                (DisplayKey::Line((None, None)), figures(10, 0, 1, 0)),
            ],
            others: (7, figures(1580 << 10, 1138 << 10, 12635, 7801)),
            imports: None,
            total: figures(3682 << 10, 3086 << 10, 36987, 29908),
            metrics: vec![
                DisplayMetric {
                    name: "process_memory.rss".to_owned(),
                    value: f64::from(61 << 20),
                    old: Some(f64::from(53 << 20)),
                    format: MetricFormat::Size,
                },
                DisplayMetric {
                    name: "hits".to_owned(),
                    value: 0.5,
                    old: Some(0.625),
                    format: MetricFormat::Percent,
                },
                DisplayMetric {
                    name: "queue".to_owned(),
                    value: 12.0,
                    old: None,
                    format: MetricFormat::Int,
                },
            ],
        }
    }

    #[test]
    fn lines_are_those_of_the_reference() {
        assert_eq!(
            display_top(&example(), &DisplayOptions::default()),
            "2026-11-22 14:33:07: Top 3 allocations per filename and line number (compared to 2026-11-22 14:32:57)\n\
             #1: .../myapp/cache/store.py:128: size=408 KiB (+408 KiB), count=5379 (+5379), average=77 B\n\
             #2: app.py:7: size=0 B (-6 KiB), count=0 (-3)\n\
             #3: <unknown>:?: size=10 B (+0 B), count=1 (+0), average=10 B\n\
             7 more: size=1580 KiB (+1138 KiB), count=12635 (+7801), average=128 B\n\
             Total: size=3682 KiB (+3086 KiB), count=36987 (+29908), average=101 B\n\
             process_memory.rss: 61 MiB (+8 MiB)\n\
             hits: 50.0 % (-12.5 %)\n\
             queue: 12\n"
        );
    }

    #[test]
    fn imports_and_growth_have_the_form_of_other_figures() {
        let top = DisplayTop {
            imports: Some((
                figures(13 << 20, 6 << 20, 122_712, 66_795),
                " (312 modules; --imports to see)".to_owned(),
            )),
            ..example()
        };
        let options = DisplayOptions {
            growth_span_ns: Some(180_000_000_000),
            ..DisplayOptions::default()
        };
        let text = display_top(&top, &options);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].ends_with(", average=77 B, growth=+136 KiB/min"));
        assert_eq!(
            lines[5],
            "imports: size=13 MiB (+6 MiB), count=122712 (+66795), average=111 B, growth=+2048 KiB/min \
             (312 modules; --imports to see)"
        );
        assert!(lines[6].starts_with("Total: size=3682 KiB"));
    }

    #[test]
    fn columns_can_be_hidden_and_nothing_is_compared_with_nothing() {
        let top = DisplayTop {
            timestamp: None,
            compared_to: None,
            metrics: Vec::new(),
            ..example()
        };
        let options = DisplayOptions {
            show_size: false,
            show_average: false,
            filename_parts: 1,
            ..DisplayOptions::default()
        };
        assert_eq!(
            display_top(&top, &options),
            "Top 3 allocations per filename and line number\n\
             #1: .../store.py:128: count=5379\n\
             #2: app.py:7: count=0\n\
             #3: <unknown>:?: count=1\n\
             7 more: count=12635\n\
             Total: count=36987\n"
        );
        let bare = DisplayOptions {
            show_count: false,
            ..options
        };
        assert!(display_top(&top, &bare).contains("#2: app.py:7\n"));
    }

    #[test]
    fn growth_is_red_and_shrinking_is_green() {
        let top = DisplayTop {
            metrics: Vec::new(),
            others: (0, DisplayFigures::default()),
            ..example()
        };
        let text = display_top(
            &top,
            &DisplayOptions {
                color: true,
                ..DisplayOptions::default()
            },
        );
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[1],
            "#1: \u{1b}[36m.../myapp/cache/store.py:128\u{1b}[0m: size=\u{1b}[1m408 KiB\u{1b}[0m \
             (\u{1b}[31m+408 KiB\u{1b}[0m), count=5379 (\u{1b}[31m+5379\u{1b}[0m), average=77 B"
        );
        assert!(lines[2].contains("(\u{1b}[32m-6 KiB\u{1b}[0m)"));
        assert_eq!(lines.len(), 5, "no line for zero more");
    }

    #[test]
    fn every_kind_of_key_is_one_printable_line() {
        let frame = |name: &str, line| (Some(name.to_owned()), Some(line));
        let texts = [
            (
                DisplayKey::Filename(Some("/a/b/c/d.py".to_owned())),
                ".../b/c/d.py",
            ),
            (
                DisplayKey::Filename(Some("/b/c/d.py".to_owned())),
                "/b/c/d.py",
            ),
            (DisplayKey::Filename(None), "<unknown>"),
            (
                DisplayKey::Function(Some("a.py".to_owned()), Some("C.f".to_owned())),
                "a.py:C.f",
            ),
            (DisplayKey::Function(None, None), "<unknown>"),
            (DisplayKey::Address(0x7f00), "0x7f00"),
            (
                DisplayKey::Traceback(vec![frame("a.py", 1), frame("b.py", 2)]),
                "a.py:1 <- b.py:2",
            ),
            (DisplayKey::Traceback(Vec::new()), "<unknown>"),
            (
                DisplayKey::Name(Some("python.raw".to_owned())),
                "python.raw",
            ),
            (
                DisplayKey::Filename(Some("a\u{1b}[2J\nb".to_owned())),
                "a\\u{1b}[2J\\u{a}b",
            ),
        ];
        for (key, text) in texts {
            assert_eq!(key.text(3), text);
        }
    }
}
