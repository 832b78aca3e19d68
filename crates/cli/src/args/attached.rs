//! `-mMODULE` and `-cCODE`, as Python has them too, and `--sample BYTES`.
//!
//! The parser gives a program's arguments to `-m` and `-c` only where the module or code is a word of its own, so it is
//! made one. And it takes what follows `--sample` for the program, for the number may be left out: a word that begins
//! with a digit is joined to it, unless it is a file.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use clap::{Arg, Command};

/// The words of `heapsight run`, with the number of `--sample` joined to it, and the word that carries the program
/// split in two if need be.
pub(super) fn detach(run: &Command, words: &[OsString]) -> Vec<OsString> {
    let mut detached = words.to_vec();
    let mut index = 0;
    loop {
        let word = detached.get(index).map(|word| Word::of(run, word));
        match word {
            None | Some(Word::NoOption | Word::Program { rest_at: None }) => return detached,
            Some(Word::Program { rest_at: Some(at) }) => {
                let (option, program) = detached[index].as_bytes().split_at(at);
                let parts = [option, program].map(|part| OsString::from_vec(part.to_vec()));
                detached.splice(index..=index, parts);
                return detached;
            }
            Some(Word::Option { value_follows }) => {
                if detached[index] == "--sample" {
                    join_number(&mut detached, index);
                }
                index += if value_follows { 2 } else { 1 };
            }
        }
    }
}

/// What a word of the command line is, given that no program was named before it.
enum Word {
    /// The program itself, or the end of the options.
    NoOption,
    /// An option.
    Option {
        /// Whether the next word is its value.
        value_follows: bool,
    },
    /// `-m` or `-c`, maybe after other letters.
    Program {
        /// Where the module or the code begins, if it is in the same word.
        rest_at: Option<usize>,
    },
}

impl Word {
    fn of(run: &Command, word: &OsStr) -> Self {
        let bytes = word.as_bytes();
        if word == "--" || word == "-" || !bytes.starts_with(b"-") {
            return Self::NoOption;
        }
        if let Some(long) = bytes.strip_prefix(b"--") {
            let value_follows = takes_value(run, |arg| {
                let aliases = arg.get_all_aliases().unwrap_or_default();
                let mut names = arg.get_long().into_iter().chain(aliases);
                names.any(|name| name.as_bytes() == long)
            });
            return Self::Option { value_follows };
        }
        for (at, letter) in bytes.iter().enumerate().skip(1) {
            let is_last = at + 1 == bytes.len();
            if matches!(letter, b'm' | b'c') {
                let rest_at = (!is_last).then_some(at + 1);
                return Self::Program { rest_at };
            }
            if takes_value(run, |arg| arg.get_short() == Some(char::from(*letter))) {
                return Self::Option {
                    value_follows: is_last,
                };
            }
        }
        Self::Option {
            value_follows: false,
        }
    }
}

/// Makes `--sample` and the number after it one word. What begins with a digit is meant as a number unless there is
/// such a file: a script.
fn join_number(words: &mut Vec<OsString>, index: usize) {
    let is_number = |word: &OsString| {
        word.as_bytes().first().is_some_and(u8::is_ascii_digit) && !Path::new(word).exists()
    };
    if let Some(number) = words.get(index + 1).filter(|word| is_number(word)) {
        let mut both = words[index].clone();
        both.push("=");
        both.push(number);
        words.splice(index..=index + 1, [both]);
    }
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
        assert_eq!(
            detached(&["--top", "3", "-n", "-mx", "-mx"]),
            ["--top", "3", "-n", "-mx", "-m", "x"]
        );
    }

    #[test]
    fn the_number_of_a_sample_may_be_a_word_of_its_own() {
        assert_eq!(
            detached(&["-q", "--sample", "512K", "app.py", "--sample", "7"]),
            ["-q", "--sample=512K", "app.py", "--sample", "7"]
        );
        assert_eq!(
            detached(&["--sample", "64K", "-mpkg"]),
            ["--sample=64K", "-m", "pkg"]
        );
        assert_eq!(
            detached(&["--sample", "0x", "app.py"]),
            ["--sample=0x", "app.py"],
            "refused by name"
        );
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = folder.path().join("1st.py");
        std::fs::write(&script, "").expect("writable");
        for words in [
            &["--sample", "app.py", "512K"][..],
            &["--sample", script.to_str().expect("UTF-8")],
            &["--sample"],
            &["-o", "--sample", "512K"],
        ] {
            assert_eq!(detached(words), words);
        }
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
