//! The process's mappings as the kernel tells of them: `/proc/self/smaps` (proc(5)).

use std::collections::HashSet;
use std::io::{self, BufRead};
use std::ops::Range;

/// What a mapping is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Private memory of no file.
    Anonymous,
    /// What `brk` gives.
    Heap,
    /// The first thread's stack.
    Stack,
    /// A program or a library.
    Library,
    /// Any other file.
    File,
    /// Memory that other processes may share, of no file that is on a disk.
    Shared,
}

/// One mapping, with figures in bytes.
#[derive(Clone, Debug)]
pub(super) struct Map {
    pub(super) range: Range<usize>,
    pub(super) kind: Kind,
    pub(super) resident: u64,
    /// Of that, pages that are no file's.
    pub(super) anonymous: u64,
    /// Of that, pages that other processes have as well.
    pub(super) shared: u64,
    pub(super) huge: u64,
    pub(super) swapped: u64,
    file: (String, u64),
    is_code: bool,
}

/// All mappings, in the order of addresses.
pub(super) fn read(text: impl BufRead) -> io::Result<Vec<Map>> {
    let mut maps: Vec<Map> = Vec::new();
    for line in text.split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if let Some(map) = header(&line) {
            maps.push(map);
        } else if let Some(last) = maps.last_mut() {
            figure(last, &line);
        }
    }
    find_libraries(&mut maps);
    Ok(maps)
}

/// `7f00-7f10 r-xp 00000000 fe:00 123     /path`.
fn header(line: &str) -> Option<Map> {
    let mut words = line.splitn(6, ' ');
    let (start, end) = words.next()?.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    let range = address(start)?..address(end)?;
    let rights = words.next()?.as_bytes();
    let _offset = words.next()?;
    let device = words.next()?;
    let inode = words.next()?.parse().ok()?;
    let name = words.next().unwrap_or_default().trim_start();
    let has = |right: &u8| rights.contains(right);
    Some(Map {
        range,
        kind: kind(name, inode, has(&b's')),
        resident: 0,
        anonymous: 0,
        shared: 0,
        huge: 0,
        swapped: 0,
        file: (device.to_owned(), inode),
        is_code: has(&b'x'),
    })
}

fn kind(name: &str, inode: u64, is_shared: bool) -> Kind {
    // Files that are in memory only have an inode, too.
    const IN_MEMORY: [&str; 6] = [
        "/dev/shm/",
        "/memfd:",
        "/SYSV",
        "/dev/zero",
        "/anon_hugepage",
        "anon_inode:",
    ];
    match name {
        "[heap]" => Kind::Heap,
        "[stack]" => Kind::Stack,
        "[vdso]" | "[vvar]" | "[vvar_vclock]" | "[vsyscall]" => Kind::Library,
        _ if name.starts_with("[anon_shmem") => Kind::Shared,
        _ if is_shared && IN_MEMORY.iter().any(|start| name.starts_with(start)) => Kind::Shared,
        _ if inode != 0 => Kind::File,
        _ if is_shared => Kind::Shared,
        _ => Kind::Anonymous,
    }
}

/// `Rss:        8 kB`.
fn figure(map: &mut Map, line: &str) {
    let Some((name, value)) = line.split_once(':') else {
        return;
    };
    let place = match name {
        "Rss" => &mut map.resident,
        "Anonymous" => &mut map.anonymous,
        "Shared_Clean" | "Shared_Dirty" => &mut map.shared,
        "AnonHugePages" | "ShmemPmdMapped" | "FilePmdMapped" => &mut map.huge,
        "Swap" => &mut map.swapped,
        _ => return,
    };
    let number = value.trim_end_matches("kB").trim();
    *place += number.parse::<u64>().unwrap_or(0) * 1024;
}

/// A file of which any part may be executed is a program or a library.
fn find_libraries(maps: &mut [Map]) {
    let code = maps.iter().filter(|map| map.is_code && map.file.1 != 0);
    let files: HashSet<(String, u64)> = code.map(|map| map.file.clone()).collect();
    for map in maps {
        if map.kind == Kind::File && files.contains(&map.file) {
            map.kind = Kind::Library;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
00400000-00500000 r-xp 00000000 fe:00 17                                 /usr/bin/a program
Rss:                 512 kB
Shared_Clean:        500 kB
Shared_Dirty:          4 kB
Anonymous:             0 kB
00500000-00600000 rw-p 00100000 fe:00 17                                 /usr/bin/a program
Rss:                  64 kB
Anonymous:            60 kB
00600000-00610000 rw-p 00000000 00:00 0
Rss:                   8 kB
01000000-02000000 rw-p 00000000 00:00 0                                  [heap]
Rss:                 100 kB
Swap:                 12 kB
7f0000000000-7f0000100000 rw-s 00000000 00:01 5                          /dev/zero (deleted)
Rss:                  16 kB
7f0000100000-7f0000200000 rw-p 00000000 00:00 0
Rss:                2048 kB
AnonHugePages:      2048 kB
7f0000200000-7f0000300000 ---p 00000000 00:00 0
Rss:                   0 kB
7f0000300000-7f0000400000 r--s 00000000 fe:00 18                         /data
Rss:                  20 kB
7ffc00000000-7ffc00100000 rw-p 00000000 00:00 0                          [stack]
Rss:                  40 kB
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

    #[test]
    fn mappings_are_told_apart_with_what_is_resident_of_them() {
        let maps = read(TEXT.as_bytes()).expect("it is text");
        let found: Vec<(Kind, u64)> = maps.iter().map(|map| (map.kind, map.resident)).collect();
        let kb = |kind, number: u64| (kind, number << 10);
        assert_eq!(
            found,
            [
                kb(Kind::Library, 512),
                kb(Kind::Library, 64),
                kb(Kind::Anonymous, 8),
                kb(Kind::Heap, 100),
                kb(Kind::Shared, 16),
                kb(Kind::Anonymous, 2048),
                kb(Kind::Anonymous, 0),
                kb(Kind::File, 20),
                kb(Kind::Stack, 40),
                kb(Kind::Library, 0),
            ]
        );
        assert_eq!(maps[0].shared, 504 << 10);
        assert_eq!(maps[1].anonymous, 60 << 10);
        assert_eq!(maps[3].swapped, 12 << 10);
        assert_eq!(maps[5].huge, 2048 << 10);
    }

    #[test]
    fn what_is_no_mapping_is_left_out() {
        assert!(
            read("Rss: 5 kB\n\nnonsense\n".as_bytes())
                .expect("it is text")
                .is_empty()
        );
    }
}
