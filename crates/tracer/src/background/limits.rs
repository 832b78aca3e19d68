//! How close the process is to a limit on its memory: of its control group, beyond which the kernel kills it, or on its
//! addresses.
//!
//! There is no warning that a thread could wait for without the program's noticing, and that comes early enough. So
//! whoever wants to know asks often: [`Limits::is_near`] costs a few system calls.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::descriptor::Guarded;
use super::process_memory::ProcessMemory;

/// Where control groups of version 2 are mounted.
const CGROUPS: &str = "/sys/fs/cgroup";

/// A limit is near when less than one part in so many of it is left.
const PARTS: u64 = 8;

/// The limits that hold for the calling process.
pub(super) struct Limits {
    group: Option<Group>,
}

impl Limits {
    /// Looks which there are.
    pub(super) fn find() -> Self {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self {
            group: Group::tightest(Path::new(CGROUPS), &groups),
        }
    }

    /// Is the process, with so much `memory`, about to meet a limit?
    pub(super) fn is_near(&mut self, memory: &ProcessMemory) -> bool {
        is_nearly(memory.address_bytes, address_limit())
            || self.group.as_mut().is_some_and(Group::is_near)
    }
}

fn is_nearly(used: u64, limit: u64) -> bool {
    used > limit - limit / PARTS
}

/// `RLIMIT_AS` in bytes.
fn address_limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` is written to, and stays "none" if that fails.
    unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) };
    limit.rlim_cur
}

/// A control group with a limit, its files kept open out of the program's way.
struct Group {
    limit: Guarded,
    used: Guarded,
    parts: Guarded,
}

impl Group {
    /// Of the group that `groups` (the text of `/proc/self/cgroup`) names and those around it, the one with the least
    /// room. `None` when none has a limit.
    fn tightest(mount: &Path, groups: &str) -> Option<Self> {
        let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let own = mount.join(own);
        own.ancestors()
            .take_while(|folder| folder.starts_with(mount))
            .filter_map(|folder| Some((room(folder)?, folder)))
            .min()
            .and_then(|(_, folder)| Self::open(folder))
    }

    fn open(folder: &Path) -> Option<Self> {
        let open = |name: &str| Guarded::open(&folder.join(name)).ok();
        Some(Self {
            limit: open("memory.max")?,
            used: open("memory.current")?,
            parts: open("memory.stat")?,
        })
    }

    /// What the group uses includes files that the kernel keeps in memory as long as there is room: these do not count.
    fn is_near(&mut self) -> bool {
        let mut text = [0_u8; 4096];
        let Some(limit) = read(&mut self.limit, &mut text).and_then(number) else {
            return false;
        };
        let Some(used) = read(&mut self.used, &mut text).and_then(number) else {
            return false;
        };
        if !is_nearly(used, limit) {
            return false;
        }
        let files = read(&mut self.parts, &mut text).and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("file "));
            number(line?)
        });
        is_nearly(used.saturating_sub(files.unwrap_or(0)), limit)
    }
}

/// Bytes that the group in `folder` may still take; `None` when it has no limit.
fn room(folder: &Path) -> Option<u64> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let limit = number(&read("memory.max")?)?;
    Some(limit.saturating_sub(number(&read("memory.current")?)?))
}

fn read<'a>(file: &mut Guarded, into: &'a mut [u8]) -> Option<&'a str> {
    let length = file.file().ok()?.read_at(into, 0).ok()?;
    let text = &into[..length];
    // The end of a long text may be cut in the middle.
    Some(
        str::from_utf8(text).unwrap_or_else(|error| {
            str::from_utf8(&text[..error.valid_up_to()]).unwrap_or_default()
        }),
    )
}

/// The number in a text; `None` for `max`.
fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A folder like those of control groups.
    struct Mount(PathBuf);

    impl Mount {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir()
                .join(format!("heapsight-limits-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&folder);
            Self(folder)
        }

        fn set(&self, group: &str, limit: &str, used: u64, files: u64) {
            let folder = self.0.join(group);
            fs::create_dir_all(&folder).expect("a temporary folder");
            for (name, text) in [
                ("memory.max", limit.to_owned()),
                ("memory.current", used.to_string()),
                ("memory.stat", format!("anon 1\nfile {files}\nkernel 2\n")),
            ] {
                fs::write(folder.join(name), format!("{text}\n")).expect("writable");
            }
        }

        fn group(&self, groups: &str) -> Option<Group> {
            Group::tightest(&self.0, groups)
        }
    }

    impl Drop for Mount {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_limit_is_near_when_an_eighth_is_left_that_is_no_cached_file() {
        let mount = Mount::new("near");
        mount.set("a/b", "8000", 1000, 0);
        let mut group = mount.group("0::/a/b\n").expect("it has a limit");
        assert!(!group.is_near());
        mount.set("a/b", "8000", 7500, 0);
        assert!(group.is_near());
        mount.set("a/b", "8000", 7500, 3000);
        assert!(!group.is_near(), "files make room");
        mount.set("a/b", "max", 7500, 0);
        assert!(!group.is_near(), "the limit was lifted");
    }

    #[test]
    fn the_tightest_of_the_groups_around_counts() {
        let mount = Mount::new("tightest");
        mount.set("", "max", 100_000, 0);
        mount.set("a", "50000", 49_000, 0);
        mount.set("a/b", "8000", 1000, 0);
        let mut group = mount.group("0::/a/b\n").expect("there is a limit");
        assert!(group.is_near());
    }

    #[test]
    fn no_group_no_limit() {
        let mount = Mount::new("none");
        mount.set("", "max", 1, 0);
        assert!(mount.group("0::/\n").is_none());
        assert!(mount.group("3:memory:/old\n").is_none());
        assert!(mount.group("").is_none());
    }

    #[test]
    fn an_address_space_is_nearly_used_up_by_seven_eighths() {
        assert!(!is_nearly(700, 1000));
        assert!(is_nearly(900, 1000));
        assert!(!is_nearly(u64::MAX / 2, libc::RLIM_INFINITY));
    }
}
