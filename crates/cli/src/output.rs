//! Makes sure, before anything runs, that the capture can be written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::SIGXFSZ;

use crate::failure::Failure;

/// Written and taken back, to notice a disk that is full already.
const PROBE_BYTES: usize = 4096;

/// Has a write beyond the size that files may have (`ulimit -f`) fail, so that it is told of like any other. The system
/// would end the process without a word. The program that this process becomes does not inherit the handler.
pub(crate) fn outlive_the_limit_of_file_size() {
    // Nobody asks whether the signal came: the write says so. Without a handler nothing is worse than before.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}

/// Creates `path` empty, and the folders above it. An existing file is replaced only with `force`.
pub(crate) fn create(path: &Path, force: bool) -> Result<(), Failure> {
    let cannot_write = |source| Failure::CannotWrite {
        path: path.to_path_buf(),
        source,
    };
    if let Ok(metadata) = fs::metadata(path) {
        let kind = metadata.file_type();
        if kind.is_dir() {
            return Err(cannot_write(ErrorKind::IsADirectory.into()));
        }
        if !force {
            return Err(Failure::FileExists(path.to_path_buf()));
        }
        if kind.is_char_device() {
            let device = OpenOptions::new().write(true).open(path);
            return device
                .and_then(|device| probe(&device))
                .map_err(cannot_write);
        }
        if !kind.is_file() {
            return Err(Failure::OutputIsSpecial(path.to_path_buf()));
        }
        // A new file rather than an emptied one: the old one may still be written by another process.
        fs::remove_file(path).map_err(cannot_write)?;
    } else if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(cannot_write)?;
    }
    let file = File::create_new(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::FileExists(path.to_path_buf()),
        _ => cannot_write(error),
    })?;
    let probed = probe(&file).and_then(|()| file.set_len(0));
    probed.map_err(|error| {
        // Nothing was recorded: leave nothing behind.
        let _ = fs::remove_file(path);
        cannot_write(error)
    })
}

/// Writes a file through `write`: all of it, or nothing. An existing file is replaced only with `force`, and only once
/// the new one is complete.
pub(crate) fn write_whole(
    path: &Path,
    force: bool,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let cannot_write = |source| Failure::CannotWrite {
        path: path.to_path_buf(),
        source,
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            return Err(cannot_write(ErrorKind::IsADirectory.into()));
        }
        Ok(_) if !force => return Err(Failure::FileExists(path.to_path_buf())),
        // Replacing would turn a device or a pipe into a file.
        Ok(metadata) if !metadata.is_file() => {
            let device = OpenOptions::new().write(true).open(path);
            let mut out = BufWriter::new(device.map_err(cannot_write)?);
            write(&mut out)?;
            return out.flush().map_err(cannot_write);
        }
        _ => {}
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = std::path::PathBuf::from(name);
    let result = File::create_new(&part)
        .map_err(cannot_write)
        .and_then(|file| {
            let mut out = BufWriter::new(file);
            write(&mut out)?;
            out.flush().map_err(cannot_write)
        })
        .and_then(|()| fs::rename(&part, path).map_err(cannot_write));
    if result.is_err() {
        let _ = fs::remove_file(&part);
    }
    result
}

fn probe(mut file: &File) -> io::Result<()> {
    file.write_all(&[0; PROBE_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_and_the_file_is_empty() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a/b/out.heapsight");
        create(&path, false).expect("writable");
        assert_eq!(fs::metadata(&path).expect("exists").len(), 0);
    }

    #[test]
    fn an_existing_file_is_kept_unless_forced() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("out.heapsight");
        fs::write(&path, "precious").expect("writable");
        let refusal = create(&path, false).expect_err("exists");
        assert_eq!(refusal.status(), 2);
        let expected = format!(
            "{} exists: give another name with -o, or --force to overwrite it",
            path.display()
        );
        assert_eq!(refusal.to_string(), expected);
        assert_eq!(fs::read_to_string(&path).expect("still there"), "precious");
        create(&path, true).expect("forced");
        assert_eq!(fs::metadata(&path).expect("exists").len(), 0);
    }

    #[test]
    fn a_process_that_still_writes_the_old_file_does_not_damage_the_new_one() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("out.heapsight");
        let mut old = File::create(&path).expect("writable");
        create(&path, true).expect("forced");
        old.write_all(b"late").expect("the old file is still open");
        assert_eq!(fs::metadata(&path).expect("exists").len(), 0);
    }

    #[test]
    fn a_full_disk_is_an_error_of_input_or_output() {
        let failure = create(Path::new("/dev/full"), true).expect_err("full");
        assert_eq!(failure.status(), 74);
        assert!(
            failure
                .to_string()
                .starts_with("cannot write /dev/full: No space left"),
            "{failure}"
        );
    }

    #[test]
    fn names_that_cannot_be_written_are_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("writable");
        let below_a_file = file.join("out");
        let too_long = folder.path().join("x".repeat(300));
        for path in [
            folder.path(),
            &below_a_file,
            &too_long,
            Path::new("/proc/no/such"),
        ] {
            for force in [false, true] {
                let failure = create(path, force).expect_err("not writable");
                assert_eq!(failure.status(), 2, "{failure}");
            }
        }
    }
}
