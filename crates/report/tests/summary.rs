//! The report as it is seen, pinned as text.

mod support;

use heapsight_analysis::{GroupBy, Metric};
use heapsight_capture::model::{Counters, Mode};
use heapsight_capture::{Capture, Damage, Truncation};
use heapsight_report::{Look, Selection, summary};
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
    summary(&capture, selection, look)
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
        let report = summary(&capture, &selection, &Look::plain(80));
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
