//! What every command prints, as it is seen: plain and in colour, in a narrow and in a wide terminal.

use std::path::Path;

use heapsight_capture::{Block, Note};

use super::*;

const SECOND: u64 = 1_000_000_000;
const LONG_NAME: &str =
    "/srv/ann/warehouse/lib/python3.13/site-packages/inventory/storage/columns.py";

/// One call path, leaf last, with bytes and blocks of its two ticks.
struct Growth {
    path: &'static [u32],
    bytes: [u64; 2],
    blocks: [u64; 2],
    domain: Domain,
}

const GROWTH: [Growth; 4] = [
    Growth {
        path: &[1, 2, 3],
        bytes: [40_000_000, 72_000_000],
        blocks: [40, 72],
        domain: Domain::OBJ,
    },
    Growth {
        path: &[1, 2],
        bytes: [6_000_000, 2_500_000],
        blocks: [90_000, 30_000],
        domain: Domain::MEM,
    },
    Growth {
        path: &[1, 4],
        bytes: [0, 700_000],
        blocks: [0, 1],
        domain: Domain::RAW,
    },
    Growth {
        path: &[],
        bytes: [50, 50],
        blocks: [3, 3],
        domain: Domain::OBJ,
    },
];

/// Names of files and functions, and the line that runs in each.
const CODES: [(&str, &str, u32); 4] = [
    ("/srv/ann/app.py", "<module>", 91),
    (
        "/srv/ann/warehouse/lib/python3.13/site-packages/inventory/load.py",
        "Loader.read_all",
        40,
    ),
    (
        LONG_NAME,
        "ColumnStore.append_many.<locals>.chunks_of_the_same_type",
        1207,
    ),
    ("/srv/ann/überblick/看板.py", "zeige", 7),
];

/// A recording of two ticks, or snapshots of the same process with their blocks.
fn write(path: &Path, pid: u32, snapshot: Option<usize>) {
    let header = Header {
        program: "app.py".into(),
        python_version: "3.13.1".into(),
        working_directory: "/srv/ann".into(),
        pid,
        start_unix_ns: 1_700_000_000 * SECOND,
        tick_ms: if snapshot.is_some() { 0 } else { 100 },
        ..Header::default()
    };
    let file = fs::File::create(path).expect("writable");
    let mut writer = Writer::create(file, &header).expect("writable");
    let mut strings = Vec::new();
    let mut codes = Vec::new();
    let mut nodes = vec![Node {
        parent: 0,
        code: 0,
        line: 0,
    }];
    for (index, (filename, name, line)) in (0..).zip(CODES) {
        strings.extend([filename.to_owned(), name.to_owned()]);
        codes.push(Code {
            kind: CodeKind::Python,
            filename: 2 * index,
            name: 2 * index + 1,
            first_line: 1,
        });
        // Each is called by the one before, but for the last, which the first calls.
        let parent = if index == 3 { 1 } else { index };
        nodes.push(Node {
            parent,
            code: index,
            line,
        });
    }
    let sites: Vec<Site> = GROWTH
        .iter()
        .map(|growth| Site {
            node: growth.path.last().copied().unwrap_or(0),
            domain: growth.domain,
        })
        .collect();
    let ticks = snapshot.map_or(0..2, |only| only..only + 1);
    let first = ticks.start;
    for tick in ticks {
        let counters = |growth: &Growth| {
            let most = |figures: [u64; 2]| {
                if tick == 0 {
                    figures[0]
                } else {
                    figures[0] + figures[1]
                }
            };
            Counters {
                allocated_bytes: most(growth.bytes),
                allocated_blocks: most(growth.blocks),
                freed_bytes: most(growth.bytes) - growth.bytes[tick],
                freed_blocks: most(growth.blocks) - growth.blocks[tick],
                temporary_bytes: growth.bytes[tick] / 100,
                temporary_blocks: growth.blocks[tick] / 100,
                peak_bytes: growth.bytes[tick],
                peak_blocks: growth.blocks[tick],
            }
        };
        let changed: Vec<(u32, Counters)> = (0..).zip(GROWTH.iter().map(counters)).collect();
        let live_bytes = changed
            .iter()
            .map(|(_, counters)| counters.live_bytes())
            .sum();
        writer
            .tick(&Tick {
                elapsed_ns: (tick as u64 + 1) * 90 * SECOND,
                rss_bytes: 100_000_000,
                totals: Totals {
                    live_bytes,
                    live_blocks: changed
                        .iter()
                        .map(|(_, counters)| counters.live_blocks())
                        .sum(),
                    peak_bytes: live_bytes,
                    tracer_bytes: 300_000,
                    ..Totals::default()
                },
                new_strings: if tick == first { &strings } else { &[] },
                new_codes: if tick == first { &codes } else { &[] },
                new_nodes: if tick == first { &nodes } else { &[] },
                new_sites: if tick == first { &sites } else { &[] },
                changed: &changed,
                ..Tick::default()
            })
            .expect("writable");
    }
    if let Some(snapshot) = snapshot {
        let block = |address, size, site| Block {
            address,
            size,
            site,
        };
        let big = block(0x7f00_1234_5000, [1_000_000, 4_000_000][snapshot], 0);
        let blocks = [
            block(0x55d0_0000_1000, 48, 1),
            big,
            block(0x7f00_2000_0000, 70_000, 2),
        ];
        writer.blocks(&blocks[snapshot..]).expect("writable");
        let note = format!(
            concat!(
                r#"{{"rss":100000000,"vms":null,"metrics":[{{"name":"queue","value":{},"format":"int"}},"#,
                r#"{{"name":"process_memory.rss","value":100000000,"format":"size"}}]}}"#
            ),
            12 + snapshot
        );
        writer
            .note(&Note {
                name: "snapshot".into(),
                text: note,
            })
            .expect("writable");
    }
    let end = End {
        elapsed_ns: 200 * SECOND,
        exit: Exit::Interpreter,
        totals: Totals::default(),
    };
    writer.finish(&end).expect("writable");
}

/// What a command prints in each look, with streams told apart and times, which are local, left out.
fn in_every_look(files: &[(&str, u32, Option<usize>)], words: &[&str]) -> String {
    let mut text = String::new();
    for (color, width) in [(false, 80), (false, 200), (true, 80), (true, 200)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, pid, snapshot) in files {
            write(&folder.path().join(name), *pid, *snapshot);
        }
        let prefix = format!("{}/", folder.path().display());
        let words: Vec<String> = words
            .iter()
            .map(|word| word.replace("FOLDER/", &prefix))
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let outcome = outcome_in(
            Look {
                color,
                ..Look::plain(width)
            },
            &words,
        );
        assert_eq!(outcome.status, 0, "{words:?}: {}", outcome.err);
        let kind = if color { "colour" } else { "plain" };
        let shown = |stream: &str| without_times(&stream.replace(&prefix, "").replace('\x1b', "␛"));
        text += &format!("=== {kind}, {width} columns\n{}", shown(&outcome.out));
        if !outcome.err.is_empty() {
            text += &format!("=== on standard error\n{}", shown(&outcome.err));
        }
        for line in outcome.out.lines() {
            let opened = line.matches("\x1b[").count() - line.matches("\x1b[0m").count();
            assert_eq!(
                opened,
                line.matches("\x1b[0m").count(),
                "a line must end its own colours: {line:?}"
            );
        }
    }
    text
}

/// Replaces every local time, which depends on where the test runs.
fn without_times(text: &str) -> String {
    let is_time = |word: &str| {
        let shape: String = word
            .chars()
            .map(|c| if c.is_ascii_digit() { '9' } else { c })
            .collect();
        shape == "9999-99-99 99:99:99"
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match rest.get(..19) {
            Some(word) if is_time(word) => {
                out += "YYYY-MM-DD hh:mm:ss";
                19
            }
            _ => {
                out.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    out
}

const RUN: (&str, u32, Option<usize>) = ("run.heapsight", 7, None);
const CHILD: (&str, u32, Option<usize>) = ("run-8.heapsight", 8, None);
const SNAPSHOTS: [(&str, u32, Option<usize>); 2] = [
    ("0001.heapsight", 7, Some(0)),
    ("0002.heapsight", 7, Some(1)),
];

#[test]
fn top_of_a_recording() {
    insta::assert_snapshot!(in_every_look(&[RUN], &["top", "FOLDER/run.heapsight"]));
}

#[test]
fn top_of_snapshots() {
    let words = [
        "top",
        "-P",
        "2",
        "FOLDER/0001.heapsight",
        "FOLDER/0002.heapsight",
    ];
    insta::assert_snapshot!(in_every_look(&SNAPSHOTS, &words));
}

#[test]
fn top_by_address() {
    let words = [
        "top",
        "-a",
        "FOLDER/0001.heapsight",
        "FOLDER/0002.heapsight",
    ];
    insta::assert_snapshot!(in_every_look(&SNAPSHOTS, &words));
}

#[test]
fn biggest_blocks_and_one_of_them() {
    let one = in_every_look(
        &SNAPSHOTS,
        &["top", "-b", "0x7f0012345000", "FOLDER/0001.heapsight"],
    );
    let biggest = in_every_look(
        &SNAPSHOTS,
        &["top", "-t", "-n", "2", "FOLDER/0002.heapsight"],
    );
    insta::assert_snapshot!(one + &biggest);
}

#[test]
fn diff_of_two_moments() {
    let words = ["diff", "FOLDER/run.heapsight@100s", "FOLDER/run.heapsight"];
    let by_line = in_every_look(&[RUN], &words);
    let by_traceback = in_every_look(&[RUN], &[&words[..], &["--group-by", "traceback"]].concat());
    insta::assert_snapshot!(by_line + &by_traceback);
}

#[test]
fn stats_of_a_recording() {
    insta::assert_snapshot!(in_every_look(&[RUN], &["stats", "FOLDER/run.heapsight"]));
}

#[test]
fn what_merge_says() {
    let words = [
        "merge",
        "-n",
        "2",
        "-o",
        "FOLDER/all.heapsight",
        "FOLDER/run.heapsight",
    ];
    let good = in_every_look(
        &[RUN, CHILD],
        &[&words[..], &["FOLDER/run-8.heapsight"]].concat(),
    );
    let twice = in_every_look(
        &[RUN],
        &[&words[..], &["FOLDER/run.heapsight", "--quiet"]].concat(),
    );
    insta::assert_snapshot!(good + &twice);
}

#[test]
fn summary_of_a_run() {
    let mut text = String::new();
    for (color, width) in [(false, 80), (false, 200), (true, 80), (true, 200)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("run.heapsight");
        write(&path, 7, None);
        let look = Look {
            color,
            ..Look::plain(width)
        };
        let shown = summary::tests::text_of(&path, &look);
        let kind = if color { "colour" } else { "plain" };
        text += &format!(
            "=== {kind}, {width} columns\n{}",
            shown.replace('\x1b', "␛")
        );
    }
    insta::assert_snapshot!(text);
}
