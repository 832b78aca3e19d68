//! The report of one capture: what was traced, the picture, the tables.

use std::path::Path;

use heapsight_analysis::path::frames;
use heapsight_analysis::recording::Moment;
use heapsight_analysis::{GroupBy, Grouped, Metric, Query, group, margin_bytes};
use heapsight_capture::{Capture, TimelinePoint};

use crate::chart::chart;
use crate::figures::{counted, format_size};
use crate::headline::headline;
use crate::look::{Look, Role};
use crate::moment::{at, describe, peak, when};
use crate::places::Places;
use crate::source::Source;
use crate::table::{Content, noun, table};
use crate::text::printable;

/// What a report shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Entries in each table.
    pub count: usize,
    /// By what memory is grouped.
    pub group_by: GroupBy,
    /// Whether a block counts under every key of its call path.
    pub cumulative: bool,
    /// One table for each.
    pub metrics: Vec<Metric>,
    /// The moment that the tables of the capture are of.
    pub moment: Moment,
}

impl Default for Selection {
    /// Ten lines, live at the end and at the peak.
    fn default() -> Self {
        Self {
            count: 10,
            group_by: GroupBy::Line,
            cumulative: false,
            metrics: vec![Metric::Live, Metric::Peak],
            moment: Moment::End,
        }
    }
}

/// The report as text, ending with a line break.
#[must_use]
pub fn summary(capture: &Capture, selection: &Selection, look: &Look) -> String {
    let groups: Vec<(Query, Grouped<'_>)> = selection
        .metrics
        .iter()
        .map(|metric| {
            let query = Query {
                metric: *metric,
                group_by: selection.group_by,
                cumulative: selection.cumulative,
            };
            (query, group(&capture.tables, query))
        })
        .collect();
    let places = places(capture, selection, &groups, look);
    let mut source = source(capture);

    let mut out = headline(capture, look);
    out.push('\n');
    out += &figures(capture, selection.moment, look);
    let chart = chart(&capture.timeline, look);
    if !chart.is_empty() {
        out.push('\n');
        out += &chart;
    }
    for (query, grouped) in &groups {
        out.push('\n');
        let title = title(capture, *query, grouped, selection);
        out += &format!("{}\n", look.paint(Role::Heading, title));
        let content = Content {
            tables: &capture.tables,
            mode: capture.header.mode,
            query: *query,
            grouped,
            count: selection.count,
        };
        out += &table(&content, &places, &mut source, look);
    }
    out
}

/// Where the capture is and what to do with it.
#[must_use]
pub fn next_steps(path: &Path, look: &Look) -> String {
    let shown = printable(&path.to_string_lossy(), look.unicode);
    let size = std::fs::metadata(path).map_or(String::new(), |metadata| {
        format!(" ({})", format_size(metadata.len()))
    });
    let command = format!(
        "heapsight top --group-by function --cumulative {}",
        shell_quoted(&shown)
    );
    format!(
        "Capture  {shown}{size}\nNext     {}\n",
        look.paint(Role::Command, command)
    )
}

/// `word` as a POSIX shell reads it back.
fn shell_quoted(word: &str) -> String {
    let is_plain = |character: char| character.is_alphanumeric() || "._-/+=:@%".contains(character);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Every file that a table or a call path will name, so that short names are unambiguous.
fn places(
    capture: &Capture,
    selection: &Selection,
    groups: &[(Query, Grouped<'_>)],
    look: &Look,
) -> Places {
    let mut places = Places::new(&capture.header.working_directory, look.ellipsis());
    for (_, grouped) in groups {
        for row in grouped.top(selection.count).0 {
            let node = capture.tables.sites[row.heaviest as usize].node;
            for frame in frames(&capture.tables, node) {
                places.add(frame.filename);
            }
        }
    }
    places
}

pub(crate) fn source(capture: &Capture) -> Source {
    let elapsed_ns = capture.timeline.last().map_or(0, |point| point.elapsed_ns);
    let until = capture.header.start_unix_ns.saturating_add(elapsed_ns);
    Source::new(&capture.header.working_directory, until)
}

/// Totals at the end and at the peak, and what the process took from the system.
fn figures(capture: &Capture, moment: Moment, look: &Look) -> String {
    let totals = &capture.tables.totals;
    let bytes = |bytes: u64| match margin_bytes(capture.header.mode, bytes) {
        None => look.paint(Role::Figure, format_size(bytes)).to_string(),
        Some(margin) => {
            let size = look.paint(Role::Figure, format_size(bytes));
            format!("{size} {} {}", look.plus_minus(), format_size(margin))
        }
    };
    let when = when(moment, capture);
    let live = counted(totals.live_blocks, "block", "blocks");
    let mut out = format!(
        "  Traced memory  {} in {live} {when}\n",
        bytes(totals.live_bytes)
    );
    if let Some((elapsed_ns, peak_bytes)) = peak(capture) {
        let when = at(elapsed_ns);
        out += &format!("  Peak           {}{when}\n", bytes(peak_bytes));
    }
    let rss = capture.timeline.iter().map(|point| point.rss_bytes);
    let last = known_at(capture, moment).map_or(0, |point| point.rss_bytes);
    if let Some(highest @ 1..) = rss.max() {
        let last = look.paint(Role::Figure, format_size(last));
        let highest = format_size(highest);
        out += &format!("  Process        {last} resident {when}, {highest} at most\n");
    }
    if totals.tracer_bytes > 0 {
        let size = format_size(totals.tracer_bytes);
        out += &format!("  heapsight      {}\n", look.paint(Role::Figure, size));
    }
    out
}

/// What was known of the process at the moment.
fn known_at(capture: &Capture, moment: Moment) -> Option<&TimelinePoint> {
    let until = moment.elapsed_ns().unwrap_or(u64::MAX);
    let known = capture
        .timeline
        .partition_point(|point| point.elapsed_ns <= until);
    capture.timeline[..known].last()
}

fn title(capture: &Capture, query: Query, grouped: &Grouped<'_>, selection: &Selection) -> String {
    let what = describe(selection.moment, query.metric, capture);
    let total = format_size(grouped.total.bytes);
    let total = match (query.metric, selection.moment, peak(capture)) {
        (Metric::Peak, Moment::End, Some((elapsed_ns, _))) => total + &at(elapsed_ns),
        _ => total,
    };
    let shown = selection.count.min(grouped.rows.len()) as u64;
    let nouns = noun(query.group_by, shown);
    let cumulative = if query.cumulative && query.group_by.can_be_cumulative() {
        ", callees included"
    } else {
        ""
    };
    let shown = if shown == 0 {
        String::new()
    } else {
        format!(" {shown}")
    };
    format!("Top{shown} {nouns} by {what}{cumulative} ({total})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_command_can_be_pasted() {
        assert_eq!(shell_quoted("out/a-1.heapsight"), "out/a-1.heapsight");
        assert_eq!(shell_quoted("it's here"), r"'it'\''s here'");
    }
}
