//! Exports hold the figures of the capture. The real readers of the formats are put to them in
//! tests/python/test_cli_export.py.

mod support;

use std::io::{Read, Write};

use heapsight_analysis::{GroupBy, Metric};
use heapsight_capture::Capture;
use heapsight_capture::model::Mode;
use heapsight_report::{ExportOptions, Format, expected_bytes, export};
use serde_json::Value;
use support::{Tracer, example};

const EVERYTHING: ExportOptions = ExportOptions {
    metric: Metric::Live,
    group_by: None,
};

fn capture() -> Capture {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut capture = example(Mode::Exact { frame_limit: None }, folder.path());
    capture.header.working_directory = "/srv".into();
    capture
}

/// Two call paths, one of which is in a file and a function whose names are hard to write down.
fn small() -> Capture {
    let mut tracer = Tracer::new();
    let main = ("app.py", 9, "<module>");
    let plain = tracer.path(&[main, ("app.py", 3, "load")]);
    let odd = tracer.path(&[main, ("a \"b\",;c.py", 1, "f;\n")]);
    tracer.site(plain, (300, 3), (900, 9));
    tracer.site(odd, (50, 5), (0, 0));
    tracer.site(0, (7, 1), (7, 1));
    tracer.capture(
        Mode::Exact { frame_limit: None },
        std::path::Path::new("/srv"),
    )
}

fn bytes(capture: &Capture, format: Format, options: &ExportOptions) -> Vec<u8> {
    let mut out = Vec::new();
    export(capture, format, options, &mut out).expect("a Vec takes everything");
    out
}

fn text(capture: &Capture, format: Format, options: &ExportOptions) -> String {
    String::from_utf8(bytes(capture, format, options)).expect("UTF-8")
}

fn json(capture: &Capture, format: Format, options: &ExportOptions) -> Value {
    serde_json::from_str(&text(capture, format, options)).expect("JSON")
}

fn sum(values: &Value) -> u64 {
    let values = values.as_array().expect("a list").iter();
    values.map(|value| value.as_u64().expect("a count")).sum()
}

fn total(capture: &Capture, metric: Metric) -> u64 {
    let counters = capture.tables.counters.iter();
    counters.map(|of| metric.of(of).bytes).sum()
}

/// The track of this name in a Firefox profile.
fn track<'f>(file: &'f Value, name: &str) -> &'f Value {
    let tracks = file["threads"].as_array().expect("a list");
    let found = tracks.iter().find(|track| track["name"] == name);
    found.unwrap_or_else(|| panic!("no track {name}"))
}

#[test]
fn collapsed_stacks_are_one_line_each_whatever_the_names() {
    assert_eq!(
        text(&small(), Format::Collapsed, &EVERYTHING),
        "<module> (app.py:9);load (app.py:3) 300\n\
         <module> (app.py:9);f__ (a \"b\",_c.py:1) 50\n\
         <no Python frame> 7\n"
    );
}

#[test]
fn frames_show_what_is_grouped_by() {
    let lines = |metric, group_by| {
        let options = ExportOptions {
            metric,
            group_by: Some(group_by),
        };
        text(&small(), Format::Collapsed, &options)
    };
    assert_eq!(
        lines(Metric::Peak, GroupBy::Function),
        "<module> (app.py);load (app.py) 900\n<no Python frame> 7\n"
    );
    assert_eq!(
        lines(Metric::Peak, GroupBy::Filename),
        "app.py 900\n<no Python frame> 7\n"
    );
    assert_eq!(lines(Metric::Live, GroupBy::Domain), "python.obj 357\n");
}

#[test]
fn csv_is_quoted_where_it_has_to_be() {
    insta::assert_snapshot!(text(&small(), Format::Csv, &EVERYTHING));
}

#[test]
fn a_table_has_one_row_for_each_key() {
    let options = ExportOptions {
        metric: Metric::Live,
        group_by: Some(GroupBy::Filename),
    };
    let table = text(&small(), Format::Csv, &options);
    let mut lines = table.lines();
    let names = lines.next().expect("names");
    assert!(names.starts_with("function,filename,line,domain,thread,call_path,caller,live_bytes,"));
    let rows: Vec<&str> = lines.collect();
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows[0].starts_with(",app.py,,,,,,300,3,"), "{rows:?}");
}

#[test]
fn speedscope_has_a_profile_for_each_metric_that_adds_up() {
    let capture = capture();
    let options = ExportOptions {
        metric: Metric::Peak,
        group_by: None,
    };
    let file = json(&capture, Format::Speedscope, &options);
    let profiles = file["profiles"].as_array().expect("a list");
    assert_eq!(profiles.len(), Metric::ALL.len());
    for (metric, profile) in Metric::ALL.into_iter().zip(profiles) {
        assert_eq!(profile["name"], metric.name());
        assert_eq!(sum(&profile["weights"]), total(&capture, metric));
        assert_eq!(profile["endValue"], total(&capture, metric));
        let samples = profile["samples"].as_array().expect("a list");
        assert_eq!(
            samples.len(),
            profile["weights"].as_array().expect("a list").len()
        );
    }
    let active = file["activeProfileIndex"].as_u64().expect("a number") as usize;
    assert_eq!(profiles[active]["name"], "peak");
}

#[test]
fn firefox_weighs_bytes_and_draws_the_timeline() {
    let capture = capture();
    let file = json(&capture, Format::Firefox, &EVERYTHING);
    let samples = &track(&file, "live bytes")["samples"];
    assert_eq!(samples["weightType"], "bytes");
    assert_eq!(sum(&samples["weight"]), total(&capture, Metric::Live));
    let changes = &file["counters"][0]["samples"]["count"];
    let last: f64 = changes
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_f64)
        .sum();
    let expected = capture.timeline.last().expect("ticks").live_bytes;
    assert_eq!(last as u64, expected);
}

#[test]
fn a_weight_beyond_31_bits_is_split() {
    let mut tracer = Tracer::new();
    let path = tracer.path(&[("app.py", 1, "load")]);
    tracer.site(path, (5 << 30, 1), (5 << 30, 1));
    let capture = tracer.capture(Mode::Exact { frame_limit: None }, std::path::Path::new("/"));
    let file = json(&capture, Format::Firefox, &EVERYTHING);
    let weights = &track(&file, "live bytes")["samples"]["weight"];
    assert_eq!(weights.as_array().expect("a list").len(), 3);
    assert_eq!(sum(weights), 5 << 30);
}

#[test]
fn json_has_every_site_and_its_call_path() {
    let capture = capture();
    let file = json(&capture, Format::Json, &EVERYTHING);
    assert_eq!(file["format"], 2);
    let column = |table: &str, name: &str| file[table][name].as_array().expect("a list").clone();
    assert_eq!(
        sum(&file["sites"]["live_bytes"]),
        total(&capture, Metric::Live)
    );
    let tables = &capture.tables;
    for name in ["call_path", "domain", "peak_blocks"] {
        assert_eq!(column("sites", name).len(), tables.sites.len(), "{name}");
    }
    for (site, domain) in tables.sites.iter().zip(column("sites", "domain")) {
        let domain = domain.as_u64().expect("an index") as usize;
        assert_eq!(file["domains"][domain], site.domain.name());
    }
    let (callers, functions) = (
        column("call_paths", "caller"),
        column("call_paths", "function"),
    );
    assert!(callers[0].is_null() && functions[0].is_null());
    for (id, node) in tables.nodes.iter().enumerate().skip(1) {
        assert_eq!(callers[id], node.parent);
        let function = &file["functions"][functions[id].as_u64().expect("an index") as usize];
        let code = &tables.codes[node.code as usize];
        assert_eq!(function["function"], tables.strings[code.name as usize]);
        assert_eq!(function["filename"], tables.strings[code.filename as usize]);
        assert_eq!(column("call_paths", "line")[id], node.line);
    }
    assert_eq!(
        file["timeline"].as_array().expect("a list").len(),
        capture.timeline.len()
    );
}

/// Two threads with a path of the same frames.
fn threads() -> Capture {
    let mut tracer = Tracer::new();
    for (name, bytes) in [("MainThread", 300), ("worker", 50)] {
        let thread = tracer.thread(name);
        let path = tracer.path_in(thread, &[("app.py", 9, "<module>"), ("app.py", 3, "load")]);
        tracer.site(path, (bytes, 1), (bytes, 1));
        tracer.site(thread, (7, 1), (7, 1));
    }
    let mode = Mode::Exact { frame_limit: None };
    tracer.capture(mode, std::path::Path::new("/srv"))
}

#[test]
fn collapsed_stacks_have_frames_only() {
    assert_eq!(
        text(&threads(), Format::Collapsed, &EVERYTHING),
        "<module> (app.py:9);load (app.py:3) 350\n<no Python frame> 14\n"
    );
}

#[test]
fn a_table_tells_every_path_once_and_each_caller_has_a_row() {
    let table = text(&threads(), Format::Csv, &EVERYTHING);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split(',').collect())
        .collect();
    let column = |name: &str| rows[0].iter().position(|of| *of == name).expect("a column");
    let (path, caller) = (column("call_path"), column("caller"));
    let spelled = |row: &Vec<&str>| {
        let (mut frames, mut at) = (vec![row[0]], row[caller]);
        while !at.is_empty() {
            let row = rows.iter().find(|row| row[path] == at).expect("a caller");
            frames.push(row[0]);
            at = row[caller];
        }
        [
            row[column("thread")],
            &frames.join(" < "),
            row[column("live_bytes")],
        ]
        .map(str::to_owned)
    };
    let mut paths: Vec<[String; 3]> = rows[1..].iter().map(spelled).collect();
    paths.sort();
    let expected = ["MainThread", "worker"].into_iter().zip(["300", "50"]);
    let expected = expected.flat_map(|(thread, bytes)| {
        [
            [thread, "", "7"],
            [thread, "<module>", "0"],
            [thread, "load < <module>", bytes],
        ]
    });
    assert_eq!(paths, expected.collect::<Vec<_>>());
}

/// Counts what is written.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A recursion of 2,000 frames in which each depth has memory of three callees: spelled out, 5 million frames.
fn recursion() -> Capture {
    let mut tracer = Tracer::new();
    let mut caller = 0;
    for depth in 0..2000_u64 {
        caller = tracer.path_in(caller, &[("deep.py", 7 + (depth % 9) as u32, "Node.visit")]);
        for line in 1..=3 {
            let path = tracer.path_in(caller, &[("deep.py", line, "make")]);
            tracer.site(path, (depth + 1, 1), (depth + 1, 1));
        }
    }
    let mode = Mode::Exact { frame_limit: None };
    tracer.capture(mode, std::path::Path::new("/srv"))
}

#[test]
fn a_deep_recursion_is_exported_in_little_memory() {
    let capture = recursion();
    for format in Format::ALL {
        let written = |out: &mut Counter| export(&capture, format, &EVERYTHING, out).expect("room");
        let mut out = Counter(0);
        let held = allocation_counter::measure(|| written(&mut out)).bytes_max;
        // Parquet keeps the frames of a group of rows, and what it made of them.
        let most = if format == Format::Parquet {
            60 << 20
        } else {
            8 << 20
        };
        assert!(held < most, "{}: {held} bytes", format.name());
        let spells_out = matches!(format, Format::Collapsed | Format::Speedscope);
        assert!(
            spells_out || out.0 < 6 << 20,
            "{}: {} bytes written",
            format.name(),
            out.0
        );
    }
}

#[test]
fn collapsed_stacks_take_little_memory_for_each_call_path() {
    let capture = recursion();
    let call_paths = capture.tables.nodes.len() as u64;
    let mut out = Counter(0);
    let held = allocation_counter::measure(|| {
        let expected = expected_bytes(&capture, Format::Collapsed, &EVERYTHING);
        assert!(expected.is_some());
        export(&capture, Format::Collapsed, &EVERYTHING, &mut out).expect("room");
    });
    let each = held.bytes_max / call_paths;
    assert!(
        each < 120,
        "{each} bytes for each of {call_paths} call paths"
    );
}

#[test]
fn the_size_of_what_spells_out_stacks_is_known_before() {
    for capture in [
        recursion(),
        capture(),
        threads(),
        small(),
        Capture::default(),
    ] {
        for format in Format::ALL {
            let Some(expected) = expected_bytes(&capture, format, &EVERYTHING) else {
                continue;
            };
            let mut out = Counter(0);
            export(&capture, format, &EVERYTHING, &mut out).expect("room");
            // Figures and frames that are told once come on top.
            let apart = out.0.abs_diff(expected);
            assert!(
                apart < out.0 / 10 + 5000,
                "{}: {expected} expected, {} written",
                format.name(),
                out.0
            );
        }
    }
}

#[test]
fn pprof_is_gzip() {
    let file = bytes(&small(), Format::Pprof, &EVERYTHING);
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&file[..])
        .read_to_end(&mut plain)
        .expect("gzip");
    for name in [
        "alloc_objects",
        "alloc_space",
        "inuse_objects",
        "inuse_space",
        "load",
        "app.py",
    ] {
        let bytes = name.as_bytes();
        assert!(
            plain.windows(bytes.len()).any(|window| window == bytes),
            "{name}"
        );
    }
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_reads_back_with_the_same_sums() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    let capture = small();
    let file = bytes(&capture, Format::Parquet, &EVERYTHING);
    let reader = SerializedFileReader::new(bytes::Bytes::from(file)).expect("Parquet");
    let (mut live, mut paths) = (0, Vec::new());
    for row in reader.get_row_iter(None).expect("rows") {
        let row = row.expect("a row");
        live += row.get_long(6).expect("live_bytes");
        paths.push(row.get_list(5).expect("call_path").len());
    }
    assert_eq!(live as u64, total(&capture, Metric::Live));
    assert_eq!(paths, [2, 2, 0]);
}

#[test]
fn a_very_deep_stack_keeps_its_most_recent_frames() {
    let mut tracer = Tracer::new();
    let frames: Vec<(&str, u32, &str)> = (0..1500).map(|line| ("deep.py", line + 1, "f")).collect();
    let deep = tracer.path(&frames);
    let shallow = tracer.path(&[("app.py", 1, "g")]);
    tracer.site(deep, (64, 1), (64, 1));
    tracer.site(shallow, (8, 1), (8, 1));
    let mode = Mode::Exact { frame_limit: None };
    let capture = tracer.capture(mode, std::path::Path::new("/srv"));
    let collapsed = text(&capture, Format::Collapsed, &EVERYTHING);
    let lines: Vec<&str> = collapsed.lines().collect();
    assert_eq!(lines[0].matches(';').count(), 1000);
    assert!(lines[0].starts_with("<outer frames left out>;f (deep.py:501);"));
    assert!(lines[0].ends_with(";f (deep.py:1500) 64"));
    assert_eq!(lines[1], "g (app.py:1) 8");
    // A table and a tree have all of them, each once.
    assert_eq!(
        text(&capture, Format::Csv, &EVERYTHING).lines().count(),
        1 + 1500 + 1
    );
    let file = json(&capture, Format::Json, &EVERYTHING);
    assert_eq!(
        file["call_paths"]["line"].as_array().expect("a list").len(),
        1 + 1500 + 1
    );
}

#[test]
fn a_capture_without_a_tick_exports_as_nothing() {
    for format in Format::ALL {
        bytes(&Capture::default(), format, &EVERYTHING);
    }
    assert_eq!(
        text(&Capture::default(), Format::Collapsed, &EVERYTHING),
        ""
    );
}
