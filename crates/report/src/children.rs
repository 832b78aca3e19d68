//! What is said of child processes when a run has ended.

use std::path::Path;

use crate::look::Look;
use crate::process::labelled;
use crate::shell::{command_line, shell_path};

/// How many captures of child processes there are, and the command that combines them with that of the first process
/// into `combined`. `heapsight` is how the reader called heapsight, as a shell reads it.
#[must_use]
pub fn children_line(
    children: usize,
    first: &Path,
    combined: &Path,
    heapsight: &str,
    look: &Look,
) -> String {
    if children == 0 {
        return labelled(LABEL, "", "none", look);
    }
    let each = match children {
        1 => "in a capture",
        _ => "each in a capture",
    };
    let text = format!("{}, {each} of its own", processes(children));
    let command = format!(
        "{heapsight} merge -o {} {}",
        shell_path(combined),
        shell_path(first)
    );
    labelled(LABEL, "", &text, look) + &command_line("Merge", &command, look)
}

/// Likewise when they are combined already.
#[must_use]
pub fn combined_children_line(children: usize, look: &Look) -> String {
    let text = match children {
        0 => "none".to_owned(),
        _ => format!(
            "{}, combined with the first one in this capture; each has one of its own too",
            processes(children)
        ),
    };
    labelled(LABEL, "", &text, look)
}

const LABEL: &str = "Children";

fn processes(count: usize) -> String {
    match count {
        1 => "1 process".to_owned(),
        _ => format!("{count} processes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_pasted() {
        let line = |children| {
            let (first, all) = (
                Path::new("my run.heapsight"),
                Path::new("my run-all.heapsight"),
            );
            children_line(children, first, all, "heapsight", &Look::plain(100))
        };
        assert_eq!(line(0), "  Children       none\n");
        let command = "heapsight merge -o 'my run-all.heapsight' 'my run.heapsight'\n";
        assert_eq!(
            line(1),
            format!(
                "  Children       1 process, in a capture of its own\n  Merge          {command}"
            )
        );
        let several = "3 processes, each in a capture of its own";
        assert_eq!(
            line(3),
            format!("  Children       {several}\n  Merge          {command}")
        );
    }
}
