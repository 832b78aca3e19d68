//! Pickles of `tracemalloc`'s snapshots: read, refused, and never trusted.

use heapsight_analysis::tracemalloc_snapshot::{PickleError, read};
use heapsight_analysis::{GroupBy, Key, Query, group, path};
use proptest::prelude::*;

/// A snapshot as CPython 3.9 and newer pickles it (protocol 4): two blocks on one shared call path, one elsewhere.
fn snapshot() -> Vec<u8> {
    let mut pickle = Vec::new();
    let text = |pickle: &mut Vec<u8>, text: &str| {
        pickle.extend([0x8c, text.len() as u8]);
        pickle.extend(text.as_bytes());
        pickle.push(0x94);
    };
    pickle.extend([0x80, 4]);
    text(&mut pickle, "tracemalloc"); // remembered as 0
    text(&mut pickle, "Snapshot"); // 1
    pickle.extend([0x93, 0x94]); // 2
    pickle.extend([b')', 0x81, 0x94, b'}', 0x94, b'(']); // 3: the object, 4: its attributes
    text(&mut pickle, "traces"); // 5
    pickle.extend([b'h', 0]);
    text(&mut pickle, "_Traces"); // 6
    pickle.extend([0x93, 0x94, b')', 0x81, 0x94, b'}', 0x94]); // 7, 8, 9
    text(&mut pickle, "_traces"); // 10
    pickle.extend([b']', 0x94, b'(']); // 11: the list
    pickle.extend([b'(', b'K', 0, b'M', 0x00, 0x02]); // domain 0, 512 bytes
    text(&mut pickle, "leaf.py"); // 12
    pickle.extend([b'K', 7, 0x86, 0x94]); // 13
    text(&mut pickle, "main.py"); // 14
    pickle.extend([b'K', 1, 0x86, 0x94, 0x86, 0x94]); // 15, 16: the call path
    pickle.extend([b'K', 2, b't', 0x94]); // 17
    pickle.extend([b'(', b'K', 0, b'K', 8, b'h', 16, b'K', 2, b't', 0x94]); // 18
    pickle.extend([
        b'(', b'K', 3, b'K', 9, b'h', 15, 0x85, 0x94, b'K', 1, b't', 0x94,
    ]); // 19, 20
    pickle.extend([b'e', b's', b'b']);
    text(&mut pickle, "traceback_limit");
    pickle.extend([b'K', 25, b'u', b'b', b'.']);
    pickle
}

#[test]
fn call_paths_sizes_and_domains_are_read() {
    let snapshot = read(&snapshot()).expect("a good pickle");
    assert_eq!(snapshot.traceback_limit, 25);
    let tables = &snapshot.tables;
    assert_eq!(
        (tables.totals.live_bytes, tables.totals.live_blocks),
        (529, 3)
    );
    let grouped = group(
        tables,
        Query {
            group_by: GroupBy::Traceback,
            ..Query::default()
        },
    );
    let paths: Vec<_> = grouped
        .rows
        .iter()
        .map(|row| {
            let Key::Traceback(node) = row.key else {
                panic!("{:?}", row.key)
            };
            let frames = path::frames(tables, node)
                .map(|frame| (frame.filename, frame.line))
                .collect::<Vec<_>>();
            (frames, row.amount.bytes, row.amount.blocks)
        })
        .collect();
    assert_eq!(
        paths,
        [
            (vec![("leaf.py", 7), ("main.py", 1)], 520, 2),
            (vec![("main.py", 1)], 9, 1)
        ],
        "most recent frame first"
    );
    let domains: Vec<String> = tables.sites.iter().map(|site| site.domain.name()).collect();
    assert_eq!(domains, ["domain 0", "domain 3"]);
}

#[test]
fn a_function_is_refused_by_name_and_not_called() {
    for pickle in [
        &b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R."[..],
        &b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R."[..],
    ] {
        let error = read(pickle).expect_err("refused");
        assert_eq!(error, PickleError::ForeignName("os.system".to_owned()));
        assert!(
            error
                .to_string()
                .contains("refused: the pickle refers to os.system")
        );
    }
}

#[test]
fn an_operation_that_calls_is_refused_even_on_allowed_classes() {
    let error = read(b"\x80\x02ctracemalloc\nSnapshot\n)R.").expect_err("refused");
    assert_eq!(
        error,
        PickleError::ForeignOperation {
            opcode: b'R',
            offset: 25
        }
    );
}

#[test]
fn other_data_is_no_snapshot() {
    assert!(matches!(
        read(b"\x80\x04]."),
        Err(PickleError::NotASnapshot(_))
    ));
    assert!(matches!(read(b""), Err(PickleError::Malformed { .. })));
    assert!(matches!(
        read(b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff"),
        Err(PickleError::Malformed { .. })
    ));
}

#[test]
fn tuples_in_tuples_a_million_deep_are_dropped_without_recursion() {
    let mut pickle = vec![0x80, 4, b')'];
    pickle.resize(1_000_000, 0x85);
    pickle.push(b'.');
    assert!(matches!(read(&pickle), Err(PickleError::NotASnapshot(_))));
}

proptest! {
    #[test]
    fn damage_gives_an_error_or_other_figures_but_no_panic(at in 0_usize..240, byte: u8, cut in 0_usize..260) {
        let mut pickle = snapshot();
        let last = pickle.len() - 1;
        pickle[at.min(last)] = byte;
        pickle.truncate(cut);
        let _ = read(&pickle);
    }

    #[test]
    fn arbitrary_bytes_are_no_danger(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
    }

    #[test]
    fn arbitrary_operations_are_no_danger(
        operations in proptest::collection::vec(proptest::sample::select(OPERATIONS), 0..200)
    ) {
        let _ = read(&operations.concat());
    }
}

const OPERATIONS: &[&[u8]] = &[
    b"(",
    b"0",
    b"1",
    b"N",
    b"K\x05",
    b"\x8c\x01a",
    b")",
    b"\x85",
    b"\x86",
    b"t",
    b"]",
    b"}",
    b"a",
    b"s",
    b"e",
    b"u",
    b"\x94",
    b"q\x00",
    b"h\x00",
    b"h\x01",
    b"ctracemalloc\nSnapshot\n",
    b"ctracemalloc\n_Traces\n",
    b"\x81",
    b"b",
    b"\x8a\x01\xff",
];
