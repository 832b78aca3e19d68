//! How close the process is to a limit on its memory: the limit of its control group, where the kernel kills it, or the
//! limit on its address space.
//!
//! The kernel gives no warning that a thread could wait for early enough and without the program's noticing. So callers
//! poll: [`Limits::is_near`] costs a few system calls.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::descriptor::Guarded;
use super::process_memory::ProcessMemory;

/// How a version of control groups tells what a group has.
struct Layout {
    /// Where its groups are mounted.
    mount: &'static str,
    /// The process's own group, of a line of `/proc/self/cgroup`.
    own: fn(&str) -> Option<&str>,
    limit: &'static str,
    used: &'static str,
    /// What of it the kernel gives back when there is no more room: lines of `memory.stat`. Files kept in memory; those
    /// of a file system that is memory do not belong to them.
    given_back: [&'static str; 2],
}

const LAYOUTS: [Layout; 2] = [
    Layout {
        mount: "sys/fs/cgroup",
        own: |line| line.strip_prefix("0::"),
        limit: "memory.max",
        used: "memory.current",
        given_back: ["active_file ", "inactive_file "],
    },
    Layout {
        mount: "sys/fs/cgroup/memory",
        own: |line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, own) = rest.split_once(':')?;
            let mut controllers = controllers.split(',');
            controllers.any(|of| of == "memory").then_some(own)
        },
        limit: "memory.limit_in_bytes",
        used: "memory.usage_in_bytes",
        given_back: ["total_active_file ", "total_inactive_file "],
    },
];

/// A limit is near when less than one part in so many of it is left.
const PARTS: u64 = 8;

/// How often the caller looks as long as no limit is near.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// The limits that hold for the calling process.
pub(super) struct Limits {
    group: Option<Group>,
    addresses: Growth,
}

impl Limits {
    /// Looks which there are.
    pub(super) fn find() -> Self {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self {
            group: Group::tightest(Path::new("/"), &groups),
            addresses: Growth::default(),
        }
    }

    /// Is the process, with so much `memory`, about to meet a limit? `now` is the time on any clock.
    pub(super) fn is_near(&mut self, memory: &ProcessMemory, now: Duration) -> bool {
        let addresses = self.addresses.soon(memory.address_bytes, now);
        let group = self.group.as_mut();
        is_nearly(addresses, address_limit()) || group.is_some_and(|group| group.is_near(now))
    }
}

/// What was in use at the last look, and when that was.
#[derive(Default)]
struct Growth {
    last: Option<(u64, Duration)>,
}

impl Growth {
    /// What will be in use after another [`LOOK`], of which `used` is in use `now`, should it go on growing as it did
    /// since the last look: a quick program takes from half of its memory to all of it between two looks.
    fn soon(&mut self, used: u64, now: Duration) -> u64 {
        let Some((before, then)) = self.last.replace((used, now)) else {
            return used;
        };
        let grown = u128::from(used.saturating_sub(before));
        let passed = now.saturating_sub(then).as_nanos().max(1);
        let more = grown * LOOK.as_nanos() / passed;
        used.saturating_add(u64::try_from(more).unwrap_or(u64::MAX))
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
    given_back: [&'static str; 2],
    growth: Growth,
}

impl Group {
    /// Of the groups that `groups` (the text of `/proc/self/cgroup`) names and those around them, the one with the
    /// least room. `None` when none has a limit. `root` is where everything is.
    fn tightest(root: &Path, groups: &str) -> Option<Self> {
        let mut found: Vec<(u64, PathBuf, &Layout)> = Vec::new();
        for layout in &LAYOUTS {
            let mount = root.join(layout.mount);
            for own in groups.lines().filter_map(layout.own) {
                // In a container the name may be that of the host, and the mount that of the group itself.
                let own = mount.join(own.trim_start_matches('/'));
                let around = own.ancestors().take_while(|at| at.starts_with(&mount));
                let with_limit =
                    around.filter_map(|at| Some((layout.room(at)?, at.into(), layout)));
                found.extend(with_limit);
            }
        }
        let (_, folder, layout) = found.into_iter().min_by_key(|(room, ..)| *room)?;
        Self::open(&folder, layout)
    }

    fn open(folder: &Path, layout: &Layout) -> Option<Self> {
        let open = |name: &str| Guarded::open(&folder.join(name)).ok();
        Some(Self {
            limit: open(layout.limit)?,
            used: open(layout.used)?,
            parts: open("memory.stat")?,
            given_back: layout.given_back,
            growth: Growth::default(),
        })
    }

    fn is_near(&mut self, now: Duration) -> bool {
        let mut text = [0_u8; 4096];
        let Some(limit) = read(&mut self.limit, &mut text).and_then(number) else {
            return false;
        };
        let Some(used) = read(&mut self.used, &mut text).and_then(number) else {
            return false;
        };
        let soon = self.growth.soon(used, now);
        if !is_nearly(soon, limit) {
            return false;
        }
        let Some(parts) = read(&mut self.parts, &mut text) else {
            return true;
        };
        let files = parts.lines().filter_map(|line| {
            let mut names = self.given_back.iter();
            number(names.find_map(|name| line.strip_prefix(name))?)
        });
        is_nearly(soon.saturating_sub(files.sum()), limit)
    }
}

impl Layout {
    /// Bytes that the group in `folder` may still take; `None` when it has no limit, or is none.
    fn room(&self, folder: &Path) -> Option<u64> {
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        let limit = number(&read(self.limit)?)?;
        Some(limit.saturating_sub(number(&read(self.used)?)?))
    }
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
    use super::*;

    /// A folder with files like those of control groups.
    struct Root {
        root: PathBuf,
        layout: &'static Layout,
    }

    impl Root {
        fn of_version(version: usize, name: &str) -> Self {
            let name = format!("heapsight-limits-{name}-{version}-{}", std::process::id());
            let root = std::env::temp_dir().join(name);
            let _ = fs::remove_dir_all(&root);
            Self {
                root,
                layout: &LAYOUTS[2 - version],
            }
        }

        fn set(&self, group: &str, limit: &str, used: u64, files: u64) {
            let folder = self.root.join(self.layout.mount).join(group);
            fs::create_dir_all(&folder).expect("a temporary folder");
            let [active, inactive] = self.layout.given_back;
            let stat = format!("anon 1\nfile 7777\n{active}{files}\nkernel 2\n{inactive}0\n");
            for (name, text) in [
                (self.layout.limit, limit.to_owned()),
                (self.layout.used, used.to_string()),
                ("memory.stat", stat),
            ] {
                fs::write(folder.join(name), format!("{text}\n")).expect("writable");
            }
        }

        fn group(&self, groups: &str) -> Option<Group> {
            Group::tightest(&self.root, groups)
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.root);
        }
    }

    const VERSIONS: [(usize, &str); 2] = [
        (2, "0::/a/b\n"),
        (1, "12:cpu:/c\n4:hugetlb,memory:/a/b\n0::/\n"),
    ];

    #[test]
    fn a_limit_is_near_when_an_eighth_is_left_that_is_no_cached_file() {
        for (version, own) in VERSIONS {
            let root = Root::of_version(version, "near");
            root.set("a/b", "8000", 1000, 0);
            let mut group = root.group(own).expect("it has a limit");
            assert!(!group.is_near(LOOK));
            root.set("a/b", "8000", 7500, 0);
            assert!(group.is_near(1000 * LOOK));
            root.set("a/b", "8000", 7500, 3000);
            assert!(!group.is_near(1001 * LOOK), "files make room");
            root.set("a/b", "max", 7500, 0);
            assert!(!group.is_near(1002 * LOOK), "the limit was lifted");
        }
    }

    #[test]
    fn a_limit_is_near_for_who_grows_towards_it_quickly() {
        for (version, own) in VERSIONS {
            let root = Root::of_version(version, "quick");
            root.set("a/b", "8000", 1000, 0);
            let mut group = root.group(own).expect("it has a limit");
            assert!(!group.is_near(LOOK));
            root.set("a/b", "8000", 4100, 0);
            assert!(!group.is_near(3 * LOOK), "the next look will be in time");
            root.set("a/b", "8000", 5700, 0);
            assert!(group.is_near(4 * LOOK), "but not the one after it");
            assert!(!group.is_near(4 * LOOK + LOOK / 10), "it stopped growing");
            root.set("a/b", "8000", 5900, 0);
            assert!(
                group.is_near(4 * LOOK + 2 * LOOK / 10),
                "as quickly as before"
            );
        }
    }

    #[test]
    fn growth_is_looked_ahead_for_one_look() {
        let mut growth = Growth::default();
        assert_eq!(growth.soon(500, LOOK), 500);
        assert_eq!(growth.soon(600, 3 * LOOK), 650);
        assert_eq!(growth.soon(100, 4 * LOOK), 100, "it shrank");
        assert_eq!(growth.soon(u64::MAX, 4 * LOOK), u64::MAX);
    }

    #[test]
    fn the_tightest_of_the_groups_around_counts() {
        for (version, own) in VERSIONS {
            let root = Root::of_version(version, "tightest");
            root.set("", "9223372036854771712", 100_000, 0);
            root.set("a", "50000", 49_000, 0);
            root.set("a/b", "8000", 1000, 0);
            let mut group = root.group(own).expect("there is a limit");
            assert!(group.is_near(LOOK));
        }
    }

    #[test]
    fn a_group_under_the_name_that_the_host_gives_it_is_the_one_mounted() {
        for (version, _) in VERSIONS {
            let root = Root::of_version(version, "container");
            root.set("", "8000", 7500, 0);
            let own = match version {
                1 => "4:memory:/docker/0123\n",
                _ => "0::/docker/0123\n",
            };
            assert!(root.group(own).expect("there is a limit").is_near(LOOK));
        }
    }

    #[test]
    fn no_group_no_limit() {
        let root = Root::of_version(2, "none");
        root.set("", "max", 1, 0);
        assert!(root.group("0::/\n").is_none());
        assert!(root.group("3:memory:/old\n").is_none());
        assert!(root.group("").is_none());
    }

    #[test]
    fn an_address_space_is_nearly_used_up_by_seven_eighths() {
        assert!(!is_nearly(700, 1000));
        assert!(is_nearly(900, 1000));
        assert!(!is_nearly(u64::MAX / 2, libc::RLIM_INFINITY));
    }
}
