//! The report as it is seen, pinned as text.

mod support;

use heapsight_analysis::recording::{Half, Reached};
use heapsight_analysis::{GroupBy, Metric, Query};
use heapsight_capture::model::{Counters, Mode};
use heapsight_capture::{Capture, Damage, TickSummary, Truncation};
use heapsight_report::{DiffSelection, Look, Selection, Side, Statistics, diff, summary};
use support::{Tracer, example, write_source};

const EXACT: Mode = Mode::Exact { frame_limit: None };

/// The example's report; its temporary folder is kept alive while the source is read.
fn report(
    mode: Mode,
    selection: &Selection,
    look: &Look,
    change: impl FnOnce(&mut Capture),
) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_source(folder.path());
    let mut capture = example(mode, folder.path());
    change(&mut capture);
    summary(&capture, selection, None, look)
}

fn plain(width: usize) -> String {
    report(EXACT, &Selection::default(), &Look::plain(width), |_| {})
}

/// Escape characters made visible.
fn visible(text: &str) -> String {
    text.replace('\x1b', "␛")
}

#[test]
fn plain_at_80_columns() {
    insta::assert_snapshot!(plain(80));
}

#[test]
fn plain_at_100_columns() {
    insta::assert_snapshot!(plain(100));
}

#[test]
fn plain_at_200_columns() {
    insta::assert_snapshot!(plain(200));
}

#[test]
fn colour_at_80_columns() {
    let look = Look {
        color: true,
        ..Look::plain(80)
    };
    insta::assert_snapshot!(visible(&report(
        EXACT,
        &Selection::default(),
        &look,
        |_| {}
    )));
}

#[test]
fn colour_at_200_columns() {
    let look = Look {
        color: true,
        ..Look::plain(200)
    };
    insta::assert_snapshot!(visible(&report(
        EXACT,
        &Selection::default(),
        &look,
        |_| {}
    )));
}

#[test]
fn ascii_where_nothing_else_can_be_shown() {
    let look = Look {
        unicode: false,
        ..Look::plain(80)
    };
    let text = report(EXACT, &Selection::default(), &look, |_| {});
    assert!(text.is_ascii(), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn sampled_figures_carry_their_uncertainty() {
    let mode = Mode::Sampled {
        mean_bytes: 512 << 10,
    };
    let selection = Selection {
        count: 4,
        ..Selection::default()
    };
    insta::assert_snapshot!(report(mode, &selection, &Look::plain(100), |_| {}));
}

#[test]
fn other_groupings_and_metrics() {
    let mut text = String::new();
    for (group_by, cumulative, metric) in [
        (GroupBy::Function, true, Metric::Peak),
        (GroupBy::Filename, false, Metric::Allocated),
        (GroupBy::Traceback, false, Metric::Live),
        (GroupBy::Domain, false, Metric::Freed),
        (GroupBy::Thread, false, Metric::Temporary),
    ] {
        let selection = Selection {
            count: 3,
            group_by,
            cumulative,
            metrics: vec![metric],
            ..Selection::default()
        };
        let report = report(EXACT, &selection, &Look::plain(100), |_| {});
        let table = report.split("\n\n").last().expect("the table comes last");
        text += &format!("{}\n\n", table.trim_end());
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_limits_the_figures_is_said_first() {
    let selection = Selection {
        metrics: Vec::new(),
        ..Selection::default()
    };
    let look = Look::plain(100);
    let head = |change: fn(&mut Capture)| {
        let report = report(EXACT, &selection, &look, change);
        report
            .split("\n\n")
            .next()
            .expect("the head comes first")
            .to_owned()
    };
    insta::assert_snapshot!(
        [
            head(|capture| capture.header.mode = Mode::Exact {
                frame_limit: Some(1)
            }),
            head(|capture| {
                for point in &mut capture.timeline {
                    point.lost_events = 12;
                }
            }),
            head(|capture| {
                for point in &mut capture.timeline {
                    point.bounds.cuts = 1_234;
                }
            }),
            head(|capture| {
                for point in &mut capture.timeline {
                    point.bounds.folded_bytes = 7 << 20;
                }
            }),
            head(|capture| capture.end = None),
            head(|capture| {
                capture.end = None;
                capture.truncation = Some(Truncation {
                    offset: 12_345,
                    damage: Damage::CutShort,
                });
            }),
        ]
        .join("\n\n")
    );
}

#[test]
fn a_capture_without_any_memory_is_reported_all_the_same() {
    insta::assert_snapshot!(summary(
        &Capture::default(),
        &Selection::default(),
        None,
        &Look::plain(80)
    ));
}

#[test]
fn threads_are_named_when_they_were_kept_apart() {
    let mut tracer = Tracer::new();
    for (name, bytes) in [("MainThread", 9000), ("worker-1", 7000)] {
        let thread = tracer.thread(name);
        let node = tracer.path_in(
            thread,
            &[("/a/app.py", 9, "serve"), ("/a/app.py", 3, "load")],
        );
        tracer.site(node, (bytes, 5), (bytes, 5));
    }
    let capture = tracer.capture(EXACT, std::path::Path::new("/a"));
    let table = |group_by| {
        let selection = Selection {
            group_by,
            metrics: vec![Metric::Live],
            ..Selection::default()
        };
        let report = summary(&capture, &selection, None, &Look::plain(80));
        report
            .split("\n\n")
            .last()
            .expect("the table comes last")
            .to_owned()
    };
    insta::assert_snapshot!(table(GroupBy::Line) + "\n" + &table(GroupBy::Thread));
}

#[test]
fn absurd_figures_do_not_stop_the_report() {
    let extremes = Counters {
        allocated_bytes: u64::MAX,
        allocated_blocks: u64::MAX,
        freed_bytes: 0,
        freed_blocks: u64::MAX,
        temporary_bytes: u64::MAX,
        temporary_blocks: 1,
        peak_bytes: u64::MAX,
        peak_blocks: 0,
    };
    let mode = Mode::Sampled {
        mean_bytes: u64::MAX,
    };
    let selection = Selection {
        metrics: Metric::ALL.to_vec(),
        cumulative: true,
        ..Selection::default()
    };
    let text = report(mode, &selection, &Look::plain(100), |capture| {
        capture.header.start_unix_ns = u64::MAX;
        capture.tables.counters.fill(extremes);
        capture.tables.totals.live_bytes = u64::MAX;
        for (index, point) in capture.timeline.iter_mut().enumerate() {
            point.live_bytes = if index % 2 == 0 { u64::MAX } else { 0 };
            point.peak_bytes = 0;
            point.lost_events = u64::MAX;
            point.elapsed_ns = if index < 5 { 0 } else { u64::MAX };
        }
    });
    assert!(text.contains("16777216 TiB"), "{text}");
}

#[test]
fn hostile_names_cannot_reach_the_terminal() {
    let look = Look::plain(100);
    let text = report(EXACT, &Selection::default(), &look, |capture| {
        for string in &mut capture.tables.strings {
            string.push_str("\x1b]0;title\x07\r\n");
        }
        capture.header.program = "\x1b[2Jx".to_owned();
        capture.header.python_version = "3\n13".to_owned();
    });
    let is_harmless = |character: char| character == '\n' || !character.is_control();
    assert!(text.chars().all(is_harmless), "{text:?}");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [40, 56, 72, 80, 99, 100, 149, 150, 200] {
        for line in plain(width).lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}

/// The lines on the process, and the titles of the tables.
fn figures(capture: &Capture, selection: &Selection) -> Vec<String> {
    let text = summary(capture, selection, None, &Look::plain(100));
    let starts = [
        "  Traced",
        "  Growth",
        "  resident",
        "  Warning",
        "Top",
        "     ",
    ];
    let is_told = |line: &&str| starts.iter().any(|start| line.starts_with(start));
    let is_row = |line: &&str| line.starts_with("     ") && !line.contains(" told apart");
    let lines = text.lines().filter(is_told).filter(|line| !is_row(line));
    lines.map(str::to_owned).collect()
}

/// One site with so many MiB live and at the peak, and ticks with (second, live MiB, resident MiB).
fn process(live_mib: u64, ticks: &[(u64, u64, u64)]) -> Capture {
    let mut tracer = Tracer::new();
    let node = tracer.path(&[("/a/app.py", 9, "serve")]);
    tracer.site(node, (live_mib << 20, 5), (live_mib << 20, 5));
    let mut capture = tracer.capture(EXACT, std::path::Path::new("/a"));
    let mut peak = 0;
    capture.timeline = ticks
        .iter()
        .map(|(second, live, resident)| {
            peak = peak.max(*live);
            TickSummary {
                elapsed_ns: second * 1_000_000_000,
                live_bytes: live << 20,
                live_blocks: 5,
                peak_bytes: peak << 20,
                rss_bytes: resident << 20,
                tracer_bytes: 24 << 20,
                ..TickSummary::default()
            }
        })
        .collect();
    capture
}

fn live() -> Selection {
    Selection {
        metrics: vec![Metric::Live],
        ..Selection::default()
    }
}

#[test]
fn memory_that_is_not_traced_is_told_and_warned_of_where_it_is_most() {
    let mostly_unseen = figures(&process(5, &[(1, 5, 328)]), &live());
    assert_eq!(
        mostly_unseen[1..3],
        [
            "  resident 328 MiB = traced 5 + heapsight 24 + not traced 299: run --native sees memory of C extensions",
            "  Warning: 91 % of the resident memory is not traced, so it is in none of these figures",
        ]
    );
    let mostly_seen = figures(&process(200, &[(1, 200, 328)]), &live());
    assert_eq!(
        mostly_seen[1],
        "  resident 328 MiB = traced 200 + heapsight 24 + not traced 104: run --native sees memory of C extensions"
    );
    assert!(!mostly_seen[2].contains("Warning"));
    let never_touched = figures(&process(900, &[(1, 900, 328)]), &live());
    assert_eq!(
        never_touched[1],
        "  resident 328 MiB of traced 900 MiB + heapsight 24 MiB: the rest was never touched, or is swapped out"
    );
    let unknown = figures(&process(5, &[(1, 5, 0)]), &live());
    assert!(unknown[1].starts_with("Top "), "{unknown:?}");
}

#[test]
fn a_screen_has_one_total() {
    let whole = figures(&process(10, &[(1, 10, 50)]), &live());
    assert_eq!(whole[0], "  Traced memory  10 MiB in 5 blocks at exit");
    assert_eq!(whole[2], "Top 1 call site by live memory at exit (10 MiB)");

    let mut behind = process(7, &[(1, 10, 50)]);
    behind.tables.totals.live_bytes = 10 << 20;
    behind.timeline[0].paths_lag_ns = 1_800_000_000;
    let lines = figures(&behind, &live());
    assert_eq!(lines[0], "  Traced memory  10 MiB in 5 blocks at exit");
    assert_eq!(lines[2], "Top 1 call site by live memory at exit (10 MiB)");
    assert_eq!(
        lines[3],
        "     not told apart by call path, whose figures are up to 1.8 s old: 3.0 MiB"
    );

    let filtered = Selection {
        is_filtered: true,
        ..live()
    };
    let mut kept = process(7, &[(1, 10, 50)]);
    kept.tables.totals.live_bytes = 10 << 20;
    let lines = figures(&kept, &filtered);
    assert_eq!(
        lines[0],
        "  Traced memory  10 MiB in 5 blocks at exit; the filters keep 7.0 MiB"
    );
    assert_eq!(
        lines[2],
        "Top 1 call site by live memory at exit (7.0 MiB kept by the filters)"
    );
}

#[test]
fn a_span_tells_how_gains_and_losses_make_the_change() {
    let mut capture = process(7, &[(1, 5, 50), (2, 10, 50)]);
    capture.tables.totals.live_bytes = 10 << 20;
    let selection = Selection {
        moment: Reached::Between {
            from_ns: 1_000_000_000,
            to_ns: 2_000_000_000,
        },
        ..live()
    };
    let lines = figures(&capture, &selection);
    assert_eq!(
        lines[0],
        "  Traced memory  10 MiB in 5 blocks at 2.0 s, +5.0 MiB since 1.0 s"
    );
    assert_eq!(
        lines[2],
        "Top 1 call site by memory gained between 1.0 s and 2.0 s (7.0 MiB gained, 2.0 MiB lost elsewhere)"
    );
}

#[test]
fn modules_that_were_imported_late_do_not_make_growth_of_next_to_nothing_the_finding() {
    const MIB: u64 = 1 << 20;
    let sentence = |kept: u64| {
        let mut tracer = Tracer::new();
        let run = ("run.py", 3, "<module>");
        let import = ("<frozen importlib._bootstrap>", 1360, "_find_and_load");
        let load = ("<frozen importlib._bootstrap_external>", 883, "exec_module");
        let imported = tracer.path(&[run, import, load]);
        tracer.site(imported, (8 * MIB, 80), (8 * MIB, 80));
        let fixture = tracer.path(&[run, ("tests.py", 24, "points")]);
        tracer.site(fixture, (0, 0), (20 * MIB, 200));
        let keeps = tracer.path(&[run, ("tests.py", 40, "keep")]);
        tracer.site(keeps, (kept, 10), (kept, 10));
        let capture = tracer.capture(EXACT, std::path::Path::new("/srv"));
        let half = Half {
            elapsed_ns: 700_000_000,
            live_bytes: vec![4 * MIB, 0, 0],
        };
        let text = summary(&capture, &live(), Some(&half), &Look::plain(200));
        let line = text.lines().find(|line| line.contains(" is on one path: "));
        line.expect("a finding").to_owned()
    };
    assert_eq!(
        sentence(MIB / 4),
        "99 % of the memory at the peak beside imports (20 MiB of 20 MiB) is on one path: \
         tests.py:24 points ← run.py:3 <module>"
    );
    assert_eq!(
        sentence(3 * MIB),
        "100 % of the growth since 700 ms beside imports (3.0 MiB of 3.0 MiB) is on one path: \
         tests.py:40 keep ← run.py:3 <module>"
    );
}

#[test]
fn how_fast_a_long_run_grows_is_told_of_its_second_half() {
    let ticks = [(1, 90, 0), (60, 100, 0), (120, 130, 0)];
    let long = figures(&process(130, &ticks), &live());
    assert_eq!(
        long[1],
        "  Growth         +30 MiB per minute in the last 1 min 00 s"
    );
    let short = figures(&process(130, &[(1, 90, 0), (59, 130, 0)]), &live());
    assert!(!short.join("").contains("Growth"), "{short:?}");
}

#[test]
fn a_peak_like_the_exit_has_no_table_of_its_own() {
    let titles = |peak: u64| {
        let mut tracer = Tracer::new();
        for (line, live, at_peak) in [(9, 1000, 1000), (10, 5, 5 + peak)] {
            let node = tracer.path(&[("/a/app.py", line, "serve")]);
            tracer.site(node, (live << 20, 5), (at_peak << 20, 5));
        }
        let capture = tracer.capture(EXACT, std::path::Path::new("/a"));
        let lines = figures(&capture, &Selection::default());
        let is_title = |line: &String| line.starts_with("Top");
        lines.into_iter().filter(is_title).collect::<Vec<String>>()
    };
    assert_eq!(
        titles(0),
        ["Top 2 call sites by live memory at exit, and at the peak (1005 MiB)"]
    );
    assert_eq!(
        titles(9),
        ["Top 2 call sites by live memory at exit; at the peak the same within 1 % (1005 MiB)"]
    );
    assert_eq!(titles(90).len(), 2);
}

/// The titles of the tables, of a program that holds so many bytes at the exit and at the peak.
fn titles(live_bytes: u64, peak_bytes: u64, selection: &Selection) -> Vec<String> {
    let mut tracer = Tracer::new();
    let own = tracer.path(&[("/a/app.py", 3, "load")]);
    tracer.site(own, (live_bytes, 1), (peak_bytes, 9));
    let import = tracer.path(&[
        ("/a/app.py", 1, "<module>"),
        ("<frozen importlib._bootstrap>", 1, "_find_and_load"),
    ]);
    tracer.site(import, (1 << 20, 1), (1 << 20, 1));
    let capture = tracer.capture(EXACT, std::path::Path::new("/a"));
    let text = summary(&capture, selection, None, &Look::plain(100));
    let titles = text.lines().filter(|line| line.starts_with("Top "));
    titles.map(str::to_owned).collect()
}

#[test]
fn the_peak_comes_first_where_next_to_nothing_is_left_at_the_exit() {
    let first = |live_bytes| {
        let titles = titles(live_bytes, 10_000_000, &Selection::default());
        assert_eq!(titles.len(), 2, "{titles:?}");
        titles[0].contains("at the peak")
    };
    assert!(first(900_000), "imports count for neither");
    assert!(!first(1_100_000));
    let asked = Selection {
        metrics: vec![Metric::Live],
        ..Selection::default()
    };
    assert!(!titles(900_000, 10_000_000, &asked)[0].contains("peak"));
}

#[test]
fn what_filters_keep_is_called_so_at_the_peak_too() {
    let filtered = Selection {
        is_filtered: true,
        ..Selection::default()
    };
    for title in titles(2_000_000, 10_000_000, &filtered) {
        assert!(title.contains(" kept by the filters"), "{title}");
    }
}

#[test]
fn a_span_without_time_has_no_change() {
    let moment = Reached::Between {
        from_ns: 0,
        to_ns: 0,
    };
    let selection = Selection {
        moment,
        ..Selection::default()
    };
    let text = report(EXACT, &selection, &Look::plain(100), |_| {});
    assert!(text.contains(" at the start\n"), "{text}");
    assert!(!text.contains("since") && !text.contains("0 ms"), "{text}");
}

#[test]
fn a_difference_of_samples_carries_their_uncertainty() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sampled = Mode::Sampled {
        mean_bytes: 1 << 19,
    };
    let captures = [EXACT, sampled].map(|mode| example(mode, folder.path()));
    let [exact, sampled] = captures.each_ref().map(|capture| Side {
        name: "run.heapsight",
        capture,
        moment: Reached::End,
    });
    let selection = DiffSelection {
        query: Query::default(),
        count: 1,
        is_filtered: false,
    };
    let text = diff(exact, sampled, &selection, &Look::plain(100));
    let side = |name: &str| {
        let found = text
            .lines()
            .find(|line| line.trim_start().starts_with(name));
        found.unwrap_or_default().to_owned()
    };
    assert!(!side("Old").contains('±'), "{text}");
    assert!(side("New").contains(" ± "), "{text}");
}

#[test]
fn a_snapshot_knows_how_high_memory_was_but_not_when() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = |capture: &Capture| {
        let statistics = Statistics::new(capture, 1000, Reached::End, false);
        let text = statistics.text(capture, &Look::plain(80));
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let mut capture = example(EXACT, folder.path());
    assert!(text(&capture).contains("(live memory at the peak, at "));
    capture.header.tick_ms = 0;
    capture.timeline.drain(1..);
    assert!(text(&capture).contains("(live memory at the peak)"));
}
