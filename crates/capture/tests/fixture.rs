//! Files written by every version of the format stay readable.
//!
//! When the format changes, bump its version, add a fixture of the new version beside the old ones, and never touch those.
//! `HEAPSIGHT_WRITE_FIXTURE=1` writes the one of the current version if it does not exist.

mod support;

use std::path::Path;

use heapsight_capture::{Block, Capture, FORMAT_VERSION, Writer};
use support::{end, expected, header, small_recording};

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

fn read_fixture(version: u16) -> Capture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/fixtures/format-{version}.capture"));
    if std::env::var_os("HEAPSIGHT_WRITE_FIXTURE").is_some() && !path.exists() {
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

#[test]
fn format_1_is_read_completely() {
    let capture = read_fixture(1);
    let (tables, timeline) = expected(&small_recording());
    assert_eq!(capture.header, header());
    assert_eq!(capture.tables, tables);
    assert_eq!(capture.timeline, timeline);
    assert_eq!(capture.blocks.as_deref(), Some(&BLOCKS[..]));
    assert_eq!(capture.end, Some(end(&small_recording())));
    assert_eq!(capture.truncation, None);
}

#[test]
fn the_current_format_has_a_fixture() {
    assert_eq!(read_fixture(FORMAT_VERSION).truncation, None);
}
