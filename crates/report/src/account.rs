//! Where the resident memory of a process is, as text.

use heapsight_analysis::Meaning;
use heapsight_capture::Capture;
use heapsight_capture::account::{Account, Part};

use crate::figures::{format_size, share};
use crate::look::{Look, Role};
use crate::text::wrap;

/// A smaller share of the whole, in per cent, has no line of its own.
const LEAST_PERCENT: f64 = 1.0;

/// What the account of a process means, in one sentence, with what would help and what that costs.
#[must_use]
pub fn account_sentence(account: &Account) -> String {
    let (meaning, bytes) = Meaning::of(account);
    let size = format_size(bytes);
    let of = format!("of {} resident", format_size(account.resident_bytes));
    match meaning {
        Meaning::Ordinary => {
            format!("Ordinary: {size} resident, most of it what any interpreter takes.")
        }
        Meaning::Live => format!("Live: {size} {of} are in use, and the tables say by whom."),
        Meaning::Older => format!(
            "Older: {size} {of} are live Python blocks that were not traced; trace from the start to see whose they \
             are."
        ),
        Meaning::Native => format!(
            "Native: {size} {of} came from malloc or mmap and are not traced: C code's, or larger Python blocks from \
             before tracing; heapsight run --native says of which lines."
        ),
        Meaning::Malloc => format!(
            "Retention: {size} {of} were freed, and malloc keeps them for later; malloc_trim(0) gives whole free pages \
             back, which costs page faults when they are needed again."
        ),
        Meaning::Arenas => format!(
            "Retention: {size} {of} are free space in pymalloc's arenas; an arena goes back to the system when its \
             last block is freed, so look for what outlives the rest. Trimming malloc does not help."
        ),
        Meaning::Files => format!(
            "File cache: {size} {of} are pages of mapped files; the system takes them back when memory is short."
        ),
        Meaning::Shared => format!(
            "Shared memory: {size} {of} may be other processes' too, and stay until all have unmapped them."
        ),
        Meaning::CopyOnWrite => format!(
            "Copy-on-write after fork: {size} {of} are shared with another process, and paid for once until one of \
             them writes to them."
        ),
        Meaning::Stacks => {
            format!("Stacks: {size} {of} are stacks of threads; fewer threads need less.")
        }
    }
}

/// The account that a recording has of its end.
pub(crate) fn account_of(capture: &Capture) -> Option<Account> {
    let mut notes = capture.notes.iter().rev();
    let note = notes.find(|note| note.name == Account::NOTE)?;
    Account::of_text(&note.text)
}

/// Is there more to say than what the tables show?
pub(crate) fn is_news(account: &Account) -> bool {
    !matches!(
        Meaning::of(account).0,
        Meaning::Ordinary | Meaning::Live | Meaning::Native
    )
}

/// The sentence, wrapped and indented, ending with a line break.
pub(crate) fn sentence_lines(account: &Account, indent: usize, look: &Look) -> String {
    let margin = " ".repeat(indent);
    let text = account_sentence(account);
    let wrapped = wrap(text.split(' '), look.width.saturating_sub(indent), 2);
    let lines = wrapped.lines().map(|line| format!("{margin}{line}\n"));
    lines.collect()
}

/// A table of the parts, the largest first, with the sentence below it. Ends with a line break.
#[must_use]
pub fn account_table(account: &Account, look: &Look) -> String {
    let whole = account.resident_bytes;
    let title = format!("Resident memory: {}", format_size(whole));
    let mut out = format!("{}\n", look.paint(Role::Heading, &title));
    let mut parts = Part::ALL.map(|part| (account.part(part), part.label()));
    parts.sort_by_key(|part| std::cmp::Reverse(part.0));
    let percent = |bytes: u64| share(bytes, whole) * 100.0;
    let is_large = |bytes: u64| percent(bytes) >= LEAST_PERCENT;
    let large = parts.iter().filter(|(bytes, _)| is_large(*bytes));
    let small: u64 = parts
        .iter()
        .filter(|(bytes, _)| !is_large(*bytes))
        .map(|(bytes, _)| bytes)
        .sum();
    for (bytes, label) in large.copied().chain([(small, "smaller parts")]) {
        out += &format!(
            "  {:>8} {:>3.0} %  {label}\n",
            format_size(bytes),
            percent(bytes)
        );
    }
    if account.swapped_bytes > 0 {
        let swapped = format_size(account.swapped_bytes);
        out += &format!("  {swapped:>8}        in swap, and not resident\n");
    }
    out + &sentence_lines(account, 2, look)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn account() -> Account {
        let mut account = Account::default();
        account.add(Part::MallocFree, 250 * MIB);
        account.add(Part::Python, 30 * MIB);
        account.add(Part::Libraries, 18 * MIB);
        account.add(Part::Stacks, MIB);
        account.add(Part::Heapsight, MIB);
        account.resident_bytes = account.explained_bytes();
        account
    }

    #[test]
    fn parts_are_listed_by_size_and_add_up() {
        insta::assert_snapshot!(account_table(&account(), &Look::plain(80)), @"
        Resident memory: 300 MiB
           250 MiB  83 %  freed memory that malloc keeps
            30 MiB  10 %  live blocks of Python's allocators
            18 MiB   6 %  code and data of programs and libraries
           2.0 MiB   1 %  smaller parts
          Retention: 250 MiB of 300 MiB resident were freed, and malloc keeps them for
            later; malloc_trim(0) gives whole free pages back, which costs page faults
            when they are needed again.
        ");
    }

    #[test]
    fn what_the_tables_show_is_not_said_again() {
        assert!(is_news(&account()));
        let mut live = account();
        live.add(Part::NativeMmap, 900 * MIB);
        assert!(!is_news(&live));
    }
}
