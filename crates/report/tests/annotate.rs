//! Annotated source as it is seen, pinned as text.

mod support;

use std::path::{Path, PathBuf};

use heapsight_analysis::recording::Reached;
use heapsight_analysis::{Imports, Metric};
use heapsight_capture::Capture;
use heapsight_capture::model::Mode;
use heapsight_report::{Annotate, Look, NothingThere, annotate};
use support::{Tracer, example, write_source};

const EXACT: Mode = Mode::Exact { frame_limit: None };

fn what(file: Option<&str>) -> Annotate {
    Annotate {
        file: file.map(PathBuf::from),
        count: 2,
        all: false,
        cumulative: false,
        moment: Reached::End,
        imports: Imports::for_people(EXACT, false),
        is_filtered: false,
    }
}

fn text(what: &Annotate, look: &Look) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_source(folder.path());
    annotate(&example(EXACT, folder.path()), what, look).expect("there is memory")
}

#[test]
fn files_with_most_memory_come_first() {
    insta::assert_snapshot!(text(&what(None), &Look::plain(80)));
}

#[test]
fn in_colour_every_line_ends_its_own() {
    let look = Look {
        color: true,
        ..Look::plain(120)
    };
    let text = text(&what(Some("index_stdlib.py")), &look);
    insta::assert_snapshot!(text.replace('\x1b', "␛"));
    for line in text.lines() {
        let opened = line.matches("\x1b[").count() - line.matches("\x1b[0m").count();
        assert_eq!(opened, line.matches("\x1b[0m").count(), "{line:?}");
    }
}

#[test]
fn cumulative_figures_are_on_every_line_of_the_path() {
    let cumulative = Annotate {
        cumulative: true,
        ..what(Some("examples/index_stdlib.py"))
    };
    insta::assert_snapshot!(text(&cumulative, &Look::plain(100)));
}

#[test]
fn with_all_lines_the_file_is_there_whole() {
    let all = Annotate {
        all: true,
        ..what(Some("index_stdlib.py"))
    };
    let all = text(&all, &Look::plain(80));
    let numbers = all.lines().filter(|line| {
        let mut words = line.split_whitespace();
        words.any(|word| word.parse::<u32>().is_ok_and(|line| line <= 63))
    });
    assert!(numbers.count() >= 63, "{all}");
    assert!(!all.contains(" lines\n"), "{all}");
}

#[test]
fn without_the_source_that_ran_one_line_says_why() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let of = |capture: &Capture, file| {
        annotate(capture, &what(Some(file)), &Look::plain(100)).expect("there is memory")
    };
    let missing = example(EXACT, folder.path());
    let shown = of(&missing, "index_stdlib.py");
    assert!(
        shown.contains("\n  The source cannot be read here: only line numbers are shown.\n"),
        "{shown}"
    );
    assert!(shown.contains("14 MiB"), "{shown}");
    write_source(folder.path());
    let mut changed = missing.clone();
    changed.header.start_unix_ns = 1;
    let shown = of(&changed, "index_stdlib.py");
    assert!(
        shown.contains("  The source was changed after the recording: "),
        "{shown}"
    );
    let script = folder.path().join("examples/index_stdlib.py");
    std::fs::write(&script, "import ast\n").expect("writable");
    let shown = of(&missing, "index_stdlib.py");
    assert!(
        shown.contains("  The source has fewer lines than the one that ran: "),
        "{shown}"
    );
}

#[test]
fn a_recording_of_another_machine_is_read_with_the_source_that_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_source(folder.path());
    let capture = example(EXACT, Path::new("/nonexistent/app"));
    let here = folder.path().join("examples/index_stdlib.py");
    let shown = annotate(&capture, &what(here.to_str()), &Look::plain(100)).expect("memory");
    assert!(shown.contains("self.symbols[name] = Symbol("), "{shown}");
}

#[test]
fn a_file_without_memory_is_refused() {
    let capture = example(EXACT, Path::new("/nonexistent/app"));
    let refused = annotate(&capture, &what(Some("other.py")), &Look::plain(100));
    assert_eq!(refused, Err(NothingThere));
}

/// What a program calls its files, and what it writes into them, is text.
#[test]
fn names_and_lines_that_others_chose_reach_the_terminal_as_text_only() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let name = "a\x1b[31m\u{202e}\n.py";
    let line = format!("x = '\x1b]0;owned\x07\u{2066}'\t{}", "y".repeat(10_000));
    std::fs::write(folder.path().join(name), line).expect("writable");
    let mut tracer = Tracer::new();
    let node = tracer.path(&[(name, 1, "f")]);
    tracer.site(node, (1000, 1), (1000, 1));
    let capture = tracer.capture(EXACT, folder.path());
    let shown = annotate(&capture, &what(None), &Look::plain(80)).expect("memory");
    assert!(shown.contains(r"a\u{1b}[31m\u{202e}\u{a}.py"), "{shown}");
    assert!(
        shown.contains(r"x = '\u{1b}]0;owned\u{7}\u{2066}'"),
        "{shown}"
    );
    let is_harmless = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}' && c != '\u{2066}';
    assert!(shown.chars().all(is_harmless), "{shown:?}");
    assert!(
        shown.lines().all(|line| line.chars().count() <= 80),
        "{shown}"
    );
}

/// The judge is the table of call sites, which shares nothing with this report but the grouping.
#[test]
fn the_lines_of_all_files_have_what_the_call_sites_have() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let capture = example(EXACT, folder.path());
    let everything = Annotate {
        count: usize::MAX,
        imports: Imports::Whole,
        ..what(None)
    };
    let shown = annotate(&capture, &everything, &Look::plain(100)).expect("memory");
    let mut sites: Vec<(String, u64)> = Vec::new();
    for (site, counters) in capture.tables.sites.iter().zip(&capture.tables.counters) {
        let Some(frame) = heapsight_analysis::path::frame(&capture.tables, site.node) else {
            continue;
        };
        let key = format!("{}:{}", frame.filename, frame.line);
        let bytes = Metric::Live.of(counters).bytes;
        match sites.iter_mut().find(|(known, _)| *known == key) {
            Some((_, sum)) => *sum += bytes,
            None => sites.push((key, bytes)),
        }
    }
    let figures = shown.lines().filter(|line| {
        line.starts_with("  ") && line.trim().starts_with(|c: char| c.is_ascii_digit())
    });
    assert_eq!(figures.count(), sites.len(), "{shown}");
    for (key, bytes) in sites {
        let line = key.rsplit(':').next().expect("a line");
        let size = heapsight_report::format_size(bytes);
        let is_there = shown.lines().any(|shown| {
            let shown = shown.trim();
            shown.starts_with(&size) && shown.split("  ").any(|word| word.trim() == line)
        });
        assert!(is_there, "{key} {size}: {shown}");
    }
}
