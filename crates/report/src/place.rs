//! One line that says where: file, line, function.

use heapsight_analysis::path::Frame;

use crate::look::{Look, Role};
use crate::places::Places;
use crate::text::{keep_end, keep_start, printable, width};

/// Where something is, as text of two colours that fits into given columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// `file.py:12`, or whatever names the thing.
    pub name: String,
    /// The function, if there is one.
    pub function: String,
}

impl Place {
    pub(crate) fn of_frame(frame: &Frame<'_>, places: &Places, look: &Look) -> Self {
        Self {
            name: file_and_line(frame.filename, frame.line, places, look),
            function: printable(frame.name, look.unicode),
        }
    }

    pub(crate) fn of_name(name: String) -> Self {
        Self {
            name,
            function: String::new(),
        }
    }

    /// Columns that the whole text takes.
    pub(crate) fn width(&self) -> usize {
        let function = if self.function.is_empty() {
            0
        } else {
            1 + width(&self.function)
        };
        width(&self.name) + function
    }

    /// The text cut to `columns`: the function loses its end first, then the name its beginning, for the line number matters most.
    pub(crate) fn paint(&self, columns: usize, look: &Look) -> String {
        /// A function's name is not cut to less than this: then it is left out.
        const FEWEST: usize = 6;
        let name = keep_end(&self.name, columns, look.ellipsis());
        let room = columns.saturating_sub(width(&name) + 1);
        let name = look.paint(Role::Place, name);
        if self.function.is_empty() || room < FEWEST.min(width(&self.function)) {
            return name.to_string();
        }
        let function = keep_start(&self.function, room, look.ellipsis());
        format!("{name} {}", look.paint(Role::Function, function))
    }
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
    fn the_line_number_survives_when_there_is_little_room() {
        let place = Place {
            name: "pkg/module.py:128".into(),
            function: "Store.load".into(),
        };
        let look = Look::plain(80);
        let painted = |columns| place.paint(columns, &look);
        assert_eq!(painted(28), "pkg/module.py:128 Store.load");
        assert_eq!(painted(25), "pkg/module.py:128 Store.…");
        assert_eq!(painted(20), "pkg/module.py:128");
        assert_eq!(painted(10), "…le.py:128");
    }
}
