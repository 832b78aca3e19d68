//! Files that are written whole or not at all, and leave what stands around them as it is.
//!
//! A new file is written under another name in the same folder, then renamed. What would be lost by that is kept: a
//! device, a pipe or a socket is written to, not replaced; so is the file that a link leads to; mode and owner stay; a
//! file with several names is overwritten, for a rename would tear the names apart.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// What a new file may be used for, before the process's umask.
const NEW_MODE: u32 = 0o666;

/// Names that stand for a descriptor of the process: a file behind one is in somebody's hands and must not be replaced.
const DESCRIPTORS: [&str; 4] = ["/proc", "/dev/fd", "/dev/stdout", "/dev/stderr"];

/// As many links as the kernel follows.
const MOST_LINKS: u32 = 40;

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It gets the new content.
    Overwrite,
    /// It stays, whatever it is, and nothing is written.
    Refuse,
}

/// Writes the file at `path` through `write`, which gets a buffered file.
///
/// When anything fails, no new file is left and an existing one is as before; except where the content had to be
/// written into what is there: a device, a file with several names, a file that cannot be replaced in its folder.
///
/// # Errors
/// Whatever `write` or the system says; `AlreadyExists` when something is there that is to be left alone.
pub fn write_whole<E: From<io::Error>>(
    path: &Path,
    existing: Existing,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), E>,
) -> Result<(), E> {
    // Another thread may change the working directory meanwhile.
    let path = &match path.as_os_str().is_empty() {
        true => path.to_path_buf(), // no name; the system will say so
        false => std::path::absolute(path)?,
    };
    if existing == Existing::Refuse {
        let mut new = beside(path)?;
        fill(new.as_file_mut(), write)?;
        return match new.persist_noclobber(path) {
            Ok(_) => Ok(()),
            Err(refused) => Err(refused.error.into()),
        };
    }
    // Opened even if it is to be replaced: a file that must not be written to must not be replaced either.
    let mut found = match OpenOptions::new().write(true).open(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let target = without_links(path);
            let mut new = beside(&target)?;
            fill(new.as_file_mut(), write)?;
            new.persist(target).map_err(|refused| refused.error)?;
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let there = found.metadata()?;
    if !there.is_file() {
        return fill(&mut found, write);
    }
    let Some((mut new, target)) = replacement(path, &there)? else {
        found.set_len(0)?;
        return fill(&mut found, write);
    };
    fill(new.as_file_mut(), write)?;
    if there.nlink() == 1 {
        match new.persist(target) {
            Ok(_) => return Ok(()),
            // As for a file that is a mount of its own.
            Err(refused) if cannot_be_renamed_over(&refused.error) => new = refused.file,
            Err(refused) => return Err(refused.error.into()),
        }
    }
    new.rewind()?;
    found.set_len(0)?;
    io::copy(new.as_file_mut(), &mut found)?;
    Ok(())
}

/// Lets `write` write to `file`.
fn fill<E: From<io::Error>>(
    file: &mut File,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), E>,
) -> Result<(), E> {
    let mut out = BufWriter::new(file);
    write(&mut out)?;
    Ok(out.flush()?)
}

/// A new file in the folder of `target`, which goes with this value. Its name does not grow with that of the target,
/// which may be as long as the file system allows; no other thread or process has the same.
fn beside(target: &Path) -> io::Result<NamedTempFile> {
    let folder = target
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    Builder::new()
        .prefix(".heapsight-")
        .suffix(".part")
        .make_in(folder.unwrap_or(Path::new(".")), |path| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(NEW_MODE)
                .open(path)
        })
}

/// A new file to take the place of the one at `path`, and the name it has without links; none when the new one would
/// not be like it.
fn replacement(path: &Path, there: &Metadata) -> io::Result<Option<(NamedTempFile, PathBuf)>> {
    if DESCRIPTORS.iter().any(|names| path.starts_with(names)) {
        return Ok(None);
    }
    let same = |other: &Metadata| (other.dev(), other.ino()) == (there.dev(), there.ino());
    let Some(target) = fs::canonicalize(path)
        .ok()
        .filter(|target| fs::metadata(target).is_ok_and(|other| same(&other)))
    else {
        return Ok(None);
    };
    let new = match beside(&target) {
        Ok(new) => new,
        Err(error) if is_about_the_folder(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(make_alike(new.as_file(), there)
        .is_ok()
        .then_some((new, target)))
}

/// Gives `file` the owner and mode of the one that it is to replace.
fn make_alike(file: &File, there: &Metadata) -> io::Result<()> {
    let made = file.metadata()?;
    if (made.uid(), made.gid()) != (there.uid(), there.gid()) {
        fchown(file, Some(there.uid()), Some(there.gid()))?;
    }
    file.set_permissions(there.permissions())
}

/// Where a link to what does not exist leads in the end.
fn without_links(path: &Path) -> PathBuf {
    let mut target = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        let Ok(next) = fs::read_link(&target) else {
            break;
        };
        target = match target.parent() {
            Some(folder) => folder.join(next),
            None => next,
        };
    }
    target
}

fn is_about_the_folder(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
    )
}

fn cannot_be_renamed_over(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ResourceBusy | ErrorKind::CrossesDevices | ErrorKind::PermissionDenied
    )
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

    use super::*;

    fn put(path: &Path, text: &str) -> io::Result<()> {
        write_whole(path, Existing::Overwrite, |out| {
            out.write_all(text.as_bytes())
        })
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let mut names: Vec<String> = entries
            .map(|entry| {
                let name = entry.expect("an entry").file_name();
                name.to_string_lossy().into_owned()
            })
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_file_has_the_mode_that_any_new_file_has() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        put(&ours, "text").expect("writable");
        fs::write(&plain, "text").expect("writable");
        let mode = |path| fs::metadata(path).expect("exists").permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
        assert_eq!(names(folder.path()), ["ours", "plain"]);
    }

    #[test]
    fn an_existing_file_keeps_its_mode_and_is_replaced_at_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        fs::write(&path, "old").expect("writable");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("ours");
        let mut reader = File::open(&path).expect("readable");
        put(&path, "new").expect("writable");
        let mode = fs::metadata(&path).expect("exists").permissions().mode();
        assert_eq!(mode & 0o7777, 0o640);
        assert_eq!(fs::read_to_string(&path).expect("readable"), "new");
        let mut before = String::new();
        io::Read::read_to_string(&mut reader, &mut before).expect("readable");
        assert_eq!(before, "old", "who reads the old file goes on reading it");
    }

    #[test]
    fn links_stay_and_lead_to_the_new_content() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("below")).expect("writable");
        fs::write(at("below/file"), "old").expect("writable");
        symlink("below/file", at("link")).expect("writable");
        symlink(at("link"), at("link to link")).expect("writable");
        symlink("below/new", at("to nothing")).expect("writable");
        put(&at("link to link"), "new").expect("writable");
        put(&at("to nothing"), "made").expect("writable");
        assert_eq!(fs::read_to_string(at("below/file")).expect("there"), "new");
        assert_eq!(fs::read_to_string(at("below/new")).expect("there"), "made");
        for link in ["link", "link to link", "to nothing"] {
            let metadata = fs::symlink_metadata(at(link)).expect("there");
            assert!(metadata.is_symlink(), "{link}");
        }
        assert_eq!(names(&at("below")), ["file", "new"]);
    }

    #[test]
    fn all_names_of_a_file_have_the_new_content() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        fs::write(&one, "something long").expect("writable");
        fs::hard_link(&one, &other).expect("writable");
        put(&one, "new").expect("writable");
        assert_eq!(fs::read_to_string(&other).expect("there"), "new");
        assert_eq!(fs::metadata(&one).expect("there").nlink(), 2);
        assert_eq!(names(folder.path()), ["one", "other"]);
    }

    #[test]
    fn a_device_is_written_to_and_stays_one() {
        put(Path::new("/dev/null"), "text").expect("takes everything");
        let null = fs::metadata("/dev/null").expect("there");
        assert!(null.file_type().is_char_device());
        let full = put(Path::new("/dev/full"), "text").expect_err("takes nothing");
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }

    #[test]
    fn a_failed_write_leaves_what_was_there_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        for before in [None, Some("old")] {
            if let Some(text) = before {
                fs::write(&path, text).expect("writable");
            }
            let failed = write_whole(&path, Existing::Overwrite, |out| {
                out.write_all(b"half")?;
                Err(io::Error::other("stop"))
            });
            assert_eq!(failed.expect_err("stopped").to_string(), "stop");
            let left = fs::read_to_string(&path).ok();
            assert_eq!(left.as_deref(), before);
            assert_eq!(names(folder.path()).len(), usize::from(before.is_some()));
        }
    }

    #[test]
    fn what_is_to_be_left_alone_is_left_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "old").expect("writable");
        symlink("missing", at("link")).expect("writable");
        let refused = |path: &Path| {
            let result = write_whole(path, Existing::Refuse, |out| out.write_all(b"new"));
            result.expect_err("exists").kind()
        };
        for name in ["file", "link"] {
            assert_eq!(refused(&at(name)), ErrorKind::AlreadyExists, "{name}");
        }
        assert_eq!(names(folder.path()), ["file", "link"]);
        write_whole(&at("new"), Existing::Refuse, |out| out.write_all(b"new")).expect("new");
        assert_eq!(fs::read_to_string(at("new")).expect("there"), "new");
    }

    #[test]
    fn the_longest_names_can_be_written() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("x".repeat(255));
        for text in ["one", "two"] {
            put(&path, text).expect("writable");
            assert_eq!(fs::read_to_string(&path).expect("there"), text);
        }
        let longer = folder.path().join("x".repeat(256));
        assert!(put(&longer, "three").is_err());
        assert_eq!(names(folder.path()).len(), 1);
    }

    #[test]
    fn an_error_is_the_one_of_the_system() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("file");
        fs::write(&file, "old").expect("writable");
        let missing = folder.path().join("missing/file");
        let below = file.join("below");
        let empty = Path::new("");
        for existing in [Existing::Overwrite, Existing::Refuse] {
            for path in [&missing, &below, folder.path(), empty] {
                let error = write_whole(path, existing, |out| out.write_all(b"text"));
                let error = error.expect_err("cannot be written");
                assert!(error.raw_os_error().is_some(), "{path:?}: {error}");
            }
        }
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_file_in_the_hands_of_a_descriptor_is_not_replaced() {
        use std::os::fd::AsRawFd;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        let held = File::create(&path).expect("writable");
        let name = format!("/proc/self/fd/{}", held.as_raw_fd());
        put(Path::new(&name), "text").expect("writable");
        assert_eq!(held.metadata().expect("open").len(), 4);
        assert_eq!(fs::read_to_string(&path).expect("there"), "text");
    }
}
