//! What commands make of recordings of memray, with a reader that makes them up.

use std::cell::Cell;

use heapsight_capture::{Note, WriteError};

use super::*;

/// As memray 1.20 begins a file.
const PLAIN: &[u8] = b"memray\0\x0d\0\0\0\xf0\x0d\x0c\x03";

/// Writes a file of which only the beginning is memray's.
fn write_recording(folder: &Path) -> String {
    let path = folder.join("run.bin");
    fs::write(&path, PLAIN).expect("writable");
    path.to_str().expect("UTF-8").to_owned()
}

/// A capture of one site with these notes: live 30 of 100 bytes at the end, 40 at the peak.
fn write_made(sink: fs::File, notes: &[&str]) -> Result<(), WriteError> {
    let mut writer = Writer::create(sink, &Header::default())?;
    for name in notes {
        writer.note(&Note {
            name: (*name).to_owned(),
            text: "some is not known".to_owned(),
        })?;
    }
    let counters = |allocated_bytes, freed_bytes| Counters {
        allocated_bytes,
        freed_bytes,
        allocated_blocks: 2,
        freed_blocks: 1,
        peak_bytes: 40,
        peak_blocks: 1,
        ..Counters::default()
    };
    let tick = |elapsed_ns, live_bytes| Tick {
        elapsed_ns,
        totals: Totals {
            live_bytes,
            live_blocks: 1,
            peak_bytes: 40,
            ..Totals::default()
        },
        ..Tick::default()
    };
    writer.tick(&Tick {
        new_nodes: &[Node {
            parent: 0,
            code: 0,
            line: 0,
        }],
        new_sites: &[Site {
            node: 0,
            domain: Domain::of_memray(6).expect("malloc"),
        }],
        changed: &[(0, counters(40, 0))],
        ..tick(1_000_000_000, 40)
    })?;
    writer.tick(&Tick {
        changed: &[(0, counters(100, 70))],
        ..tick(2_000_000_000, 30)
    })?;
    writer.finish(&End::default())?;
    Ok(())
}

fn outcome_of(read: &ReadMemray<'_>, words: &[&str]) -> Outcome {
    let out = Sink::default();
    let (status, err) = outcome_through(read, Box::new(out.clone()), words, Look::plain(100));
    Outcome {
        status,
        out: out.text(),
        err,
    }
}

fn made_with(notes: &[&str], words: &[&str]) -> Outcome {
    let read = |_: &Path, _: bool, sink: fs::File, _: &dyn Fn(u64, u64)| {
        write_made(sink, notes).expect("writable");
        Ok(vec!["something is missing".to_owned()])
    };
    outcome_of(&read, words)
}

#[test]
fn without_memray_it_is_said_what_to_install() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("run.bin");
    // Plain, and with LZ4, whose first block holds the beginning as it is.
    let compressed = [b"\x04\x22\x4d\x18\x40\x40\xc0\xed\x29\0\0\xf9\x05", PLAIN].concat();
    for bytes in [PLAIN, &compressed] {
        fs::write(&path, bytes).expect("writable");
        let path = path.to_str().expect("UTF-8");
        let message = "is a recording of memray, which is read through memray's own package: pip install memray";
        assert_eq!(refusal(&["top", path]), (1, format!("{path} {message}")));
        let merge = ["merge", "-o", "/nonexistent/all", path];
        assert_eq!(refusal(&merge), (1, format!("{path} {message}")));
    }
}

#[test]
fn what_memray_cannot_read_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_recording(folder.path());
    let read = |_: &Path, _: bool, _: fs::File, _: &dyn Fn(u64, u64)| {
        Err(MemrayError::Failed("of another\nversion".to_owned()))
    };
    let outcome = outcome_of(&read, &["stats", &path]);
    let expected = format!(
        "heapsight: {path} is a recording of memray, but memray cannot read it: of another version\n"
    );
    assert_eq!((outcome.status, outcome.err), (1, expected));
}

#[test]
fn what_is_made_of_it_is_read_under_its_own_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_recording(folder.path());
    let outcome = made_with(&[], &["stats", "--json", &path]);
    let warning = format!("heapsight: warning: {path}: something is missing\n");
    assert_eq!((outcome.status, outcome.err), (0, warning));
    let said: serde_json::Value = serde_json::from_str(&outcome.out).expect("JSON");
    assert_eq!(said["metrics"]["allocated"]["bytes"], 100);
    assert_eq!(said["domains"]["malloc"]["live"]["bytes"], 30);
    assert_eq!(said["file_bytes"], PLAIN.len());
    let outcome = made_with(&[Note::SOME_TIMES], &["stats", "--at", "1", &path]);
    assert!(
        outcome.err.contains(": some is not known\n"),
        "{}",
        outcome.err
    );
}

#[test]
fn two_moments_of_one_file_are_read_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_recording(folder.path());
    let times = Cell::new(0);
    let read = |_: &Path, _: bool, sink: fs::File, _: &dyn Fn(u64, u64)| {
        times.set(times.get() + 1);
        write_made(sink, &[]).expect("writable");
        Ok(Vec::new())
    };
    let outcome = outcome_of(&read, &["diff", "--range", "start..1", &path]);
    assert_eq!((outcome.status, outcome.err.as_str()), (0, ""));
    assert_eq!(times.get(), 1);
}

#[test]
fn what_sums_do_not_tell_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_recording(folder.path());
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
        let outcome = made_with(&[Note::ENDS_ONLY], &words);
        let expected = format!(
            "heapsight: {path} was recorded with memray's --aggregate and tells only what was live at the end and at the peak: \
             {unknown} is not known\n"
        );
        assert_eq!((outcome.status, outcome.err), (1, expected), "{words:?}");
    }
    let outcome = made_with(&[Note::ENDS_ONLY], &["stats", &path]);
    assert_eq!(outcome.status, 0);
    assert!(!outcome.out.contains("allocated"), "{}", outcome.out);
    assert!(
        outcome.out.contains("whole peak     40 B\n"),
        "{}",
        outcome.out
    );
}
