//! Every option, once: parsing, help and error messages come from here.

mod annotate;
mod attached;
mod diff;
mod export;
mod flamegraph;
mod live;
mod merge;
mod run;
mod select;
mod show;
mod stats;
mod top;
mod tree;
mod values;

use std::ffi::{OsStr, OsString};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub(crate) use annotate::AnnotateOptions;
pub(crate) use diff::DiffOptions;
pub(crate) use export::ExportOptions;
pub(crate) use flamegraph::FlamegraphOptions;
pub(crate) use live::LiveOptions;
pub(crate) use merge::MergeOptions;
pub(crate) use run::RunOptions;
pub(crate) use show::ShowOptions;
pub(crate) use stats::StatsOptions;
pub(crate) use top::TopOptions;
pub(crate) use tree::TreeOptions;
pub(crate) use values::Frames;

/// Longer lines of prose are hard to read.
const WIDEST_HELP: usize = 100;

/// Show where the memory of a Python program goes, by the call path that allocated it.
#[derive(Debug, Parser)]
#[command(
    name = "heapsight",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "'heapsight FILE...' is short for 'heapsight top FILE...'."
)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a Python program and record where its memory goes
    Run(RunOptions),
    /// Watch a program while it is being recorded
    Live(LiveOptions),
    /// List the call sites that hold the most memory
    Top(TopOptions),
    /// Browse the call paths of a capture as a tree
    Tree(TreeOptions),
    /// Show source code with the memory of each line
    Annotate(AnnotateOptions),
    /// Print the totals and the settings of captures
    Stats(StatsOptions),
    /// Show what changed between two captures, or between two moments of one
    Diff(DiffOptions),
    /// Write a capture as an HTML page with timeline, flame graph, call sites and source
    Flamegraph(FlamegraphOptions),
    /// Combine the captures of several processes into one
    Merge(MergeOptions),
    /// Export a capture to a format that other programs read
    Export(ExportOptions),
}

impl Arguments {
    /// Parses `argv`, which does not have the program's name. The error is also how help and version are asked for.
    /// Help is wrapped to `width` columns.
    pub(crate) fn parse(
        argv: &[OsString],
        python_version: &dyn Fn() -> Option<String>,
        width: usize,
    ) -> Result<Self, clap::Error> {
        let mut command = Self::command().term_width(width.min(WIDEST_HELP));
        if argv.iter().any(|word| word == "-V" || word == "--version")
            && let Some(python) = python_version()
        {
            command = command.version(format!("{} (Python {python})", env!("CARGO_PKG_VERSION")));
        }
        let names_command =
            |word: &OsStr| word == "help" || command.find_subcommand(word).is_some();
        // `python -m heapsight --traceback FILE` is `heapsight top --traceback FILE`.
        let is_own_option = |word: &OsStr| {
            ["-h", "--help", "-V", "--version"]
                .iter()
                .any(|own| word == *own)
        };
        let is_for_top = argv
            .first()
            .is_some_and(|word| !names_command(word) && !is_own_option(word));
        let mut words = vec![OsString::from("heapsight")];
        if is_for_top {
            words.push("top".into());
        }
        match (argv.split_first(), command.find_subcommand("run")) {
            (Some((first, rest)), Some(run)) if first == "run" => {
                words.push(first.clone());
                words.extend(attached::detach(run, rest));
            }
            _ => words.extend_from_slice(argv),
        }
        let matches = command.try_get_matches_from_mut(words)?;
        Self::from_arg_matches(&matches)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        Arguments::command().debug_assert();
    }

    fn help(words: &[&str]) -> String {
        let argv: Vec<OsString> = words.iter().map(OsString::from).collect();
        Arguments::parse(&argv, &|| Some("3.13.1".into()), 100)
            .expect_err("help was asked for")
            .render()
            .to_string()
    }

    #[test]
    fn help_texts() {
        insta::assert_snapshot!("help", help(&["--help"]));
        insta::assert_snapshot!("help_run", help(&["run", "--help"]));
        insta::assert_snapshot!("help_run_short", help(&["run", "-h"]));
        for command in [
            "live",
            "top",
            "tree",
            "annotate",
            "stats",
            "diff",
            "flamegraph",
            "merge",
            "export",
        ] {
            insta::assert_snapshot!(format!("help_{command}"), help(&[command, "--help"]));
        }
        assert_eq!(help(&["help", "run"]), help(&["run", "--help"]));
    }

    /// Pairs of the short and the long name of an option, of every command, with the command.
    fn letters_with_names() -> Vec<(char, String, String)> {
        let mut whole = Arguments::command();
        whole.build();
        let mut pairs = Vec::new();
        for command in std::iter::once(&whole).chain(whole.get_subcommands()) {
            for argument in command.get_arguments() {
                let letters = argument.get_short_and_visible_aliases().unwrap_or_default();
                let hidden = argument.get_all_short_aliases().unwrap_or_default();
                let letters: BTreeSet<char> = letters.into_iter().chain(hidden).collect();
                // An option that has only a letter is known by its field.
                let name = argument.get_long().unwrap_or(argument.get_id().as_str());
                for letter in letters {
                    pairs.push((letter, name.to_owned(), command.get_name().to_owned()));
                }
            }
        }
        pairs
    }

    #[test]
    fn a_letter_means_the_same_in_every_command() {
        // `-c CODE` and `-m MODULE` are the interpreter's own, after `run` as after `python`.
        let is_of_python =
            |name: &str, command: &str| command == "run" && ["code", "module"].contains(&name);
        let mut names: BTreeMap<char, BTreeSet<String>> = BTreeMap::new();
        for (letter, name, command) in letters_with_names() {
            if !is_of_python(&name, &command) {
                names.entry(letter).or_default().insert(name);
            }
        }
        assert!(names.len() > 15, "{names:?}");
        names.retain(|_, names| names.len() > 1);
        assert!(names.is_empty(), "one letter, several meanings: {names:?}");
    }

    #[test]
    fn an_option_has_the_same_letter_in_every_command() {
        let pairs = letters_with_names();
        let mut whole = Arguments::command();
        whole.build();
        for command in whole.get_subcommands() {
            for argument in command.get_arguments() {
                let name = argument.get_long().unwrap_or(argument.get_id().as_str());
                let elsewhere = pairs.iter().find(|(_, long, _)| long == name);
                let letter = elsewhere.map(|(letter, ..)| *letter);
                assert_eq!(
                    argument.get_short(),
                    letter,
                    "{name} of {}",
                    command.get_name()
                );
            }
        }
    }

    #[test]
    fn the_version_names_the_interpreter() {
        let expected = format!("heapsight {} (Python 3.13.1)\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(help(&["--version"]), expected);
        assert_eq!(help(&["-V"]), expected);
    }

    #[test]
    fn files_alone_are_shown() {
        let argv = ["a.heapsight", "b.heapsight", "-n", "3"].map(OsString::from);
        let arguments = Arguments::parse(&argv, &|| None, 100).expect("valid");
        let Command::Top(options) = arguments.command else {
            panic!("{arguments:?}");
        };
        assert_eq!(options.files.len(), 2);
        assert_eq!(options.show.number, 3);
    }

    #[test]
    fn options_before_files_alone_are_those_of_top() {
        let argv = ["--traceback", "-n", "3", "a.heapsight"].map(OsString::from);
        let arguments = Arguments::parse(&argv, &|| None, 100).expect("valid");
        let Command::Top(options) = arguments.command else {
            panic!("{arguments:?}");
        };
        assert_eq!(options.files.len(), 1);
        assert_eq!(options.show.number, 3);
    }
}
