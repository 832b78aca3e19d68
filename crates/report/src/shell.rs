//! Names as a shell reads them back, in commands that people copy.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::figures::format_size;
use crate::look::{Look, Role};
use crate::process::labelled;
use crate::text::{is_safe, printable};

/// `word` as a shell reads it back, and as it can be shown: what would control a terminal is escaped as in `$'\x1b'`,
/// which bash, zsh and ksh know.
#[must_use]
pub fn shell_quoted(word: &OsStr) -> String {
    let is_plain =
        |character: char| character.is_alphanumeric() || "._-/+=:@%,".contains(character);
    let text = word.to_str();
    match text {
        Some(text) if text.chars().all(|character| is_safe(character, true)) => {
            if !text.is_empty() && text.chars().all(is_plain) {
                text.to_owned()
            } else {
                format!("'{}'", text.replace('\'', r"'\''"))
            }
        }
        _ => escaped(word.as_bytes()),
    }
}

/// Every character that could do harm, and every byte that is of no character, as `\xNN`.
fn escaped(bytes: &[u8]) -> String {
    let mut out = "$'".to_owned();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\'' | '\\' => out.extend(['\\', character]),
                _ if is_safe(character, true) => out.push(character),
                _ => {
                    let mut buffer = [0; 4];
                    for byte in character.encode_utf8(&mut buffer).bytes() {
                        out += &format!("\\x{byte:02x}");
                    }
                }
            }
        }
        for byte in chunk.invalid() {
            out += &format!("\\x{byte:02x}");
        }
    }
    out + "'"
}

/// A file's name as an argument that no command takes for an option.
#[must_use]
pub fn shell_path(path: &Path) -> String {
    match path.as_os_str().as_bytes().first() {
        Some(b'-') => shell_quoted(Path::new(".").join(path).as_os_str()),
        _ => shell_quoted(path.as_os_str()),
    }
}

/// Where a file is that was written, and what to do with it: a command if it is a capture's.
#[must_use]
pub fn written(what: &str, path: &Path, next: (&str, &str), look: &Look) -> String {
    let shown = printable(&path.to_string_lossy(), look.unicode);
    let size = std::fs::metadata(path).map_or(String::new(), |metadata| {
        format!(" ({})", format_size(metadata.len()))
    });
    let (label, command) = next;
    labelled(what, "", &format!("{shown}{size}"), look) + &command_line(label, command, look)
}

/// A command to copy under a label. It is never broken.
pub(crate) fn command_line(label: &str, command: &str, look: &Look) -> String {
    format!("  {label:<14} {}\n", look.paint(Role::Command, command))
}

/// Where a capture is and what to do with it. `command` is how the reader called heapsight, as a shell reads it.
#[must_use]
pub fn next_steps(path: &Path, command: &str, look: &Look) -> String {
    let next = format!(
        "{command} top --group-by function --cumulative {}",
        shell_path(path)
    );
    written("Capture", path, ("Next", &next), look)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn quoted(bytes: &[u8]) -> String {
        shell_quoted(OsStr::from_bytes(bytes))
    }

    #[test]
    fn plain_names_stay_as_they_are() {
        assert_eq!(quoted(b"out/a-1.heapsight"), "out/a-1.heapsight");
        assert_eq!(quoted("größe".as_bytes()), "größe");
        assert_eq!(quoted(b"it's here"), r"'it'\''s here'");
        assert_eq!(quoted(b""), "''");
        assert_eq!(quoted(b"a\x1b[31m"), r"$'a\x1b[31m'");
        assert_eq!(shell_path(Path::new("-x.heapsight")), "./-x.heapsight");
    }

    #[test]
    fn a_shell_reads_every_name_back_as_it_was() {
        for name in [
            &b"plain"[..],
            b"two words",
            b"it's \"quoted\" $HOME `id` \\n",
            b"esc\x1b]0;title\x07",
            "bidi\u{202e}txt\u{2028}x".as_bytes(),
            b"not \xff\xfe text",
            b"line\nbreak'",
            b"~",
            b"*",
            b"!x",
            b"a;b&c|d",
        ] {
            let word = quoted(name);
            assert!(
                word.chars().all(|character| is_safe(character, true)),
                "{word}"
            );
            let shell = Command::new("bash")
                .args(["-c", &format!("printf %s {word}")])
                .output();
            let shell = shell.expect("bash is there");
            assert_eq!(shell.stdout, name, "{word}");
        }
    }
}
