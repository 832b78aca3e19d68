//! What is said of child processes when a run has ended.

use std::path::Path;

use crate::look::{Look, Role};
use crate::shell::shell_path;

/// How many captures of child processes there are, and the command that combines them with that of the first process into `combined`.
#[must_use]
pub fn children_line(
    children: usize,
    first: &Path,
    combined: &Path,
    command: &str,
    look: &Look,
) -> String {
    if children == 0 {
        return "Children none\n".to_owned();
    }
    let command = format!(
        "{command} merge -o {} {}",
        shell_path(combined),
        shell_path(first)
    );
    format!(
        "Children {}, {} of its own; all together: {}\n",
        processes(children),
        if children == 1 {
            "in a capture"
        } else {
            "each in a capture"
        },
        look.paint(Role::Command, command)
    )
}

/// Likewise when they are combined already.
#[must_use]
pub fn combined_children_line(children: usize) -> String {
    match children {
        0 => "Children none\n".to_owned(),
        _ => format!(
            "Children {}, combined with the first one in this capture; each has one of its own too\n",
            processes(children)
        ),
    }
}

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
        assert_eq!(line(0), "Children none\n");
        let command = "heapsight merge -o 'my run-all.heapsight' 'my run.heapsight'\n";
        assert_eq!(
            line(1),
            format!("Children 1 process, in a capture of its own; all together: {command}")
        );
        assert_eq!(
            line(3),
            format!("Children 3 processes, each in a capture of its own; all together: {command}")
        );
    }
}
