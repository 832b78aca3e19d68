//! One line that says where: file, line, function.

use heapsight_analysis::path::Frame;

use crate::look::{Look, Role};
use crate::places::Places;
use crate::text::{keep_end, keep_start, printable, width};

/// Where something is, as text of two colours that fits into given columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `file.py:12`, or whatever names the thing.
    pub name: String,
    /// The function, if there is one.
    pub function: String,
}

impl Place {
    /// Of a frame. A line that is 0 is not told.
    #[must_use]
    pub fn of_frame(frame: &Frame<'_>, places: &Places, look: &Look) -> Self {
        Self {
            name: file_and_line(frame.filename, frame.line, places, look),
            function: printable(frame.name, look.unicode),
        }
    }

    /// Of what has a name only, which must be [printable].
    #[must_use]
    pub fn of_name(name: String) -> Self {
        Self {
            name,
            function: String::new(),
        }
    }

    /// Columns that the whole text takes.
    #[must_use]
    pub fn width(&self) -> usize {
        let function = if self.function.is_empty() {
            0
        } else {
            1 + width(&self.function)
        };
        width(&self.name) + function
    }

    /// The text cut to `columns`. With few columns the function comes first. What does not fit loses, in this order,
    /// directories of the file, what the function is in, the end of the function, the beginning of the file: the line
    /// number matters most.
    pub(crate) fn paint(&self, columns: usize, look: &Look) -> String {
        let (name, function) = self.fitted(columns, look);
        let name = look.paint(Role::Place, name);
        match function {
            None => name.to_string(),
            Some(function) if look.is_narrow() => {
                format!("{} {name}", look.paint(Role::Function, function))
            }
            Some(function) => format!("{name} {}", look.paint(Role::Function, function)),
        }
    }

    /// File and function, cut so that both and a space fit into so many columns; a function that has no room is left
    /// out.
    #[must_use]
    pub fn fitted(&self, columns: usize, look: &Look) -> (String, Option<String>) {
        /// A function's name is not cut to less than this: then it is left out.
        const FEWEST: usize = 6;
        /// With so much room both have a part of it that says something.
        const FEWEST_FOR_BOTH: usize = 16;
        let ellipsis = look.ellipsis();
        let cut_name = |columns| {
            let name = without_folders(&self.name, columns, ellipsis);
            keep_end(&name, columns, ellipsis)
        };
        if self.function.is_empty() {
            return (cut_name(columns), None);
        }
        if self.width() <= columns {
            return (self.name.clone(), Some(self.function.clone()));
        }
        let beside_function = columns.saturating_sub(width(&self.function) + 1);
        // A name that has no directories to lose leaves the function a part of the room too.
        let shortest = width(&without_folders(&self.name, 0, ellipsis)).min(columns * 7 / 10);
        let shortest = match look.is_narrow() && columns >= FEWEST_FOR_BOTH {
            true => shortest.min(columns - FEWEST - 1),
            false => shortest,
        };
        let name = cut_name(beside_function.max(shortest));
        let room = columns.saturating_sub(width(&name) + 1);
        if room < FEWEST.min(width(&self.function)) {
            return (cut_name(columns), None);
        }
        let function = without_scopes(&self.function, room, ellipsis);
        (name, Some(keep_start(&function, room, ellipsis)))
    }
}

/// A file's name with as many of its last parts as fit in `columns`; at least the last.
fn without_folders(name: &str, columns: usize, ellipsis: &str) -> String {
    if width(name) <= columns {
        return name.to_owned();
    }
    let cuts = name.match_indices('/').map(|(at, _)| &name[at..]);
    let mut last = None;
    for rest in cuts.filter(|rest| rest.len() > 1) {
        last = Some(rest);
        if width(ellipsis) + width(rest) <= columns {
            break;
        }
    }
    let shortened = last.map(|rest| format!("{ellipsis}{rest}"));
    match shortened {
        Some(shortened) if width(&shortened) < width(name) => shortened,
        _ => name.to_owned(),
    }
}

/// A function's name without the classes and functions that it is in, where the whole takes more than `columns` and the
/// rest has room.
fn without_scopes(name: &str, columns: usize, ellipsis: &str) -> String {
    if width(name) <= columns {
        return name.to_owned();
    }
    // `<genexpr>` and its like say nothing without the function that they are in.
    let mut cuts = name
        .match_indices('.')
        .map(|(at, _)| &name[at + 1..])
        .filter(|rest| !rest.starts_with('<'));
    let fits = |rest: &&str| width(ellipsis) + width(rest) <= columns;
    cuts.find(fits)
        .map_or_else(|| name.to_owned(), |rest| format!("{ellipsis}{rest}"))
}

/// `file.py:12`, without the number when it is not known.
pub(crate) fn file_and_line(filename: &str, line: u32, places: &Places, look: &Look) -> String {
    let file = printable_file(filename, places, look);
    match line {
        0 => file,
        _ => format!("{file}:{line}"),
    }
}

/// The short name of a file.
pub(crate) fn printable_file(filename: &str, places: &Places, look: &Look) -> String {
    let short = places.short(filename);
    // The ellipsis was put there by us in a form that this output can show.
    match short.strip_prefix(look.ellipsis()) {
        Some(rest) => look.ellipsis().to_owned() + &printable(rest, look.unicode),
        None => printable(&short, look.unicode),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_go_before_the_function_does_and_the_line_number_stays() {
        let place = Place {
            name: "pkg/sub/module.py:128".into(),
            function: "Store.load".into(),
        };
        let wide = |columns| place.paint(columns, &Look::plain(120));
        assert_eq!(wide(32), "pkg/sub/module.py:128 Store.load");
        assert_eq!(wide(31), "…/sub/module.py:128 Store.load");
        assert_eq!(wide(29), "…/module.py:128 Store.load");
        assert_eq!(wide(25), "…/module.py:128 …load");
        assert_eq!(wide(22), "…/module.py:128 …load");
        assert_eq!(wide(20), "…/sub/module.py:128", "no room for the function");
        assert_eq!(wide(10), "…le.py:128");
    }

    #[test]
    fn with_few_columns_the_function_comes_first() {
        let place = Place {
            name: "…/warehouse/storage/columns.py:1207".into(),
            function: "ColumnStore.append_many".into(),
        };
        let narrow = |columns| place.paint(columns, &Look::plain(80));
        assert_eq!(
            narrow(60),
            "ColumnStore.append_many …/warehouse/storage/columns.py:1207"
        );
        assert_eq!(narrow(41), "ColumnStore.append_many …/columns.py:1207");
        assert_eq!(narrow(30), "…append_many …/columns.py:1207");
        assert_eq!(
            narrow(29),
            "ColumnStor… …/columns.py:1207",
            "too long without its class too"
        );
    }

    #[test]
    fn with_few_columns_a_name_without_folders_leaves_room_for_the_function() {
        let place = Place {
            name: "<frozen zipimport>:345".into(),
            function: "_read_directory".into(),
        };
        let narrow = |columns| place.paint(columns, &Look::plain(40));
        assert_eq!(narrow(24), "_read_… … zipimport>:345");
        assert_eq!(narrow(18), "_read… …mport>:345");
    }

    #[test]
    fn a_part_of_a_function_keeps_the_name_of_the_function() {
        let cut = |name, columns| without_scopes(name, columns, "…");
        assert_eq!(
            cut("load.<locals>.<listcomp>", 12),
            "load.<locals>.<listcomp>"
        );
        assert_eq!(
            cut("Store.load.<locals>.<lambda>", 24),
            "…load.<locals>.<lambda>"
        );
        assert_eq!(cut("A.load", 6), "A.load");
    }

    #[test]
    fn nothing_is_wider_than_asked_for() {
        for (name, function) in [
            ("a/b/c.py:1", "f"),
            ("日本/語.py:7", "zeige_alles"),
            ("<frozen importlib._bootstrap_external>:784", "x"),
            ("/", ""),
            ("//", "function"),
        ] {
            let place = Place {
                name: name.into(),
                function: function.into(),
            };
            for columns in 10..60 {
                let text = place.paint(columns, &Look::plain(120));
                assert!(width(&text) <= columns, "{columns}: {text}");
            }
        }
    }
}
