use super::{LineRange, LineTable, LineTableFormat, NOT_STARTED, line_at, signed_varint};

use LineTableFormat::{Increments, Locations, Ranges};

const FORMATS: [LineTableFormat; 3] = [Increments, Ranges, Locations];

fn ranges(format: LineTableFormat, table: &[u8], first_line: u32) -> Vec<(u32, u32, Option<u32>)> {
    LineTable::new(format, table, first_line)
        .lines()
        .map(|LineRange { start, end, line }| (start, end, line))
        .collect()
}

/// `dis.findlinestarts` of a function compiled by 3.9.18, with a backward jump in the lines.
#[test]
fn increments_of_a_real_function_give_the_lines_of_the_interpreter() {
    let table = [
        0, 2, 6, 2, 2, 254, 6, 4, 2, 1, 12, 2, 2, 1, 2, 255, 8, 1, 2, 255, 6, 2, 2, 1, 2, 255,
    ];
    let starts: Vec<(u32, Option<u32>)> = ranges(Increments, &table, 1)
        .iter()
        .map(|&(start, _, line)| (start, line))
        .collect();
    let expected = [
        (0, 3),
        (6, 5),
        (8, 3),
        (14, 7),
        (16, 8),
        (28, 10),
        (30, 11),
        (32, 10),
        (40, 11),
        (42, 10),
        (48, 12),
        (50, 13),
        (52, 12),
    ];
    assert_eq!(starts, expected.map(|(start, line)| (start, Some(line))));
}

#[test]
fn increments_beyond_one_byte_come_in_several_pairs() {
    // 300 bytes on, and 200 lines on: (255, 0), (45, 127), (0, 73).
    let table = [255, 0, 45, 127, 0, 73];
    assert_eq!(
        ranges(Increments, &table, 10),
        [(0, 300, Some(10)), (300, u32::MAX, Some(210))]
    );
}

#[test]
fn an_empty_table_of_increments_is_one_line() {
    assert_eq!(ranges(Increments, &[], 7), [(0, u32::MAX, Some(7))]);
}

/// `co_lines()` of a function compiled by 3.10.13.
#[test]
fn ranges_of_a_real_function_give_the_lines_of_the_interpreter() {
    let table = [
        6, 2, 2, 2, 6, 254, 2, 4, 12, 1, 2, 2, 2, 1, 4, 255, 2, 2, 2, 1, 4, 255, 2, 254, 2, 1, 6,
        255,
    ];
    let expected = [
        (0, 6, 3),
        (6, 8, 5),
        (8, 14, 3),
        (14, 16, 7),
        (16, 28, 8),
        (28, 30, 10),
        (30, 32, 11),
        (32, 36, 10),
        (36, 38, 12),
        (38, 40, 13),
        (40, 44, 12),
        (44, 46, 10),
        (46, 48, 11),
        (48, 54, 10),
    ];
    assert_eq!(
        ranges(Ranges, &table, 1),
        expected.map(|(start, end, line)| (start, end, Some(line)))
    );
}

#[test]
fn a_range_without_line_does_not_change_the_line_of_the_next() {
    let table = [4, 1, 2, 128, 6, 1];
    assert_eq!(
        ranges(Ranges, &table, 1),
        [(0, 4, Some(2)), (4, 6, None), (6, 12, Some(3))]
    );
    assert_eq!(line_at(Ranges, &table, 1, 4), None);
}

/// `co_lines()` of a function compiled by 3.12.1: every kind of entry, and a stretch that has no line.
#[test]
fn locations_of_a_real_function_give_the_lines_of_the_interpreter() {
    let table = [
        128, 0, 240, 8, 0, 18, 19, 246, 5, 3, 9, 6, 224, 12, 13, 242, 3, 0, 9, 10, 240, 3, 3, 9, 6,
        128, 65, 240, 0, 3, 9, 6, 240, 8, 4, 5, 15, 216, 8, 9, 143, 8, 137, 8, 144, 17, 140, 11,
        228, 8, 13, 216, 12, 13, 244, 3, 1, 9, 15, 224, 12, 13, 216, 8, 9, 241, 3, 1, 13, 10, 240,
        0, 1, 5, 11, 249, 242, 19, 3, 9, 6, 248, 244, 14, 0, 9, 14, 216, 12, 13, 245, 3, 1, 9, 15,
        250,
    ];
    let expected = [
        (0, 2, Some(1)),
        (2, 4, Some(5)),
        (4, 18, Some(3)),
        (18, 20, Some(5)),
        (20, 26, Some(4)),
        (26, 32, Some(3)),
        (32, 34, Some(7)),
        (34, 68, Some(8)),
        (68, 78, Some(10)),
        (78, 80, Some(11)),
        (80, 90, Some(10)),
        (90, 92, Some(12)),
        (92, 94, Some(13)),
        (94, 100, Some(12)),
        (100, 104, None),
        (104, 110, Some(3)),
        (110, 112, None),
        (112, 122, Some(10)),
        (122, 124, Some(11)),
        (124, 136, Some(10)),
        (136, 142, None),
    ];
    assert_eq!(ranges(Locations, &table, 1), expected);
}

#[test]
fn a_module_starts_on_line_0_since_3_11() {
    // compile("\n\nx=1") by 3.15.2.
    let table = b"\xf1\x03\x01\x01\x01\xf0\x06\x00\x03\x04\x82\x01";
    assert_eq!(
        ranges(Locations, table, 1),
        [(0, 4, Some(0)), (4, 12, Some(3))]
    );
}

#[test]
fn a_line_below_0_is_no_line() {
    // Kind 13 with the difference −2, then kind 11.
    assert_eq!(
        ranges(Locations, &[0xe8, 0x05, 0xd8, 0, 0], 1),
        [(0, 2, None), (2, 4, Some(0))]
    );
}

#[test]
fn signed_varints_have_their_sign_in_the_lowest_bit() {
    let cases: [(&[u8], i64); 7] = [
        (&[0], 0),
        (&[2], 1),
        (&[3], -1),
        (&[63], -31),
        (&[64, 1], 32),
        (&[65, 1], -32),
        (&[127, 127, 127, 127, 127, 63], -((1 << 35) - 1)),
    ];
    for (bytes, value) in cases {
        assert_eq!(signed_varint(bytes), value, "{bytes:?}");
    }
}

#[test]
fn a_frame_that_has_not_started_is_on_the_first_line() {
    for format in FORMATS {
        assert_eq!(line_at(format, &[0, 4, 2, 4], 7, NOT_STARTED), Some(7));
    }
}

#[test]
fn an_offset_behind_the_end_has_no_line() {
    assert_eq!(line_at(Ranges, &[4, 1], 1, 3), Some(2));
    assert_eq!(line_at(Ranges, &[4, 1], 1, 4), None);
    assert_eq!(line_at(Locations, &[0xd0, 0, 0], 1, 2), None);
}

#[test]
fn a_version_has_the_format_that_it_writes() {
    assert_eq!(LineTableFormat::of_version(9), Some(Increments));
    assert_eq!(LineTableFormat::of_version(10), Some(Ranges));
    assert_eq!(LineTableFormat::of_version(15), Some(Locations));
}

/// What must hold of any bytes at all.
fn check_any(table: &[u8], first_line: u32) {
    for format in FORMATS {
        let mut end = 0;
        let mut count = 0;
        for range in LineTable::new(format, table, first_line).lines() {
            assert_eq!(range.start, end, "{format:?} {table:?}");
            assert!(range.end > range.start, "{format:?} {table:?}");
            let last = range.end - 1;
            assert_eq!(
                line_at(format, table, first_line, last),
                range.line,
                "{format:?} {table:?}"
            );
            end = range.end;
            count += 1;
            assert!(count <= table.len() + 1, "{format:?} {table:?}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes an hour")]
fn every_table_of_up_to_two_bytes_is_decoded_without_gaps() {
    check_any(&[], 1);
    for first in 0..=u8::MAX {
        check_any(&[first], u32::MAX);
        for second in 0..=u8::MAX {
            check_any(&[first, second], 1);
        }
    }
}

#[test]
fn random_tables_are_decoded_without_gaps() {
    // xorshift64*: the same tables in every run.
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut random = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    };
    for _ in 0..if cfg!(miri) { 20 } else { 2_000 } {
        let length = random() % 64;
        let table: Vec<u8> = (0..length).map(|_| (random() >> 56) as u8).collect();
        check_any(&table, random() as u32);
    }
}
