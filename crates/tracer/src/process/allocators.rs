//! What allocators say of themselves: pymalloc of its arenas, glibc of its heap.

use std::ffi::{CStr, c_char, c_int, c_void};

use heapsight_cpython::api::{self, PyMemAllocatorEx};

use crate::config;
use crate::interpreter::original;

/// pymalloc's arenas, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Arenas {
    pub(super) all: u64,
    /// In blocks that are in use, with what their sizes were rounded up by.
    pub(super) used: u64,
}

/// What pymalloc says; `None` where it is not in use, or cannot be asked. Call with the GIL held.
///
/// The interpreter's report of it (`sys._debugmallocstats`) is of pymalloc only while that is the allocator of the obj
/// domain, without hooks. So it is, for the time of the report.
pub(super) fn arenas() -> Option<Arenas> {
    // Another interpreter with a GIL of its own might allocate meanwhile, or, without a GIL, any thread.
    if config::has_several_interpreters() || config::all_shared() {
        return None;
    }
    let report = api::symbol(c"_PyObject_DebugMallocStats")?;
    // SAFETY: that function takes a C stream and returns an int, in every version that is supported; it allocates
    // nothing by Python. The GIL is held by the caller, so nobody else uses the obj domain meanwhile.
    unsafe {
        let report =
            std::mem::transmute::<*mut c_void, extern "C" fn(*mut libc::FILE) -> c_int>(report);
        let _apart = heapsight_native::apart();
        let (mut text, mut length): (*mut c_char, usize) = (std::ptr::null_mut(), 0);
        let stream = libc::open_memstream(&raw mut text, &raw mut length);
        if stream.is_null() {
            return None;
        }
        let mut present = PyMemAllocatorEx::EMPTY;
        api::PyMem_GetAllocator(api::DOMAIN_OBJ, &raw mut present);
        if let Some(mut below) = original::first(api::DOMAIN_OBJ as usize) {
            api::PyMem_SetAllocator(api::DOMAIN_OBJ, &raw mut below);
        }
        report(stream);
        api::PyMem_SetAllocator(api::DOMAIN_OBJ, &raw mut present);
        libc::fclose(stream);
        let found = (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy());
        let found = found.and_then(|text| read(&text));
        libc::free(text.cast());
        found
    }
}

/// Reads the report. Its numbers have commas.
fn read(text: &str) -> Option<Arenas> {
    let number = |line: &str| {
        let (_, value) = line.split_once('=')?;
        value.trim().replace(',', "").parse::<u64>().ok()
    };
    let find = |is_it: fn(&str) -> bool| text.lines().find(|line| is_it(line)).and_then(number);
    Some(Arenas {
        all: find(|line| line.contains("bytes/arena"))?,
        used: find(|line| line.starts_with("# bytes in allocated blocks"))?,
    })
}

/// glibc's heap, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Heap {
    /// In blocks of its heaps that are in use, with their headers; what a thread keeps for itself is among them.
    pub(super) used: u64,
    /// In blocks that have a mapping of their own.
    pub(super) mapped: u64,
}

/// `struct mallinfo2` and the older `struct mallinfo`, of ten numbers each (mallinfo(3)).
#[repr(C)]
struct Figures<T>([T; 10]);

const HBLKHD: usize = 4;
const UORDBLKS: usize = 7;

/// What the C library says; `None` where it has no such function.
pub(super) fn heap() -> Option<Heap> {
    // SAFETY: functions of the C library without arguments, which give ten numbers of that size.
    unsafe {
        if let Some(ask) = api::symbol(c"mallinfo2") {
            let ask = std::mem::transmute::<*mut c_void, extern "C" fn() -> Figures<usize>>(ask);
            let Figures(all) = ask();
            return Some(Heap {
                used: all[UORDBLKS] as u64,
                mapped: all[HBLKHD] as u64,
            });
        }
        let ask = api::symbol(c"mallinfo")?;
        let ask = std::mem::transmute::<*mut c_void, extern "C" fn() -> Figures<u32>>(ask);
        let Figures(all) = ask();
        // Before glibc 2.33: right up to 4 GiB.
        Some(Heap {
            used: u64::from(all[UORDBLKS]),
            mapped: u64::from(all[HBLKHD]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_pymalloc_is_read() {
        let text = "\
Small block threshold = 512, in 32 size classes.

class   size   num pools   blocks in use  avail blocks
    0     16           4            2949          1115

# arenas allocated total           =                    6
# arenas allocated current         =                    5
5 arenas * 1048576 bytes/arena     =            5,242,880

# bytes in allocated blocks        =            4,567,248
# bytes in available blocks        =              120,720
0 unused pools * 16384 bytes       =                    0
Total                              =            5,242,880
";
        let expected = Arenas {
            all: 5_242_880,
            used: 4_567_248,
        };
        assert_eq!(read(text), Some(expected));
        assert_eq!(read("# bytes in allocated blocks = many"), None);
    }
}
