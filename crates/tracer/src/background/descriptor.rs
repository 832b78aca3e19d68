//! Files that stay usable whatever the traced program does to its file descriptors, and that the program does not
//! notice.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, FromRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where our descriptors are put if the process's limit allows.
///
/// A program sees its own descriptors counted from 3 as always, and `os.closerange(3, 256)`, as daemons do, spares
/// ours.
const FIRST_DESCRIPTOR: libc::c_int = 700;

/// Which file a descriptor stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Standard error as it is now; `None` when it is closed.
    #[must_use]
    pub fn of_stderr() -> Option<Self> {
        let copy = io::stderr().as_fd().try_clone_to_owned().ok()?;
        Some(Self::from(&File::from(copy).metadata().ok()?))
    }
}

impl From<&Metadata> for Identity {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// An open file, closed on exec, out of the program's way, and never mistaken for a file of the program's.
///
/// A program may close descriptors that it did not open, and get their numbers back for files of its own. So every use
/// first makes sure that the descriptor still stands for the file, and opens the file again if not.
#[derive(Debug)]
pub struct Guarded {
    /// Closed on drop only if it is still ours.
    file: ManuallyDrop<File>,
    identity: Identity,
    path: PathBuf,
    /// How to open it again: without creating or emptying it.
    again: OpenOptions,
}

impl Guarded {
    /// Creates or empties a file to write. `path` should be absolute: the program may change directory.
    ///
    /// # Errors
    /// Whatever opening the file says. A limit too low for a high descriptor is no error: a low one is used then.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        Self::new(file, path, OpenOptions::new().append(true).clone())
    }

    /// Opens a file to read.
    ///
    /// # Errors
    /// Whatever opening the file says.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::new(
            File::open(path)?,
            path,
            OpenOptions::new().read(true).clone(),
        )
    }

    fn new(file: File, path: &Path, again: OpenOptions) -> io::Result<Self> {
        let file = move_to_high_number(file);
        let identity = Identity::from(&file.metadata()?);
        Ok(Self {
            file: ManuallyDrop::new(file),
            identity,
            path: path.to_owned(),
            again,
        })
    }

    /// The file, opened again if the program has closed it.
    ///
    /// # Errors
    /// When it cannot be opened again, or another file has its name now.
    pub fn file(&mut self) -> io::Result<&mut File> {
        if !self.is_ours() {
            let file = move_to_high_number(self.again.open(&self.path)?);
            if Identity::from(&file.metadata()?) != self.identity {
                return Err(io::Error::other(
                    "the program closed it, and another file has its name now",
                ));
            }
            // The old value is not dropped: its number is the program's now, or nobody's.
            self.file = ManuallyDrop::new(file);
        }
        Ok(&mut self.file)
    }

    fn is_ours(&self) -> bool {
        self.file
            .metadata()
            .is_ok_and(|metadata| Identity::from(&metadata) == self.identity)
    }
}

impl Write for Guarded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // a file has no buffer of ours
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if self.is_ours() {
            // SAFETY: the value is not used again: this is its owner's drop.
            unsafe { ManuallyDrop::drop(&mut self.file) };
        }
    }
}

/// The same file on a descriptor that no program counts up to.
fn move_to_high_number(file: File) -> File {
    // SAFETY: fcntl has no precondition for this command; the descriptor is open, and stays so.
    let high = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, FIRST_DESCRIPTOR) };
    if high < 0 {
        return file;
    }
    // SAFETY: the descriptor was just made and has no other owner.
    unsafe { File::from_raw_fd(high) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::IntoRawFd;

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!(
            "heapsight-descriptor-{name}-{}",
            std::process::id()
        ))
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no F_DUPFD_CLOEXEC above a number")]
    fn is_above_what_programs_count_up_to() {
        let path = scratch("high");
        let guarded = Guarded::create(&path).expect("a file in the temporary directory");
        assert!(guarded.file.as_raw_fd() >= FIRST_DESCRIPTOR);
        std::fs::remove_file(path).expect("the file is there");
    }

    #[test]
    fn file_that_took_over_the_number_is_not_written_to_and_not_closed() {
        let (path, other_path) = (scratch("ours"), scratch("other"));
        let mut guarded = Guarded::create(&path).expect("a file in the temporary directory");
        guarded.write_all(b"one ").expect("room on the disk");
        let other = File::create(&other_path)
            .expect("a file in the temporary directory")
            .into_raw_fd();
        let number = guarded.file.as_raw_fd();
        // SAFETY: replaces our own descriptor by another of our own, as a careless program would.
        assert_eq!(unsafe { libc::dup2(other, number) }, number);
        guarded
            .write_all(b"two")
            .expect("the file can be opened again");
        drop(guarded);
        assert_eq!(std::fs::read(&path).expect("readable"), b"one two");
        assert_eq!(std::fs::read(&other_path).expect("readable"), b"");
        // SAFETY: asks about a descriptor; any number is allowed.
        let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
        assert!(flags >= 0, "still open: it was not ours to close");
        for path in [path, other_path] {
            std::fs::remove_file(path).expect("the file is there");
        }
    }

    #[test]
    fn file_replaced_under_its_name_is_an_error() {
        let path = scratch("replaced");
        let mut guarded = Guarded::create(&path).expect("a file in the temporary directory");
        std::fs::rename(&path, scratch("moved")).expect("the file is there");
        File::create(&path).expect("a file in the temporary directory");
        // SAFETY: closes our own descriptor, as a careless program would.
        unsafe { libc::close(guarded.file.as_raw_fd()) };
        let error = guarded.write_all(b"lost").expect_err("not ours");
        assert!(error.to_string().contains("another file"), "{error}");
        for name in ["replaced", "moved"] {
            std::fs::remove_file(scratch(name)).expect("the file is there");
        }
    }
}
