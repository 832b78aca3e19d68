//! `-mMODULE` and `-cCODE`, as Python has them too.
//!
//! The parser gives a program's arguments to `-m` and `-c` only where the module or code is a word of its own, so it is made one.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::{Arg, Command};

/// The words of `heapsight run`, with the word that carries the program split in two if need be.
pub(super) fn detach(run: &Command, words: &[OsString]) -> Vec<OsString> {
    let mut detached = words.to_vec();
    let Some((index, at)) = attached_program(run, words) else {
        return detached;
    };
    let (option, program) = words[index].as_bytes().split_at(at);
    let parts = [option, program].map(|part| OsString::from_vec(part.to_vec()));
    detached.splice(index..=index, parts);
    detached
}

/// The word in which `-m` or `-c` is followed by more, and where that more begins.
fn attached_program(run: &Command, words: &[OsString]) -> Option<(usize, usize)> {
    let mut index = 0;
    while let Some(word) = words.get(index) {
        let bytes = word.as_bytes();
        if word == "--" || word == "-" || !bytes.starts_with(b"-") {
            return None;
        }
        let mut value_follows = false;
        if let Some(long) = bytes.strip_prefix(b"--") {
            value_follows = takes_value(run, |arg| {
                arg.get_long()
                    .is_some_and(|name| OsStr::new(name).as_bytes() == long)
            });
        } else {
            for (at, letter) in bytes.iter().enumerate().skip(1) {
                let is_last = at + 1 == bytes.len();
                if matches!(letter, b'm' | b'c') {
                    return (!is_last).then_some((index, at + 1));
                }
                if takes_value(run, |arg| arg.get_short() == Some(char::from(*letter))) {
                    value_follows = is_last;
                    break;
                }
            }
        }
        index += if value_follows { 2 } else { 1 };
    }
    None
}

/// Whether the option that `is_it` finds takes the next word as its value.
fn takes_value(run: &Command, is_it: impl Fn(&Arg) -> bool) -> bool {
    let option = run.get_arguments().find(|arg| is_it(arg));
    option.is_some_and(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Arguments;
    use clap::CommandFactory;

    fn detached(words: &[&str]) -> Vec<String> {
        let command = Arguments::command();
        let run = command
            .find_subcommand("run")
            .expect("there is such a command");
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let words = detach(run, &words).into_iter();
        words
            .map(|word| word.into_string().expect("UTF-8"))
            .collect()
    }

    #[test]
    fn only_the_word_that_names_the_program_is_split() {
        assert_eq!(
            detached(&["-mjson.tool", "-mx"]),
            ["-m", "json.tool", "-mx"]
        );
        assert_eq!(detached(&["-fqcpass", "x"]), ["-fqc", "pass", "x"]);
        assert_eq!(detached(&["-o", "-mx", "-mx"]), ["-o", "-mx", "-m", "x"]);
        assert_eq!(
            detached(&["-ofm", "--tick", "-mx", "-mx"]),
            ["-ofm", "--tick", "-mx", "-m", "x"]
        );
        assert_eq!(
            detached(&["--sample", "--tick=1", "-mx"]),
            ["--sample", "--tick=1", "-m", "x"]
        );
    }

    #[test]
    fn everything_after_the_program_is_left_alone() {
        for words in [
            &["app.py", "-mx"][..],
            &["-m", "pkg", "-mx"],
            &["-fm", "pkg", "-cx"],
            &["--", "-mx"],
            &["-", "-mx"],
            &["-o"],
            &[],
        ] {
            assert_eq!(detached(words), words);
        }
    }
}
