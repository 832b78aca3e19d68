//! Files written by every version of the format stay readable.
//!
//! When the format changes, add a fixture beside the old ones, and never touch those; bump the version if an older
//! reader would misread it. `HEAPSIGHT_WRITE_FIXTURE=1` writes the newest one if it does not exist.

mod support;

use std::path::Path;

use heapsight_capture::model::Bounds;
use heapsight_capture::{Block, Capture, FORMAT_VERSION, Writer};
use support::{Step, end, expected, header, small_recording};

const BLOCKS: [Block; 2] = [
    Block {
        address: 0x7f12_3456_7890,
        size: 64,
        site: 0,
    },
    Block {
        address: 0x7f12_3456_78f0,
        size: 512,
        site: 2,
    },
];

/// Files as they are written now.
const NEWEST: &str = "format-1-bounds";

fn read_fixture(name: &str) -> Capture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.capture"));
    if name == NEWEST && std::env::var_os("HEAPSIGHT_WRITE_FIXTURE").is_some() && !path.exists() {
        let mut writer = Writer::create(Vec::new(), &header()).expect("a Vec takes everything");
        for step in small_recording() {
            writer.tick(&step.as_tick()).expect("consistent");
        }
        writer.blocks(&BLOCKS).expect("consistent");
        let file = writer
            .finish(&end(&small_recording()))
            .expect("a Vec takes everything");
        std::fs::write(&path, file).expect("the fixture's folder is writable");
    }
    Capture::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn is_read_completely(name: &str, recording: &[Step]) {
    let capture = read_fixture(name);
    let (tables, timeline) = expected(recording);
    assert_eq!(capture.header, header());
    assert_eq!(capture.tables, tables);
    assert_eq!(capture.timeline, timeline);
    assert_eq!(capture.blocks.as_deref(), Some(&BLOCKS[..]));
    assert_eq!(capture.end, Some(end(&small_recording())));
    assert_eq!(capture.truncation, None);
}

#[test]
fn files_of_format_1_from_before_ticks_told_the_highest_resident_memory_are_read_completely() {
    let mut recording = small_recording();
    for step in &mut recording {
        (step.highest_rss_bytes, step.paths_lag_ns) = (0, 0);
        step.totals.bounds = Bounds::default();
    }
    is_read_completely("format-1", &recording);
}

#[test]
fn files_of_format_1_from_before_ticks_told_what_the_budget_cost_are_read_completely() {
    let mut recording = small_recording();
    for step in &mut recording {
        step.totals.bounds = Bounds::default();
    }
    is_read_completely("format-1-highest-resident", &recording);
}

#[test]
fn files_as_they_are_written_now_are_read_completely() {
    is_read_completely(NEWEST, &small_recording());
    assert!(NEWEST.starts_with(&format!("format-{FORMAT_VERSION}")));
}
