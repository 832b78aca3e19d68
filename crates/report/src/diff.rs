//! What changed from one moment to another.

use heapsight_analysis::path::frames;
use heapsight_analysis::recording::Moment;
use heapsight_analysis::{Amount, Change, Comparison, GroupBy, Key, Query};
use heapsight_capture::Capture;
use heapsight_capture::model::Tables;

use crate::figures::{format_count, format_size, format_size_change};
use crate::look::{Look, Role};
use crate::moment::describe;
use crate::place::{Place, file_and_line, printable_file};
use crate::places::Places;
use crate::table::noun;
use crate::text::{printable, right, width};

/// One side of a difference.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// How it is called: usually the file.
    pub name: &'a str,
    /// Its tables.
    pub capture: &'a Capture,
    /// The moment that they are of.
    pub moment: Moment,
}

/// The groups that changed most from `old` to `new`, as text ending with a line break.
#[must_use]
pub fn diff(old: Side<'_>, new: Side<'_>, query: Query, count: usize, look: &Look) -> String {
    let comparison = Comparison::new(&old.capture.tables, &new.capture.tables, query);
    let changes: Vec<Change<'_>> = comparison
        .changes()
        .into_iter()
        .filter(|change| change.gained() != (0, 0))
        .collect();
    let mut out = String::new();
    for (word, side) in [("Old", old), ("New", new)] {
        let name = printable(side.name, look.unicode);
        let what = describe(side.moment, query.metric, side.capture);
        let (before, after) = comparison.totals();
        let amount = if word == "Old" { before } else { after };
        out += &format!(
            "{word}  {name}: {} in {} blocks, {what}\n",
            look.paint(Role::Figure, format_size(amount.bytes)),
            format_count(amount.blocks)
        );
    }
    let (before, after) = comparison.totals();
    let title = format!(
        "Top {} of {} {} that changed ({} in all)",
        format_count(count.min(changes.len()) as u64),
        format_count(changes.len() as u64),
        noun(query.group_by, changes.len() as u64),
        gained(after.change_from(before))
    );
    out += &format!("\n{}\n", look.paint(Role::Heading, title));
    let shown = &changes[..count.min(changes.len())];
    out += &table(&comparison, shown, new.capture, query.group_by, look);
    let hidden = &changes[shown.len()..];
    if !hidden.is_empty() {
        let sum = |side: fn(&Change<'_>) -> Amount| hidden.iter().map(side).sum::<Amount>();
        let change = sum(|change| change.new).change_from(sum(|change| change.old));
        let text = format!(
            "     {} other {}: {}",
            format_count(hidden.len() as u64),
            noun(query.group_by, hidden.len() as u64),
            gained(change)
        );
        out += &format!("{}\n", look.paint(Role::Secondary, text));
    }
    out
}

fn gained((bytes, blocks): (i64, i64)) -> String {
    format!(
        "{} in {} blocks",
        format_size_change(bytes),
        signed_count(blocks)
    )
}

fn signed_count(count: i64) -> String {
    let sign = if count < 0 { '-' } else { '+' };
    format!("{sign}{}", format_count(count.unsigned_abs()))
}

fn table(
    comparison: &Comparison,
    changes: &[Change<'_>],
    capture: &Capture,
    by: GroupBy,
    look: &Look,
) -> String {
    if changes.is_empty() {
        return "     none\n".to_owned();
    }
    let tables = comparison.tables();
    let mut places = Places::new(&capture.header.working_directory, look.ellipsis());
    for change in changes {
        for file in files(&change.key, tables) {
            places.add(file);
        }
    }
    let names = ["change", "old", "new", "blocks"];
    let cells: Vec<[String; 4]> = changes
        .iter()
        .map(|change| {
            let (bytes, blocks) = change.gained();
            [
                format_size_change(bytes),
                format_size(change.old.bytes),
                format_size(change.new.bytes),
                signed_count(blocks),
            ]
        })
        .collect();
    let widths: Vec<usize> = (0..names.len())
        .map(|column| {
            let cells = cells.iter().map(|row| width(&row[column]));
            cells.max().unwrap_or(0).max(names[column].len())
        })
        .collect();
    let line = |cells: [&str; 4]| -> String {
        let cells = cells.iter().zip(&widths);
        cells
            .map(|(cell, width)| right(cell, *width) + "  ")
            .collect()
    };
    let mut out = format!(
        "{}\n",
        look.paint(Role::ColumnName, format!("     {}where", line(names)))
    );
    let used = 5 + widths.iter().map(|width| width + 2).sum::<usize>();
    let room = look.width.saturating_sub(used);
    for (rank, (change, cells)) in (1..).zip(changes.iter().zip(&cells)) {
        let cells = line([&cells[0], &cells[1], &cells[2], &cells[3]]);
        let rank = look
            .paint(Role::Secondary, right(&usize::to_string(&rank), 3))
            .to_string();
        let place = place(&change.key, tables, &places, look);
        out += &format!("{rank}  {cells}{}\n", place.paint(room, look));
        if by == GroupBy::Traceback
            && let Key::Traceback(node) = change.key
        {
            for frame in frames(tables, node).skip(1).take(3) {
                let caller =
                    Place::of_frame(&frame, &places, look).paint(room.saturating_sub(2), look);
                out += &format!("{}{} {caller}\n", " ".repeat(used), look.arrow());
            }
        }
    }
    out
}

fn files<'t>(key: &Key<'t>, tables: &'t Tables) -> Vec<&'t str> {
    match *key {
        Key::Line(Some((filename, _)))
        | Key::Function(Some((filename, _)))
        | Key::Filename(Some(filename)) => vec![filename],
        Key::Traceback(node) => frames(tables, node).map(|frame| frame.filename).collect(),
        _ => Vec::new(),
    }
}

fn place(key: &Key<'_>, tables: &Tables, places: &Places, look: &Look) -> Place {
    let text = |text: &str| printable(text, look.unicode);
    match *key {
        Key::Line(Some((filename, line))) => {
            Place::of_name(file_and_line(filename, line, places, look))
        }
        Key::Function(Some((filename, name))) => Place {
            name: printable_file(filename, places, look),
            function: text(name),
        },
        Key::Filename(Some(filename)) => Place::of_name(printable_file(filename, places, look)),
        Key::Domain(domain) => Place::of_name(domain.name()),
        Key::Thread(Some(name)) => Place::of_name(text(name)),
        Key::Traceback(node) => match frames(tables, node).next() {
            Some(frame) => Place::of_frame(&frame, places, look),
            None => Place::of_name("<no Python frame>".to_owned()),
        },
        Key::Thread(None) => Place::of_name("<threads were not kept apart>".to_owned()),
        Key::Line(None) | Key::Function(None) | Key::Filename(None) => {
            Place::of_name("<no Python frame>".to_owned())
        }
    }
}
