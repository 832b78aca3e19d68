//! What the kernel reports about the process's memory: resident now, highest resident so far, and address space in use.

use std::os::unix::fs::FileExt;
use std::path::Path;

use super::descriptor::Guarded;

/// All in bytes; 0 where the kernel does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ProcessMemory {
    /// `VmRSS`.
    pub(super) resident_bytes: u64,
    /// `VmHWM`: the highest value of the former, at any moment.
    pub(super) highest_resident_bytes: u64,
    /// `VmSize`.
    pub(super) address_bytes: u64,
}

/// `/proc/self/status`, kept open out of the program's way.
pub(super) struct Status(Option<Guarded>);

/// What is looked for stands within the first half of it (proc(5)).
const ENOUGH_BYTES: usize = 4096;

impl Status {
    /// That of the calling process: a forked child needs one of its own.
    pub(super) fn open() -> Self {
        Self(Guarded::open(Path::new("/proc/self/status")).ok())
    }

    /// What it says now.
    pub(super) fn read(&mut self) -> ProcessMemory {
        let mut text = [0_u8; ENOUGH_BYTES];
        let length = self
            .0
            .as_mut()
            .and_then(|status| status.file().ok()?.read_at(&mut text, 0).ok())
            .unwrap_or(0);
        parse(&text[..length])
    }
}

fn parse(status: &[u8]) -> ProcessMemory {
    let mut memory = ProcessMemory::default();
    for line in status.split(|&byte| byte == b'\n') {
        let Some(line) = line.strip_prefix(b"Vm") else {
            continue;
        };
        let Some((name, value)) = str::from_utf8(line)
            .ok()
            .and_then(|line| line.split_once(':'))
        else {
            continue;
        };
        let kib = value.trim().strip_suffix(" kB").unwrap_or("");
        let bytes = kib.parse::<u64>().map_or(0, |kib| kib.saturating_mul(1024));
        match name {
            "RSS" => memory.resident_bytes = bytes,
            "HWM" => memory.highest_resident_bytes = bytes,
            "Size" => memory.address_bytes = bytes,
            _ => {}
        }
    }
    memory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_found_by_their_names() {
        let text = b"Name:\tVmRSS: 3 kB\nVmPeak:\t  99 kB\nVmSize:\t  40 kB\nVmHWM:\t 12 kB\n\
                     VmRSS:\t\t 8 kB\nThreads:\t1\n";
        let expected = ProcessMemory {
            resident_bytes: 8 << 10,
            highest_resident_bytes: 12 << 10,
            address_bytes: 40 << 10,
        };
        assert_eq!(parse(text), expected);
        assert_eq!(parse(b""), ProcessMemory::default());
        assert_eq!(parse(b"VmRSS: many kB\nVmHWM:"), ProcessMemory::default());
    }

    #[test]
    fn this_process_has_memory_and_had_as_much_before() {
        let memory = Status::open().read();
        assert!(memory.resident_bytes > 0);
        assert!(memory.highest_resident_bytes >= memory.resident_bytes);
        assert!(memory.address_bytes >= memory.resident_bytes);
    }
}
