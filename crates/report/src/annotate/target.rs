//! Which of the files of a recording somebody means.

use std::path::Path;

use heapsight_analysis::Filter;

/// The files meant by `named`, by their numbers: those that a filter of this name keeps. If there is none and `named`
/// is a file, those with most of the same last parts: the recording may be of another machine.
pub(super) fn find<'f>(
    named: &Path,
    files: impl Iterator<Item = &'f str> + Clone,
    working_directory: &str,
) -> Vec<usize> {
    let pattern = named.to_string_lossy();
    let filter = Filter::as_shown(true, &pattern, None, false);
    let matching: Vec<usize> = (0..)
        .zip(files.clone())
        .filter(|(_, name)| filter.matches_in_report(name, working_directory))
        .map(|(index, _)| index)
        .collect();
    if !matching.is_empty() || !named.is_file() {
        return matching;
    }
    let common: Vec<usize> = files.map(|name| common_parts(&pattern, name)).collect();
    let most = common.iter().copied().max().unwrap_or(0);
    (0..common.len())
        .filter(|index| most > 0 && common[*index] == most)
        .collect()
}

/// How many last parts two paths have in common.
fn common_parts(one: &str, other: &str) -> usize {
    let parts = one.rsplit('/').zip(other.rsplit('/'));
    parts.take_while(|(a, b)| a == b && !a.is_empty()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [&str; 3] = [
        "/srv/app/main.py",
        "/srv/app/cache/store.py",
        "/srv/app/store.py",
    ];

    fn found(named: &str) -> Vec<usize> {
        find(Path::new(named), FILES.into_iter(), "/srv/app")
    }

    #[test]
    fn names_are_those_that_filters_take() {
        assert_eq!(found("main.py"), [0]);
        assert_eq!(found("store.py"), [1, 2]);
        assert_eq!(found("cache/store.py"), [1]);
        assert_eq!(found("/srv/app/store.py"), [2]);
        assert!(found("other.py").is_empty());
    }

    #[test]
    fn a_file_that_is_here_stands_for_the_one_with_most_of_its_path() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("cache/store.py");
        std::fs::create_dir(folder.path().join("cache")).expect("writable");
        std::fs::write(&path, "").expect("writable");
        assert_eq!(found(path.to_str().expect("UTF-8")), [1]);
        let other = folder.path().join("other.py");
        std::fs::write(&other, "").expect("writable");
        assert!(found(other.to_str().expect("UTF-8")).is_empty());
    }
}
