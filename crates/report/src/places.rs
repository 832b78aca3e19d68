//! File names as short as they can be and still tell files apart.

use std::collections::HashMap;

use heapsight_analysis::short_name;

/// Shortens the file names of one report.
#[derive(Clone, Debug, Default)]
pub struct Places {
    working_directory: String,
    ellipsis: &'static str,
    /// Short name → the one file that has it; `None` when several would.
    owners: HashMap<String, Option<String>>,
}

impl Places {
    /// Files below `working_directory` are shown relative to it.
    #[must_use]
    pub fn new(working_directory: &str, ellipsis: &'static str) -> Self {
        Self {
            working_directory: working_directory.to_owned(),
            ellipsis,
            owners: HashMap::new(),
        }
    }

    /// Announces a file that the report will name. All must be announced before the first is [shortened](Self::short).
    pub fn add(&mut self, filename: &str) {
        let owner = self
            .owners
            .entry(self.shorten(filename))
            .or_insert_with(|| Some(filename.to_owned()));
        if owner.as_deref() != Some(filename) {
            *owner = None;
        }
    }

    /// The short name, or the whole name if another file of the report has the same short name.
    #[must_use]
    pub fn short(&self, filename: &str) -> String {
        let short = self.shorten(filename);
        match self.owners.get(&short) {
            Some(None) => filename.to_owned(),
            _ => short,
        }
    }

    fn shorten(&self, filename: &str) -> String {
        let short = short_name(filename, &self.working_directory);
        match short.is_cut {
            true => format!("{}/{}", self.ellipsis, short.text),
            false => short.text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_begins_with_an_ellipsis() {
        let places = Places::new("/home/ann/app", "…");
        assert_eq!(places.short("/usr/lib/python3.13/ast.py"), "…/ast.py");
        assert_eq!(places.short("/home/ann/app/main.py"), "main.py");
    }

    #[test]
    fn files_with_one_short_name_are_shown_in_full() {
        let mut places = Places::new("", "…");
        let (first, second) = ("/usr/lib/python3.13/ast.py", "/opt/lib/python3.13/ast.py");
        for filename in [first, second, second, "/usr/lib/python3.13/dis.py"] {
            places.add(filename);
        }
        assert_eq!(places.short(first), first);
        assert_eq!(places.short(second), second);
        assert_eq!(places.short("/usr/lib/python3.13/dis.py"), "…/dis.py");
    }
}
