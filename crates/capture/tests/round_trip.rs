//! What is written is what is read.

mod support;

use heapsight_capture::model::{Counters, Node, Site, Totals};
use heapsight_capture::{Block, Capture, End, Note, Tick, WriteError, Writer};
use proptest::prelude::*;
use support::{Step, end, expected, header, recordings, small_recording, write};

proptest! {
    #[test]
    fn a_recording_reads_back_as_the_tables_it_was_made_from(steps in recordings(6)) {
        let (file, _) = write(&steps);
        let capture = Capture::read(&file[..])?;
        let (tables, timeline) = expected(&steps);
        prop_assert_eq!(&capture.tables, &tables);
        prop_assert_eq!(&capture.timeline, &timeline);
        prop_assert_eq!(capture.header, header());
        prop_assert_eq!(capture.end, Some(end(&steps)));
        prop_assert_eq!(capture.truncation, None);
    }

    #[test]
    fn reading_up_to_a_moment_gives_the_tables_of_the_last_tick_before_it(
        steps in recordings(6),
        elapsed_ns in 0..1_000_000_000_u64,
    ) {
        let (file, _) = write(&steps);
        let capture = Capture::read_until(&file[..], elapsed_ns)?;
        let (_, timeline) = expected(&steps);
        let known = timeline.partition_point(|point| point.elapsed_ns <= elapsed_ns);
        let (tables, timeline) = expected(&steps[..known]);
        prop_assert_eq!(capture.tables, tables);
        prop_assert_eq!(capture.timeline, timeline);
        prop_assert_eq!(capture.end, None);
    }

    #[test]
    fn a_block_table_reads_back_in_its_order(
        figures in proptest::collection::vec((any::<u64>(), any::<u64>(), 0..3_u32), 0..50),
    ) {
        let blocks: Vec<Block> = figures
            .into_iter()
            .map(|(address, size, site)| Block { address, size, site })
            .collect();
        let capture = read_with_blocks(&[&blocks]);
        prop_assert_eq!(capture.blocks, Some(blocks));
    }
}

fn read_with_blocks(tables: &[&[Block]]) -> Capture {
    let mut writer = Writer::create(Vec::new(), &header()).expect("a Vec takes everything");
    for step in small_recording() {
        writer.tick(&step.as_tick()).expect("consistent");
    }
    for blocks in tables {
        writer.blocks(blocks).expect("consistent");
    }
    let file = writer
        .finish(&end(&small_recording()))
        .expect("a Vec takes everything");
    Capture::read(&file[..]).expect("readable")
}

#[test]
fn a_block_table_of_several_frames_is_put_together() {
    let blocks: Vec<Block> = (0..600_000)
        .map(|index| Block {
            address: 0x7f00_0000_0000 + index * 32,
            size: index % 97,
            site: 1,
        })
        .collect();
    assert_eq!(read_with_blocks(&[&blocks]).blocks, Some(blocks));
}

#[test]
fn the_last_of_two_block_tables_counts() {
    let old = [Block {
        address: 16,
        size: 1,
        site: 0,
    }];
    let new = [Block {
        address: 32,
        size: 2,
        site: 2,
    }];
    assert_eq!(read_with_blocks(&[&old, &new]).blocks, Some(new.to_vec()));
    assert_eq!(read_with_blocks(&[&old, &[]]).blocks, Some(Vec::new()));
}

#[test]
fn a_tick_after_a_block_table_makes_it_out_of_date() {
    let mut writer = Writer::create(Vec::new(), &header()).expect("a Vec takes everything");
    let steps = small_recording();
    writer.tick(&steps[0].as_tick()).expect("consistent");
    writer.blocks(&[Block::default()]).expect("consistent");
    writer.tick(&steps[1].as_tick()).expect("consistent");
    let file = writer.finish(&end(&steps)).expect("a Vec takes everything");
    assert_eq!(Capture::read(&file[..]).expect("readable").blocks, None);
}

#[test]
fn a_time_that_runs_backwards_is_stored_as_standing_still() {
    let mut steps = small_recording();
    steps[1].elapsed_ns = 5;
    let (file, _) = write(&steps);
    let timeline = Capture::read(&file[..]).expect("readable").timeline;
    assert_eq!(timeline[1].elapsed_ns, steps[0].elapsed_ns);
}

#[test]
fn the_peak_is_dated_by_the_first_tick_that_knew_it() {
    let (file, _) = write(&small_recording());
    let capture = Capture::read(&file[..]).expect("readable");
    assert_eq!(capture.peak(), Some((200_000_000, 90 * 64)));
}

#[test]
fn a_payload_that_compresses_extremely_well_is_still_accepted_by_the_reader() {
    let first = small_recording().swap_remove(0);
    let sites = 200_000;
    let many = Step {
        sites: vec![first.sites[0]; sites],
        changed: (0..sites as u32)
            .map(|site| {
                (
                    site,
                    Counters {
                        allocated_bytes: 64,
                        allocated_blocks: 1,
                        ..Counters::default()
                    },
                )
            })
            .collect(),
        totals: Totals::default(),
        ..Step::default()
    };
    let steps = [first, many];
    let (file, _) = write(&steps);
    let capture = Capture::read(&file[..]).expect("readable");
    assert_eq!(capture.truncation, None);
    assert_eq!(capture.tables, expected(&steps).0);
}

#[test]
fn ids_that_the_reader_could_not_know_are_refused_and_leave_no_trace() {
    let steps = small_recording();
    let mut writer = Writer::create(Vec::new(), &header()).expect("a Vec takes everything");
    writer.tick(&steps[0].as_tick()).expect("consistent");
    let length = writer.bytes_written();
    let bad = [
        Tick {
            new_codes: &steps[1].codes,
            ..Tick::default()
        },
        Tick {
            new_nodes: &[Node {
                parent: 3,
                code: 0,
                line: 0,
            }],
            ..Tick::default()
        },
        Tick {
            new_nodes: &[Node {
                parent: 0,
                code: 2,
                line: 0,
            }],
            ..Tick::default()
        },
        Tick {
            new_sites: &[Site {
                node: 3,
                ..steps[0].sites[0]
            }],
            ..Tick::default()
        },
        Tick {
            changed: &[(2, Counters::default())],
            ..Tick::default()
        },
    ];
    for tick in &bad {
        let refusal = writer.tick(tick).expect_err("an id is unknown");
        assert!(matches!(refusal, WriteError::Inconsistent(_)), "{refusal}");
    }
    assert_eq!(writer.bytes_written(), length);
    writer.tick(&steps[1].as_tick()).expect("consistent");
    writer.tick(&steps[2].as_tick()).expect("consistent");
    let file = writer.finish(&end(&steps)).expect("a Vec takes everything");
    assert_eq!(
        Capture::read(&file[..]).expect("readable").tables,
        expected(&steps).0
    );
}

#[test]
fn notes_come_back_in_order() {
    let notes = ["first", "größe", ""].map(|text| Note {
        name: "snapshot".to_owned(),
        text: text.to_owned(),
    });
    let mut writer = Writer::create(Vec::new(), &header()).expect("a Vec takes everything");
    for note in &notes {
        writer.note(note).expect("a Vec takes everything");
    }
    let file = writer
        .finish(&End::default())
        .expect("a Vec takes everything");
    let capture = Capture::read(&file[..]).expect("readable");
    assert_eq!(capture.notes, notes);
    assert_eq!(capture.truncation, None);
}

#[test]
fn a_recording_says_until_when_its_totals_and_its_paths_are_known() {
    let mut steps = small_recording();
    steps[2].paths_lag_ns = 120_000_000;
    let (file, _) = write(&steps);
    let capture = Capture::read(&file[..]).expect("readable");
    assert_eq!(capture.totals_until_ns(), 350_000_000);
    assert_eq!(capture.paths_until_ns(), 230_000_000);
    let earlier = Capture::read_until(&file[..], 100_000_000).expect("readable");
    assert_eq!(earlier.paths_until_ns(), earlier.totals_until_ns());
}
