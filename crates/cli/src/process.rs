//! A process that writes a capture: found by what it has open. Nothing is asked of the process itself.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::relatives::header;

/// A process of this system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pid: u32,
    /// When it began, in ticks of the system: its id may be another's one day.
    began: u64,
}

/// What the system says of a process.
struct State {
    /// A letter; `Z` is one that has ended, and `X` one that is gone.
    letter: char,
    began: u64,
}

impl Process {
    /// The process with this id.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn find(pid: u32) -> Result<Self, Failure> {
        let state = state(pid).filter(|state| !"ZX".contains(state.letter));
        let state = state.ok_or_else(|| {
            Failure::BadValue(format!(
                "there is no process {pid}, and no file of that name"
            ))
        })?;
        Ok(Self {
            pid,
            began: state.began,
        })
    }

    /// Whether it is still there.
    pub(crate) fn is_there(&self) -> bool {
        state(self.pid).is_some_and(|now| now.began == self.began && !"ZX".contains(now.letter))
    }

    /// The capture that it writes, opened at its beginning, and the file's name.
    ///
    /// # Errors
    /// When it writes none, or that is not for us to know.
    pub(crate) fn capture(&self) -> Result<(File, PathBuf), Failure> {
        let pid = self.pid;
        let folder = PathBuf::from(format!("/proc/{pid}/fd"));
        let entries = fs::read_dir(&folder).map_err(|error| {
            Failure::BadValue(match error.kind() {
                ErrorKind::PermissionDenied => {
                    format!(
                        "process {pid} is another user's: give its capture, or become that user"
                    )
                }
                _ => format!("cannot look at process {pid}: {error}"),
            })
        })?;
        let own_ids = ids(pid);
        let mut writer = None;
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if !is_written(&folder, &name.to_string_lossy()) {
                continue;
            }
            let Some(header) = header(&path) else {
                continue;
            };
            if !own_ids.contains(&header.pid) {
                writer = Some(header.pid);
                continue;
            }
            if let (Ok(file), Ok(name)) = (File::open(&path), fs::read_link(&path)) {
                return Ok((file, name));
            }
        }
        Err(Failure::BadValue(match writer {
            Some(writer) => format!(
                "process {pid} is not recorded: it is a child of process {writer}, which is; \
                 'heapsight run --follow' records children too"
            ),
            None => format!("process {pid} is not recorded: start it with 'heapsight run'"),
        }))
    }
}

/// The ids of a process: its own, and what it is called in its containers.
fn ids(pid: u32) -> Vec<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let inside = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let inside = inside.unwrap_or_default().split_whitespace();
    inside
        .filter_map(|id| id.parse().ok())
        .chain([pid])
        .collect()
}

/// Whether a descriptor was opened to write: who reads a capture has it open too.
fn is_written(folder: &Path, descriptor: &str) -> bool {
    const ACCESS: u32 = 3;
    let info = folder.with_file_name("fdinfo").join(descriptor);
    let info = fs::read_to_string(info).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & ACCESS != 0)
}

fn state(pid: u32) -> Option<State> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything.
    let (_, after) = stat.rsplit_once(") ")?;
    let mut fields = after.split(' ');
    let letter = fields.next()?.chars().next()?;
    // The 22nd field of the line, of which these are from the third on.
    let began = fields.nth(18)?.parse().ok()?;
    Some(State { letter, began })
}

#[cfg(test)]
mod tests {
    use super::*;
    use heapsight_capture::{Header, Writer};

    fn refusal(process: Process) -> String {
        process.capture().expect_err("not recorded").to_string()
    }

    #[test]
    fn a_capture_that_this_process_writes_is_found_by_its_descriptor() {
        let pid = std::process::id();
        let process = Process::find(pid).expect("it runs");
        assert!(process.is_there());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, pid| {
            let path = folder.path().join(name);
            let header = Header {
                pid,
                ..Header::default()
            };
            let file = File::create(&path).expect("writable");
            (Writer::create(file, &header).expect("writable"), path)
        };
        assert_eq!(
            refusal(process),
            format!("process {pid} is not recorded: start it with 'heapsight run'")
        );
        let (other, other_path) = write("other.heapsight", 1);
        assert!(refusal(process).contains("it is a child of process 1, which is"));
        // Who only reads a capture is not recorded.
        drop(other);
        let read = File::open(&other_path).expect("readable");
        assert!(refusal(process).ends_with("start it with 'heapsight run'"));
        drop(read);
        let (own, own_path) = write("own.heapsight", pid);
        let (_, found) = process.capture().expect("it is recorded");
        assert_eq!(found, own_path.canonicalize().expect("it exists"));
        drop(own);
    }

    #[test]
    fn a_process_that_is_not_there_is_refused() {
        let failure = Process::find(u32::MAX).expect_err("no such process");
        assert_eq!(failure.status(), 2);
        let expected = format!("there is no process {}, and no file of that name", u32::MAX);
        assert_eq!(failure.to_string(), expected);
        let gone = Process {
            began: 0,
            ..Process::find(std::process::id()).expect("it runs")
        };
        assert!(!gone.is_there(), "its id is another's");
    }
}
