//! What commands make of recordings of memray: those that the reader's own tests have.

use super::*;

fn fixture(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../memray/tests/fixtures");
    format!("{folder}/{name}.bin")
}

#[test]
fn a_recording_is_read_under_its_own_name() {
    let path = fixture("format-13");
    let outcome = outcome(&["stats", "--json", &path]);
    let [warning] = outcome.err.lines().collect::<Vec<_>>()[..] else {
        panic!("{}", outcome.err);
    };
    let named = format!("heapsight: warning: {path}: recorded without --trace-python-allocators");
    assert!(warning.starts_with(&named), "{warning}");
    assert_eq!(outcome.status, 0);
    let said: serde_json::Value = serde_json::from_str(&outcome.out).expect("JSON");
    assert_eq!(said["header"]["program"], "program.py --an option");
    assert_eq!(said["domains"]["mmap"]["live"]["bytes"], 1 << 16);
    let file_bytes = fs::metadata(&path).expect("a fixture").len();
    assert_eq!(said["file_bytes"], file_bytes);
}

#[test]
fn what_cannot_be_read_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("run.bin");
    let name = path.to_str().expect("UTF-8");
    for (bytes, reason) in [
        (
            &b"memray\0\x0e\0\0\0 and more"[..],
            "its format is memray's number 14, and heapsight knows 11 to 13 (memray 1.11 to 1.20): upgrade heapsight",
        ),
        (
            b"memray\0\x0d\0\0\0\xf0\x0d\x0c\x03",
            "its header is incomplete or damaged",
        ),
        (
            b"\x04\x22\x4d\x18\x40\x40\xc0\xed\x29\0\0\xf9\x05memray\0",
            "its header is incomplete or damaged",
        ),
    ] {
        fs::write(&path, bytes).expect("writable");
        let message = format!("{name} is a recording of memray, but cannot be read: {reason}");
        assert_eq!(refusal(&["top", name]), (1, message.clone()));
        let merge = ["merge", "-o", "/nonexistent/all", name];
        assert_eq!(refusal(&merge), (1, message));
    }
}

#[test]
fn what_sums_do_not_tell_is_refused() {
    let path = fixture("format-13-aggregate");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let all = folder.path().join("all.heapsight");
    for (words, unknown) in [
        (&["top", "--metric", "freed"][..], "freed memory"),
        (&["top", "--at", "1"], "memory at other moments"),
        (
            &["diff", "--range", "start..peak"],
            "memory at other moments",
        ),
        (&["export", "--to", "json", "-o", "-"], "allocated memory"),
        (
            &["merge", "-o", all.to_str().expect("UTF-8")],
            "memory at other moments",
        ),
    ] {
        let words = [words, &[&path]].concat();
        let expected = format!(
            "{path} was recorded with memray's --aggregate and tells only what was live at the end and at the peak: \
             {unknown} is not known"
        );
        assert_eq!(refusal(&words), (1, expected), "{words:?}");
    }
    let outcome = outcome(&["stats", &path]);
    assert_eq!(outcome.status, 0);
    assert!(!outcome.out.contains("allocated"), "{}", outcome.out);
    assert!(
        outcome.out.contains("\n  resident       22 MiB at most\n"),
        "{}",
        outcome.out
    );
}
