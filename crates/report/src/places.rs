//! File names as short as they can be and still tell files apart.

use std::collections::HashMap;

/// Parts of a file name that are shown when nothing better is known.
const LAST_PARTS: usize = 2;

/// Shortens the file names of one report.
#[derive(Debug, Default)]
pub(crate) struct Places {
    working_directory: String,
    ellipsis: &'static str,
    /// Short name → the one file that has it; `None` when several would.
    owners: HashMap<String, Option<String>>,
}

impl Places {
    /// Files below `working_directory` are shown relative to it.
    pub(crate) fn new(working_directory: &str, ellipsis: &'static str) -> Self {
        let mut working_directory = working_directory.to_owned();
        if !working_directory.is_empty() && !working_directory.ends_with('/') {
            working_directory.push('/');
        }
        Self {
            working_directory,
            ellipsis,
            owners: HashMap::new(),
        }
    }

    /// Announces a file that the report will name. All must be announced before the first is [shortened](Self::short).
    pub(crate) fn add(&mut self, filename: &str) {
        let owner = self
            .owners
            .entry(self.shorten(filename))
            .or_insert_with(|| Some(filename.to_owned()));
        if owner.as_deref() != Some(filename) {
            *owner = None;
        }
    }

    /// The short name, or the whole name if another file of the report has the same short name.
    pub(crate) fn short(&self, filename: &str) -> String {
        let short = self.shorten(filename);
        match self.owners.get(&short) {
            Some(None) => filename.to_owned(),
            _ => short,
        }
    }

    fn shorten(&self, filename: &str) -> String {
        let below = (!self.working_directory.is_empty())
            .then(|| filename.strip_prefix(&self.working_directory))
            .flatten();
        // A virtual environment inside the working directory still holds libraries, not the program.
        if let Some(inside) = library_path(below.unwrap_or(filename)) {
            return format!("{}/{inside}", self.ellipsis);
        }
        if let Some(below) = below {
            return below.to_owned();
        }
        let parts: Vec<&str> = filename.rsplitn(LAST_PARTS + 1, '/').collect();
        match parts.get(..LAST_PARTS) {
            Some(last) if parts.len() > LAST_PARTS && !(parts[LAST_PARTS].is_empty()) => {
                let last: Vec<&str> = last.iter().rev().copied().collect();
                format!("{}/{}", self.ellipsis, last.join("/"))
            }
            _ => filename.to_owned(),
        }
    }
}

/// The part of `filename` inside an installed library or the standard library.
fn library_path(filename: &str) -> Option<&str> {
    for folder in ["site-packages/", "dist-packages/"] {
        if let Some((before, inside)) = filename.rsplit_once(folder)
            && (before.is_empty() || before.ends_with('/'))
        {
            return Some(inside);
        }
    }
    let (_, after) = filename.rsplit_once("lib/python")?;
    let (version, inside) = after.split_once('/')?;
    let is_version = version.starts_with('3')
        && version
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || character == '.');
    is_version.then_some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(filename: &str) -> String {
        Places::new("/home/ann/app", "…").short(filename)
    }

    #[test]
    fn the_programs_own_files_are_relative_to_where_it_started() {
        assert_eq!(short("/home/ann/app/main.py"), "main.py");
        assert_eq!(short("/home/ann/app/pkg/store.py"), "pkg/store.py");
        assert_eq!(short("relative.py"), "relative.py");
    }

    #[test]
    fn libraries_lose_everything_up_to_their_own_name() {
        assert_eq!(short("/usr/lib/python3.13/ast.py"), "…/ast.py");
        assert_eq!(
            short("/usr/lib/python3.13/json/decoder.py"),
            "…/json/decoder.py"
        );
        assert_eq!(short("/opt/py/lib/python3.13t/ast.py"), "…/ast.py");
        assert_eq!(short("/usr/lib/python3/dist-packages/six.py"), "…/six.py");
        assert_eq!(
            short("/home/ann/app/.venv/lib/python3.12/site-packages/numpy/core/a.py"),
            "…/numpy/core/a.py"
        );
    }

    #[test]
    fn a_program_that_starts_inside_the_standard_library_is_shown_relative_to_it() {
        let places = Places::new("/usr/lib/python3.13", "…");
        assert_eq!(
            places.short("/usr/lib/python3.13/test/support/os_helper.py"),
            "test/support/os_helper.py"
        );
    }

    #[test]
    fn other_files_keep_their_last_two_parts() {
        assert_eq!(short("/srv/data/jobs/nightly/run.py"), "…/nightly/run.py");
        assert_eq!(short("/srv/run.py"), "/srv/run.py");
        assert_eq!(
            short("<frozen importlib._bootstrap>"),
            "<frozen importlib._bootstrap>"
        );
        assert_eq!(short("<string>"), "<string>");
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
