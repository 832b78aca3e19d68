//! Where the stacks of the process's threads are.

use std::fs;

/// An address in the stack of each thread, where the kernel tells it: `/proc/self/task/ID/syscall` has the stack
/// pointer of a thread that waits; the calling one knows its own.
pub(super) fn addresses() -> Vec<usize> {
    let here = 0_u8;
    let mut found = vec![std::ptr::from_ref(&here).addr()];
    for task in fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten()
    {
        // A thread that runs just now may wait the next moment.
        for _ in 0..ATTEMPTS {
            let text = fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
            if let Some(address) = stack_pointer(&text) {
                found.push(address);
                break;
            }
            if text.is_empty() {
                break;
            }
            std::thread::yield_now();
        }
    }
    found
}

const ATTEMPTS: u32 = 20;

/// The last number but one.
fn stack_pointer(text: &str) -> Option<usize> {
    let word = text.split_ascii_whitespace().rev().nth(1)?;
    usize::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_pointer_of_a_waiting_thread_is_read() {
        let waiting = "202 0x7f 0x189 0x0 0x0 0x0 0xffffffff 0x7f77fa7ffe40 0x7f780c4b1f16\n";
        assert_eq!(stack_pointer(waiting), Some(0x7f77_fa7f_fe40));
        assert_eq!(stack_pointer("-1 0x7ffc0 0x7f78\n"), Some(0x7ffc0));
        assert_eq!(stack_pointer("running\n"), None);
    }
}
