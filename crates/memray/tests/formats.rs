//! Recordings that each format's own memray wrote, against what that memray reads from them: see fixtures/record.py.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use heapsight_capture::Capture;
use heapsight_capture::model::{Counters, ROOT};
use heapsight_cpython::version::supported;
use heapsight_memray::{FORMATS, ReadError, read};
use serde_json::Value;

fn fixture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fs::read(folder.join(name)).expect("a fixture")
}

/// What is made of a recording, and what is said about it.
fn made(recording: &[u8]) -> Result<(Capture, Vec<String>), ReadError> {
    let mut file = Vec::new();
    let said = read(recording, &mut file)?;
    Ok((Capture::read(&file[..]).expect("a capture"), said))
}

/// Bytes by the most recent frame, as record.py writes them.
fn sums(capture: &Capture, bytes: fn(&Counters) -> u64) -> Value {
    let tables = &capture.tables;
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for (site, counters) in tables.sites.iter().zip(&tables.counters) {
        let node = &tables.nodes[site.node as usize];
        let mut place = " :0".to_owned();
        if site.node != ROOT {
            let code = &tables.codes[node.code as usize];
            let text = |id: u32| &tables.strings[id as usize];
            let file = text(code.filename).rsplit('/').next().unwrap_or_default();
            place = format!("{} {file}:{}", text(code.name), node.line);
        }
        if bytes(counters) > 0 {
            *sums.entry(place).or_default() += bytes(counters);
        }
    }
    serde_json::to_value(sums).expect("JSON")
}

#[test]
fn every_format_says_what_its_own_memray_reads() {
    for format in FORMATS {
        for kind in ["", "-native", "-python", "-aggregate"] {
            let name = format!("format-{format}{kind}");
            let expected: Value =
                serde_json::from_slice(&fixture(&format!("{name}.json"))).expect("JSON");
            let (capture, said) = made(&fixture(&format!("{name}.bin"))).expect("readable");
            let mut without_nothing = expected["live"].clone();
            if let Value::Object(sums) = &mut without_nothing {
                sums.retain(|_, bytes| *bytes != 0);
            }
            assert_eq!(
                sums(&capture, Counters::live_bytes),
                without_nothing,
                "{name}"
            );
            assert_eq!(
                sums(&capture, |of| of.peak_bytes),
                expected["peak"],
                "{name}"
            );
            assert_eq!(
                capture.tables.totals.peak_bytes, expected["peak_bytes"],
                "{name}"
            );
            assert!(capture.end.is_some(), "{name}");
            assert_eq!(
                said.len(),
                match kind {
                    "-python" => 0,
                    "-aggregate" => 2,
                    _ => 1,
                }
            );
            assert_eq!(capture.knows_ends_only(), kind == "-aggregate");
            if kind != "-aggregate" {
                let counters = &capture.tables.counters;
                let blocks: u64 = counters.iter().map(|of| of.allocated_blocks).sum();
                let bytes: u64 = counters.iter().map(|of| of.allocated_bytes).sum();
                assert_eq!(blocks, expected["allocated_blocks"], "{name}");
                assert_eq!(bytes, expected["allocated_bytes"], "{name}");
            }
            assert_eq!(capture.header.program, "program.py --an option");
            assert_eq!(
                capture.header.python_version,
                if format == 11 { "" } else { "3.11" }
            );
            assert!(capture.header.start_unix_ns > 1_700_000_000_000_000_000);
        }
    }
}

#[test]
fn a_recording_cut_anywhere_is_read_up_to_there() {
    for format in FORMATS {
        for (kind, is_compressed) in [("", true), ("-python", false), ("-aggregate", true)] {
            let whole = fixture(&format!("format-{format}{kind}.bin"));
            let (capture, said) = made(&whole).expect("readable");
            let blocks = |capture: &Capture| -> u64 {
                capture
                    .tables
                    .counters
                    .iter()
                    .map(|of| of.allocated_blocks)
                    .sum()
            };
            let all = blocks(&capture);
            let mut most = 0;
            // What is behind the last byte that is not zero was set aside and never written.
            let length = whole.iter().rposition(|byte| *byte != 0).unwrap_or(0);
            for cut in (0..length).step_by(7) {
                let Ok((capture, warnings)) = made(&whole[..cut]) else {
                    continue;
                };
                assert!(capture.end.is_none(), "{format}{kind} {cut}");
                assert!(blocks(&capture) >= most);
                most = blocks(&capture);
                let of_cut = warnings
                    .iter()
                    .filter(|text| text.contains("was cut short"));
                assert_eq!(
                    of_cut.count(),
                    usize::from(is_compressed),
                    "{format}{kind} {cut} {warnings:?}"
                );
                assert_eq!(warnings.len(), said.len() + usize::from(is_compressed));
            }
            assert!(most <= all);
            assert!(
                most > 0 || is_compressed,
                "{format}{kind}: nothing was readable"
            );
        }
    }
}

#[test]
fn what_is_no_recording_or_of_another_format_is_refused_by_name() {
    let refusal = |bytes: &[u8]| made(bytes).expect_err("no recording").to_string();
    for bytes in [
        &b""[..],
        b"memra",
        b"memray\0\x0d\0\0\0\xf0\x0d",
        b"memray\0\x0c",
    ] {
        assert_eq!(refusal(bytes), "its header is incomplete or damaged");
    }
    assert_eq!(
        refusal(b"something else"),
        "it does not begin as memray's files do"
    );
    let knows = "and heapsight knows 11 to 13 (memray 1.11 to 1.20)";
    assert_eq!(
        refusal(b"memray\0\x0e\0\0\0 and more"),
        format!("its format is memray's number 14, {knows}: upgrade heapsight")
    );
    assert_eq!(
        refusal(b"memray\0\x0a\0\0\0 and more"),
        format!("its format is memray's number 10, {knows}: read it with the memray that wrote it")
    );
    assert_eq!(
        refusal(b"memray\0\x0c\0\0\0\0\0\x63\x03 and more"),
        format!(
            "it was recorded on Python 3.99, whose line tables heapsight does not know (it knows {}): \
             upgrade heapsight",
            supported()
        )
    );
    let mut other_kind = fixture("format-13-python.bin");
    // Behind name, format, version of Python and whether there are native frames.
    other_kind[7 + 4 + 4 + 1] = 2;
    assert_eq!(refusal(&other_kind), "its header is incomplete or damaged");
}
