//! Whole commands: what is printed where, and the exit status.

mod looks;
mod memray;

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use heapsight_capture::model::{Code, CodeKind, Counters, Domain, Node, Site, Totals};
use heapsight_capture::{End, Exit, Header, Tick, Writer};
use heapsight_report::Look;

use super::*;

/// What a command printed, and its status.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub status: i32,
    pub out: String,
    pub err: String,
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("UTF-8")
    }
}

/// Fails every write in the same way.
struct Broken(ErrorKind);

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn outcome_with(out: Box<dyn Write + Send>, words: &[&str], look: Look) -> (i32, String) {
    let context = Context {
        command: vec!["heapsight".into()],
        interpreter: &|| Err("there is no interpreter here".into()),
        python_version: &|| Some("3.13.1".into()),
    };
    let argv: Vec<OsString> = words.iter().map(OsString::from).collect();
    let err = Sink::default();
    let mut console = Console {
        out,
        err: Box::new(err.clone()),
        out_look: Box::new(move |color| Look {
            color: color.unwrap_or(look.color),
            ..look
        }),
        out_is_terminal: look.color,
        progress: progress::Progress { may_show: false },
    };
    let status = run_command(&context, &argv, &mut console);
    (status, err.text())
}

fn outcome(words: &[&str]) -> Outcome {
    outcome_in(Look::plain(100), words)
}

fn outcome_in(look: Look, words: &[&str]) -> Outcome {
    let out = Sink::default();
    let (status, err) = outcome_with(Box::new(out.clone()), words, look);
    Outcome {
        status,
        out: out.text(),
        err,
    }
}

/// A command that fails says why in one line, and prints nothing else.
fn refusal(words: &[&str]) -> (i32, String) {
    let outcome = outcome(words);
    assert_eq!(outcome.out, "", "{words:?}");
    let line = outcome
        .err
        .strip_prefix("heapsight: ")
        .and_then(|rest| rest.strip_suffix('\n'));
    let line = line.unwrap_or_else(|| panic!("{words:?}: {:?}", outcome.err));
    assert!(!line.contains('\n'), "{line}");
    (outcome.status, line.to_owned())
}

/// Writes a small capture of two ticks; gives its path.
pub(crate) fn write_capture(folder: &Path) -> PathBuf {
    let path = folder.join("small.heapsight");
    let header = Header {
        program: "app.py".into(),
        python_version: "3.13.1".into(),
        working_directory: "/home/ann".into(),
        ..Header::default()
    };
    let file = fs::File::create(&path).expect("writable");
    let mut writer = Writer::create(file, &header).expect("writable");
    let strings = ["/home/ann/app.py", "load", "main"].map(str::to_owned);
    let code = |name, first_line| Code {
        kind: CodeKind::Python,
        filename: 0,
        name,
        first_line,
    };
    let node = |parent, code, line| Node { parent, code, line };
    let allocated = |bytes| Counters {
        allocated_bytes: bytes,
        allocated_blocks: 10,
        peak_bytes: bytes,
        peak_blocks: 10,
        ..Counters::default()
    };
    let totals = |bytes| Totals {
        live_bytes: bytes,
        live_blocks: 10,
        peak_bytes: bytes,
        ..Totals::default()
    };
    let first = Tick {
        elapsed_ns: 100_000_000,
        totals: totals(70_000),
        new_strings: &strings,
        new_codes: &[code(1, 10), code(2, 20)],
        new_nodes: &[node(0, 0, 0), node(0, 1, 22), node(1, 0, 12)],
        new_sites: &[Site {
            node: 2,
            domain: Domain::OBJ,
        }],
        changed: &[(0, allocated(70_000))],
        ..Tick::default()
    };
    let second = Tick {
        elapsed_ns: 200_000_000,
        totals: totals(90_000),
        changed: &[(0, allocated(90_000))],
        ..Tick::default()
    };
    writer.tick(&first).expect("writable");
    writer.tick(&second).expect("writable");
    let end = End {
        elapsed_ns: 210_000_000,
        exit: Exit::Interpreter,
        totals: totals(90_000),
    };
    writer.finish(&end).expect("writable");
    path
}

#[test]
fn a_wrong_value_is_one_line_and_status_2() {
    for (option, value) in [
        ("--frames", "0"),
        ("--frames", "-3"),
        ("--frames", "abc"),
        ("--frames", "65536"),
        ("--tick", "0"),
        ("--tick", "-1"),
        ("--tick", "soon"),
        ("--number", "0"),
    ] {
        let (status, line) = refusal(&["run", option, value, "app.py"]);
        assert_eq!(status, 2, "{line}");
        assert!(
            line.starts_with(&format!("invalid value '{value}' for '{option} ")),
            "{line}"
        );
        assert!(line.contains(": give "), "{line}");
    }
    let (status, line) = refusal(&["run", "--sample=-1", "app.py"]);
    assert_eq!(status, 2);
    assert_eq!(
        line,
        "invalid value '-1' for '--sample[=<BYTES>]': give a number of bytes such as 4096, 512K or 1M"
    );
    let (status, line) = refusal(&["run", "--frames"]);
    assert_eq!(status, 2);
    assert_eq!(
        line,
        "a value is required for '--frames <N|all>' but none was supplied"
    );
    let (_, line) = refusal(&["top", "--metric", "dead", "x.heapsight"]);
    assert_eq!(
        line,
        "invalid value 'dead' for '--metric <METRIC>': give one of live, allocated, freed, peak, temporary"
    );
}

#[test]
fn a_wrong_command_line_is_one_line_and_status_2() {
    let cases: [(&[&str], &str); 8] = [
        (&[], "give a command or a capture: see 'heapsight --help'"),
        (
            &["run", "--bogus", "app.py"],
            "unexpected argument '--bogus' found",
        ),
        (
            &["run", "-f", "app.py"],
            "unexpected argument '-f' found: to overwrite a file, give --force",
        ),
        (
            &["flamegraph", "-f", "x.heapsight"],
            "unexpected argument '-f' found: to overwrite a file, give --force",
        ),
        (&["run", "-q"], "give a script to run, -m MODULE or -c CODE"),
        (
            &["run", "--top", "3", "-q", "x.py"],
            "the argument '--number <N>' cannot be used with '--quiet'",
        ),
        (
            &["top"],
            "the following required arguments were not provided: <FILE>...",
        ),
        (
            &["rnu", "app.py"],
            "no such file or command: rnu; see 'heapsight --help'",
        ),
    ];
    for (words, message) in cases {
        assert_eq!(refusal(words), (2, message.to_owned()), "{words:?}");
    }
}

#[test]
fn a_missing_script_is_named() {
    assert_eq!(
        refusal(&["run", "no/such.py"]),
        (2, "no such script: no/such.py".to_owned())
    );
}

#[test]
fn top_shows_one_recording_as_a_report() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_capture(folder.path());
    let path = path.to_str().expect("UTF-8");
    let one = outcome(&["top", path, "--metric", "live"]);
    assert_eq!((one.status, one.err.as_str()), (0, ""));
    insta::assert_snapshot!("top", one.out);
    assert_eq!(outcome(&[path, "--metric", "live"]).out, one.out);
}

#[test]
fn diff_and_stats_are_plain_text() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_capture(folder.path());
    let path = path.to_str().expect("UTF-8");
    let old = format!("{path}@150ms");
    for (name, words) in [
        ("diff", vec!["diff", &old, path]),
        (
            "diff_by_traceback",
            vec!["diff", &old, path, "--group-by", "traceback"],
        ),
        ("stats", vec!["stats", path]),
        ("stats_json", vec!["stats", "--json", path]),
        ("top_in_a_range", vec!["top", "--range", "150ms..end", path]),
    ] {
        let outcome = outcome(&words);
        assert_eq!((outcome.status, outcome.err.as_str()), (0, ""), "{words:?}");
        insta::assert_snapshot!(name, outcome.out.replace(path, "FILE"));
    }
}

#[test]
fn annotate_shows_lines_and_refuses_a_file_without_memory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_capture(folder.path());
    let path = path.to_str().expect("UTF-8");
    let shown = outcome(&["annotate", path]);
    assert_eq!((shown.status, shown.err.as_str()), (0, ""));
    insta::assert_snapshot!("annotate", shown.out);
    assert_eq!(outcome(&["annotate", path, "app.py"]).status, 0);
    assert_eq!(
        refusal(&["annotate", path, "other.py"]),
        (
            2,
            format!(
                "no line of other.py has memory: 'heapsight top -f {path}' lists the files that have"
            )
        )
    );
}

#[test]
fn every_painted_line_ends_its_own_colours() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_capture(folder.path());
    let path = path.to_str().expect("UTF-8");
    let old = format!("{path}@150ms");
    for words in [
        vec!["diff", "--color", &old, path],
        vec!["stats", "--color", path],
        vec!["top", "--color", path, path],
    ] {
        for line in outcome(&words).out.lines() {
            let opened = line.matches("\x1b[").count() - line.matches("\x1b[0m").count();
            assert_eq!(opened, line.matches("\x1b[0m").count(), "{line:?}");
        }
    }
}

#[test]
fn top_filters_and_groups() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_capture(folder.path());
    let path = path.to_str().expect("UTF-8");
    let rows = |words: &[&str]| {
        let words: Vec<&str> = [path, "--metric", "live"]
            .iter()
            .chain(words)
            .copied()
            .collect();
        let outcome = outcome(&words);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        let table = outcome
            .out
            .split("where\n")
            .nth(1)
            .unwrap_or_default()
            .to_owned();
        table.lines().filter(|line| line.contains('%')).count()
    };
    assert_eq!(rows(&[]), 1);
    assert_eq!(rows(&["--cumulative", "--group-by", "function"]), 2);
    assert_eq!(rows(&["-f"]), 1);
    assert_eq!(rows(&["-x", "*app.py"]), 0);
    assert_eq!(rows(&["-x", "*app.py:13"]), 1);
    assert_eq!(rows(&["-i", "*app.py:22"]), 0);
    assert_eq!(rows(&["-I", "*app.py:22"]), 1);
    assert_eq!(rows(&["-X", "*app.py:22"]), 0);
}

#[test]
fn colours_can_be_forced_and_forbidden() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_capture(folder.path());
    let path = path.to_str().expect("UTF-8");
    assert!(outcome(&[path, "--color"]).out.contains('\x1b'));
    assert!(
        !outcome(&[path, "--color", "--no-color"])
            .out
            .contains('\x1b')
    );
    assert!(
        outcome(&[path, "--no-color", "--color"])
            .out
            .contains('\x1b')
    );
}

#[test]
fn a_truncated_snapshot_is_shown_as_far_as_it_goes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_capture(folder.path());
    let bytes = fs::read(&path).expect("readable");
    fs::write(&path, &bytes[..bytes.len() - 5]).expect("writable");
    let outcome = outcome(&["top", path.to_str().expect("UTF-8")]);
    assert_eq!(outcome.status, 1);
    assert_eq!(
        outcome.out.matches("Warning: unreadable from byte").count(),
        1
    );
    assert!(outcome.out.contains("88 KiB"), "{}", outcome.out);
}

#[test]
fn what_is_not_a_capture_is_one_line_and_status_1() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("text.heapsight");
    fs::write(&path, "hello").expect("writable");
    let path = path.to_str().expect("UTF-8");
    assert_eq!(
        refusal(&["top", path]),
        (1, format!("{path}: not a heapsight capture"))
    );
}

#[test]
fn a_name_that_cannot_be_read_is_a_wrong_value_on_every_command() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_capture(folder.path());
    let path = path.to_str().expect("UTF-8");
    let (missing, output) = ("no/such.heapsight", "no/such/output");
    let commands: [&[&str]; 7] = [
        &["top", missing],
        &["annotate", missing],
        &["top", path, missing],
        &["stats", missing],
        &["diff", path, missing],
        &["export", "--to", "csv", missing],
        &["merge", "-o", output, missing],
    ];
    for words in commands {
        let expected = (2, format!("no such file: {missing}"));
        assert_eq!(refusal(words), expected, "{words:?}");
    }
    let folder = folder.path().to_str().expect("UTF-8");
    assert_eq!(refusal(&["top", folder]).0, 2);
}

#[test]
fn a_moment_that_is_none_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_capture(folder.path());
    let path = path.to_str().expect("UTF-8");
    let wrong = format!("{path}@soon");
    let advice = "give peak, end, or a time such as 12.5, 300ms, 2m or 1h after the @";
    assert_eq!(
        refusal(&["diff", &wrong, path]),
        (
            2,
            format!("no such file: {wrong}, and soon is no moment: {advice}")
        )
    );
}

#[test]
fn an_option_that_a_command_would_pass_over_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_capture(folder.path());
    let path = path.to_str().expect("UTF-8");
    let cases: [&[&str]; 9] = [
        &["stats", "--metric", "peak", path],
        &["stats", "--group-by", "function", path],
        &["stats", "--cumulative", path],
        &["export", "--to", "csv", "-o", "-", "-c", path],
        &[
            "export",
            "--to",
            "csv",
            "-o",
            "-",
            "--group-by",
            "address",
            path,
        ],
        &[
            "export",
            "--to",
            "json",
            "-o",
            "-",
            "--group-by",
            "function",
            path,
        ],
        &[
            "export", "--to", "pprof", "-o", "-", "--metric", "live", "--metric", "peak", path,
        ],
        &["diff", "--group-by", "address", path, path],
        &["merge", "-o", "no/such", "--group-by", "address", path],
    ];
    for words in cases {
        assert_eq!(refusal(words).0, 2, "{words:?}");
    }
}

#[test]
fn one_bad_file_among_several_shows_none() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_capture(folder.path());
    refusal(&["top", path.to_str().expect("UTF-8"), "no/such.heapsight"]);
}

#[test]
fn a_reader_who_leaves_is_no_failure_but_a_full_disk_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_capture(folder.path());
    let words = ["top", path.to_str().expect("UTF-8")];
    let look = Look::plain(100);
    let (status, err) = outcome_with(Box::new(Broken(ErrorKind::BrokenPipe)), &words, look);
    assert_eq!((status, err.as_str()), (0, ""));
    let (status, err) = outcome_with(Box::new(Broken(ErrorKind::StorageFull)), &words, look);
    assert_eq!(status, 74);
    assert!(
        err.starts_with("heapsight: cannot write the report: "),
        "{err}"
    );
}
