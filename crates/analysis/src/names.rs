//! File names as short as they can be shown, and what a name tells of whose code is in the file.

/// Parts of a file name that are shown when nothing better is known.
const LAST_PARTS: usize = 2;

/// The part of a file's name that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortName<'f> {
    /// The text.
    pub text: &'f str,
    /// Whether something before it is left out.
    pub is_cut: bool,
}

/// A file's name without what says little: the working directory, where libraries are installed, or all but the last
/// parts.
#[must_use]
pub fn short_name<'f>(filename: &'f str, working_directory: &str) -> ShortName<'f> {
    let cut = |text| ShortName { text, is_cut: true };
    let whole = |text| ShortName {
        text,
        is_cut: false,
    };
    let below = below(filename, working_directory);
    // A virtual environment inside the working directory still holds libraries, not the program.
    if let Some(inside) = library_path(below.unwrap_or(filename)) {
        return cut(inside);
    }
    if let Some(below) = below {
        return whole(below);
    }
    match filename
        .rmatch_indices('/')
        .nth(LAST_PARTS - 1)
        .map(|(at, _)| at)
    {
        // A separator at the very start is the root, and no further part.
        Some(at) if at > 0 => cut(&filename[at + 1..]),
        _ => whole(filename),
    }
}

/// The part of `filename` below a directory.
fn below<'f>(filename: &'f str, directory: &str) -> Option<&'f str> {
    let directory = directory.strip_suffix('/').unwrap_or(directory);
    if directory.is_empty() {
        return None;
    }
    filename.strip_prefix(directory)?.strip_prefix('/')
}

/// The part of `filename` inside an installed library or the standard library; `None` for any other file.
#[must_use]
pub fn library_path(filename: &str) -> Option<&str> {
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

    fn short(filename: &str) -> (&str, bool) {
        let name = short_name(filename, "/home/ann/app");
        (name.text, name.is_cut)
    }

    #[test]
    fn the_programs_own_files_are_relative_to_where_it_started() {
        assert_eq!(short("/home/ann/app/main.py"), ("main.py", false));
        assert_eq!(short("/home/ann/app/pkg/store.py"), ("pkg/store.py", false));
        assert_eq!(short("relative.py"), ("relative.py", false));
        assert_eq!(short("/home/ann/application/x.py").0, "application/x.py");
    }

    #[test]
    fn libraries_lose_everything_up_to_their_own_name() {
        for (filename, inside) in [
            ("/usr/lib/python3.13/ast.py", "ast.py"),
            ("/usr/lib/python3.13/json/decoder.py", "json/decoder.py"),
            ("/opt/py/lib/python3.13t/ast.py", "ast.py"),
            ("/usr/lib/python3/dist-packages/six.py", "six.py"),
            (
                "/home/ann/app/.venv/lib/python3.12/site-packages/numpy/core/a.py",
                "numpy/core/a.py",
            ),
        ] {
            assert_eq!(short(filename), (inside, true));
            assert_eq!(library_path(filename), Some(inside));
        }
        assert_eq!(library_path("/srv/app/main.py"), None);
        assert_eq!(library_path("<string>"), None);
    }

    #[test]
    fn a_program_that_starts_inside_the_standard_library_is_shown_relative_to_it() {
        let name = short_name(
            "/usr/lib/python3.13/test/support/os_helper.py",
            "/usr/lib/python3.13",
        );
        assert_eq!(
            (name.text, name.is_cut),
            ("test/support/os_helper.py", false)
        );
    }

    #[test]
    fn other_files_keep_their_last_two_parts() {
        assert_eq!(
            short("/srv/data/jobs/nightly/run.py"),
            ("nightly/run.py", true)
        );
        assert_eq!(short("/srv/run.py"), ("/srv/run.py", false));
        assert_eq!(
            short("<frozen importlib._bootstrap>"),
            ("<frozen importlib._bootstrap>", false)
        );
        assert_eq!(short("<string>"), ("<string>", false));
    }
}
