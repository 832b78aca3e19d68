//! Pages of code as the file has them, to be changed without losing their name.
//!
//! What tells functions by address (perf, core dumps) asks the kernel which file is mapped there, and where in it. A
//! copy of a page that is itself a private mapping of that place in that file gives the same answer in the page's
//! stead, whatever was written into it.

use std::ffi::c_void;
use std::fs::{self, File};
use std::os::fd::AsRawFd;

/// A line of `/proc/self/maps` (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region<'a> {
    start: usize,
    end: usize,
    /// Of its first byte in the file.
    offset: u64,
    /// Device and inode, as the kernel tells them here: `stat` may have other ones for the same file (overlayfs,
    /// btrfs).
    file: (&'a str, u64),
    path: &'a str,
}

impl<'a> Region<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        // Fields are separated by one space, but for the path, before which there are several and in which there may be
        // some.
        let mut fields = line.splitn(6, ' ');
        let (start, end) = fields.next()?.split_once('-')?;
        let _permissions = fields.next()?;
        let offset = u64::from_str_radix(fields.next()?, 16).ok()?;
        let device = fields.next()?;
        let inode = fields.next()?.parse().ok()?;
        Some(Self {
            start: usize::from_str_radix(start, 16).ok()?,
            end: usize::from_str_radix(end, 16).ok()?,
            offset,
            file: (device, inode),
            path: fields.next().unwrap_or_default().trim_start(),
        })
    }

    /// The region of `address`.
    fn of(maps: &'a str, address: usize) -> Option<Self> {
        maps.lines()
            .filter_map(Self::parse)
            .find(|region| (region.start..region.end).contains(&address))
    }

    /// Which byte of the file is at `address`, which lies in the region.
    fn offset_of(&self, address: usize) -> u64 {
        self.offset + (address - self.start) as u64
    }
}

/// A new private mapping, readable and writable, of what the file has for the pages `[first, first + length)`. `None`
/// when they are of no file, or the file is gone.
pub(super) fn remap(first: usize, length: usize, page: usize) -> Option<*mut c_void> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let region = Region::of(&maps, first).filter(|region| region.file.1 != 0)?;
    let offset = region.offset_of(first);
    // They may be in several regions, if some of them were changed before.
    let is_of_file = |address: usize| {
        Region::of(&maps, address).is_some_and(|other| {
            other.file == region.file
                && other.offset_of(address) == offset + (address - first) as u64
        })
    };
    if !(first..first + length).step_by(page).all(is_of_file) {
        return None;
    }
    let file = File::open(region.path).ok()?;
    if file.metadata().ok()?.len() < offset + length as u64 - page as u64 + 1 {
        return None;
    }
    // SAFETY: a private mapping at an address of the kernel's choice touches no memory that exists.
    let copy = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE,
            file.as_raw_fd(),
            libc::off_t::try_from(offset).ok()?,
        )
    };
    if copy == libc::MAP_FAILED {
        return None;
    }
    // The name may lead to another file by now.
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    if Region::of(&maps, copy as usize).is_some_and(|found| found.file == region.file) {
        return Some(copy);
    }
    // SAFETY: made above; nobody else knows of it.
    unsafe { libc::munmap(copy, length) };
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_is_read() {
        let line = "7f00a000-7f00c000 r-xp 00025000 103:02 1234567              /usr/lib/a b/libpython3.12.so.1.0";
        let region = Region {
            start: 0x7f00_a000,
            end: 0x7f00_c000,
            offset: 0x25000,
            file: ("103:02", 1_234_567),
            path: "/usr/lib/a b/libpython3.12.so.1.0",
        };
        assert_eq!(Region::parse(line), Some(region));
        assert_eq!(region.offset_of(0x7f00_b010), 0x26010);
        assert_eq!(Region::of(line, 0x7f00_bfff), Some(region));
        assert_eq!(Region::of(line, 0x7f00_c000), None);
    }

    #[test]
    fn memory_of_no_file_has_no_path() {
        let region = Region::parse("7ffd000-7ffe000 rw-p 00000000 00:00 0 ").expect("a line");
        assert_eq!((region.file, region.path), (("00:00", 0), ""));
        assert_eq!(Region::parse("nonsense"), None);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri maps no files")]
    fn pages_of_this_program_are_mapped_anew_as_they_are_and_those_of_no_file_are_not() {
        // SAFETY: sysconf has no preconditions.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).expect("a size");
        let code = remap as *const () as usize & !(page - 1);
        let copy = remap(code, page, page).expect("a mapping");
        // SAFETY: both are mapped, and as long as a page.
        unsafe {
            let bytes = |start: usize| std::slice::from_raw_parts(start as *const u8, page);
            assert_eq!(bytes(code), bytes(copy as usize));
            libc::munmap(copy, page);
        }
        let heap = Box::new(0_u8);
        let heap = std::ptr::from_ref(&*heap) as usize & !(page - 1);
        assert_eq!(remap(heap, page, page), None);
    }
}
