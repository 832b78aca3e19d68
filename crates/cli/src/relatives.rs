//! Which captures belong together: those of the processes of one run have the same run id in their headers, whatever
//! their names are.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use heapsight_capture::{Header, Replay};

use crate::failure::Failure;

/// The files to read for those that were named: the capture of a run's first process stands for those of its children
/// too, which are beside it, unless some of them are named.
///
/// # Errors
/// When some children are named, and files of other runs too: those of an older run, most likely, that were left where
/// a newer one writes. Several runs can be combined by naming the first process of each.
pub(crate) fn of(named: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let known: Vec<(&PathBuf, Header)> = named
        .iter()
        .filter_map(|path| Some((path, header(path)?)))
        .filter(|(_, header)| header.run_id != 0)
        .collect();
    let is_one_run = known
        .windows(2)
        .all(|pair| pair[0].1.run_id == pair[1].1.run_id);
    let has_first = |run_id: u64| {
        let firsts = known.iter().filter(|(_, header)| !header.is_child);
        firsts.clone().any(|(_, first)| first.run_id == run_id)
    };
    let orphans = known
        .iter()
        .filter(|(_, header)| header.is_child && !is_one_run && !has_first(header.run_id));
    let orphans: Vec<PathBuf> = orphans.map(|(path, _)| (*path).clone()).collect();
    if !orphans.is_empty() {
        return Err(Failure::OfAnotherRun { files: orphans });
    }
    if !is_one_run && known.iter().any(|(_, header)| header.is_child) {
        return Err(of_other_runs(&known));
    }
    let mut files = named.to_vec();
    for (path, first) in known.iter().filter(|(_, header)| !header.is_child) {
        let is_child = |other: &Header| other.is_child && other.run_id == first.run_id;
        if !known.iter().any(|(_, other)| is_child(other)) {
            files.extend(children(path, first.run_id));
        }
    }
    Ok(files)
}

/// Refuses the files that are not of the newest run.
fn of_other_runs(known: &[(&PathBuf, Header)]) -> Failure {
    let newest = known.iter().max_by_key(|(_, header)| header.start_unix_ns);
    let newest = newest.map_or(0, |(_, header)| header.run_id);
    let (of_newest, others): (Vec<_>, Vec<_>) = known
        .iter()
        .partition(|(_, header)| header.run_id == newest);
    let path = |(path, _): &(&PathBuf, Header)| (*path).clone();
    Failure::OfOtherRuns {
        files: others.into_iter().map(path).collect(),
        newest: of_newest.first().map(|file| path(file)).unwrap_or_default(),
    }
}

/// The captures of the children of a run, beside that of its first process, in the order in which they began.
pub(crate) fn children(first: &Path, run_id: u64) -> Vec<PathBuf> {
    if run_id == 0 {
        return Vec::new();
    }
    let folder = match first.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return Vec::new(),
    };
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let path = first.with_file_name(entry.file_name());
        if path.extension() != first.extension() {
            continue;
        }
        match header(&path) {
            Some(header) if header.is_child && header.run_id == run_id => {
                found.push((header.start_unix_ns, path));
            }
            _ => {}
        }
    }
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

/// The header of a capture; `None` for anything else. A pipe is not read: that would consume it.
pub(crate) fn header(path: &Path) -> Option<Header> {
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let file = File::open(path).ok().filter(|_| is_file)?;
    Some(Replay::open(file).ok()?.into_capture().header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use heapsight_capture::Writer;

    fn write(path: &Path, run_id: u64, is_child: bool, start_unix_ns: u64) {
        let header = Header {
            run_id,
            is_child,
            start_unix_ns,
            ..Header::default()
        };
        let file = File::create(path).expect("writable");
        Writer::create(file, &header).expect("writable");
    }

    /// A folder with the captures of a run 1 and its children 9 and 8, what an older run 2 left, a run 3 alone, and
    /// other files.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        write(&path("run.heapsight"), 1, false, 10);
        write(&path("run-8.heapsight"), 1, true, 30);
        write(&path("run-9.heapsight"), 1, true, 20);
        write(&path("run-7.heapsight"), 2, true, 5);
        write(&path("other.heapsight"), 3, false, 7);
        write(&path("unknown.heapsight"), 0, false, 7);
        fs::write(path("empty.heapsight"), "").expect("writable");
        fs::create_dir(path("folder.heapsight")).expect("writable");
        folder
    }

    fn names(folder: &Path, named: &[&str]) -> Result<Vec<String>, String> {
        let named: Vec<PathBuf> = named.iter().map(|name| folder.join(name)).collect();
        let name = |path: &Path| {
            let name = path.file_stem().expect("a name");
            name.to_str().expect("UTF-8").to_owned()
        };
        match of(&named) {
            Ok(paths) => Ok(paths.iter().map(|path| name(path)).collect()),
            Err(failure) => Err(failure
                .to_string()
                .replace(&format!("{}/", folder.display()), "")),
        }
    }

    #[test]
    fn a_first_process_brings_its_children_along_in_their_order() {
        let folder = folder();
        let of = |named: &[&str]| names(folder.path(), named).expect("they belong together");
        assert_eq!(of(&["run.heapsight"]), ["run", "run-9", "run-8"]);
        // Whatever their names are.
        let renamed = folder.path().join("server.heapsight");
        fs::rename(folder.path().join("run.heapsight"), &renamed).expect("writable");
        assert_eq!(of(&["server.heapsight"]), ["server", "run-9", "run-8"]);
        assert_eq!(of(&["other.heapsight"]), ["other"]);
        assert_eq!(of(&["unknown.heapsight"]), ["unknown"]);
    }

    #[test]
    fn who_names_some_children_means_these() {
        let folder = folder();
        let of = |named: &[&str]| names(folder.path(), named).expect("they belong together");
        assert_eq!(of(&["run.heapsight", "run-8.heapsight"]), ["run", "run-8"]);
        assert_eq!(
            of(&["run-8.heapsight", "run-9.heapsight"]),
            ["run-8", "run-9"]
        );
        assert_eq!(
            of(&["other.heapsight", "unknown.heapsight", "run.heapsight"]),
            ["other", "unknown", "run", "run-9", "run-8"]
        );
    }

    #[test]
    fn what_an_older_run_left_is_refused_by_name() {
        let folder = folder();
        let refusal = |named: &[&str]| names(folder.path(), named).expect_err("of two runs");
        let end = "of another run, whose first process is not among these files: leave";
        assert_eq!(
            refusal(&["run.heapsight", "run-7.heapsight", "run-8.heapsight"]),
            format!("run-7.heapsight is {end} it out")
        );
        assert_eq!(
            refusal(&["other.heapsight", "run-7.heapsight", "run-8.heapsight"]),
            format!("run-7.heapsight, run-8.heapsight are {end} them out")
        );
        // Nor may its first process, or another program's, come along with children that are named.
        let end = "of another run than run.heapsight: leave";
        let or = "out, or name only the first process of each run";
        assert_eq!(
            refusal(&["run.heapsight", "run-8.heapsight", "other.heapsight"]),
            format!("other.heapsight is {end} it {or}")
        );
        write(&folder.path().join("old.heapsight"), 2, false, 4);
        let all = [
            "old.heapsight",
            "run-7.heapsight",
            "run.heapsight",
            "run-8.heapsight",
        ];
        assert_eq!(
            refusal(&all),
            format!("old.heapsight, run-7.heapsight are {end} them {or}")
        );
        assert_eq!(
            names(folder.path(), &["old.heapsight", "run.heapsight"]).expect("first processes"),
            ["old", "run", "run-7", "run-9", "run-8"]
        );
        fs::remove_file(folder.path().join("old.heapsight")).expect("it was there");
        // Without its parent a child may well stand alone, or with what tells nothing of its run.
        assert_eq!(
            names(folder.path(), &["run-7.heapsight"]).expect("one run"),
            ["run-7"]
        );
        assert!(names(folder.path(), &["run-7.heapsight", "unknown.heapsight"]).is_ok());
    }
}
