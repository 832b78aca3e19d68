//! Sums against those of a plain model that goes from block to block.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// (file, line), most recent first.
type Frames = Vec<(String, u32)>;
type Model = Vec<(u32, u64, Frames)>;

fn frames() -> impl Strategy<Value = Frames> {
    let file = prop_oneof![Just("a.py"), Just("b.py"), Just("é.py")];
    proptest::collection::vec((file.prop_map(str::to_owned), 0..3_u32), 1..5)
}

fn model() -> impl Strategy<Value = Model> {
    proptest::collection::vec((0..3_u32, 0..50_u64, frames()), 0..60)
}

fn traces_of(model: &Model) -> Traces {
    let mut paths = PathsBuilder::with_capacity(4);
    let mut rows = Vec::new();
    for (domain, size_bytes, frames) in model {
        let ids: Vec<FrameId> = frames
            .iter()
            .map(|(file, line)| {
                let file = paths.string(file);
                paths.frame(file, *line)
            })
            .collect();
        rows.push(TraceRow {
            domain: *domain,
            size_bytes: *size_bytes,
            path: paths.path(&ids),
            total_frames: Some(9),
        });
    }
    let order = (0..rows.len() as RowId).rev().collect();
    Traces::in_order(paths.finish(), rows, order)
}

fn sums(model: &Model, by: TraceGroupBy) -> BTreeMap<Frames, (u64, u64)> {
    let mut sums = BTreeMap::new();
    for (_, size, frames) in model {
        let keys: Vec<Frames> = match by {
            TraceGroupBy::Traceback => vec![frames.clone()],
            TraceGroupBy::Line { cumulative } => frames
                .iter()
                .take(if cumulative { 9 } else { 1 })
                .map(|frame| vec![frame.clone()])
                .collect(),
            TraceGroupBy::Filename { cumulative } => frames
                .iter()
                .take(if cumulative { 9 } else { 1 })
                .map(|(file, _)| vec![(file.clone(), 0)])
                .collect(),
        };
        for key in keys {
            let sum: &mut (u64, u64) = sums.entry(key).or_default();
            sum.0 += size;
            sum.1 += 1;
        }
    }
    sums
}

fn owned<'t>(places: impl Iterator<Item = (&'t str, u32)>) -> Frames {
    places.map(|(file, line)| (file.to_owned(), line)).collect()
}

const GROUPINGS: [TraceGroupBy; 5] = [
    TraceGroupBy::Filename { cumulative: false },
    TraceGroupBy::Filename { cumulative: true },
    TraceGroupBy::Line { cumulative: false },
    TraceGroupBy::Line { cumulative: true },
    TraceGroupBy::Traceback,
];

proptest! {
    #[test]
    fn groups_are_the_sums_of_their_blocks_in_descending_order(model in model()) {
        let traces = traces_of(&model);
        for by in GROUPINGS {
            let groups = group_traces(&traces, by);
            let found: BTreeMap<Frames, (u64, u64)> = groups
                .iter()
                .map(|group| (owned(group.places(traces.paths())), (group.bytes, group.blocks)))
                .collect();
            prop_assert_eq!(&found, &sums(&model, by));
            let order: Vec<_> = groups
                .iter()
                .map(|group| (group.bytes, group.blocks, owned(group.places(traces.paths()).rev())))
                .collect();
            prop_assert!(order.is_sorted_by(|one, other| one > other), "{:?}", order);
        }
    }

    #[test]
    fn differences_tell_of_every_group_of_both(new in model(), old in model()) {
        let (new_traces, old_traces) = (traces_of(&new), traces_of(&old));
        for by in GROUPINGS {
            let (now, before) = (sums(&new, by), sums(&old, by));
            let mut expected: Vec<_> = now
                .keys()
                .chain(before.keys().filter(|key| !now.contains_key(*key)))
                .map(|key| {
                    let (bytes, blocks) = now.get(key).copied().unwrap_or_default();
                    let (old_bytes, old_blocks) = before.get(key).copied().unwrap_or_default();
                    let changes = (bytes as i64 - old_bytes as i64, blocks as i64 - old_blocks as i64);
                    let oldest_first: Frames = key.iter().rev().cloned().collect();
                    (changes.0.abs(), bytes, changes.1.abs(), blocks, oldest_first, changes)
                })
                .collect();
            expected.sort();
            expected.reverse();
            let found: Vec<_> = compare_traces(&new_traces, &old_traces, by)
                .iter()
                .map(|each| {
                    let paths = if each.side == Side::New { new_traces.paths() } else { old_traces.paths() };
                    let changes = (each.bytes_change, each.blocks_change);
                    let places = owned(each.places(paths).rev());
                    (changes.0.abs(), each.bytes, changes.1.abs(), each.blocks, places, changes)
                })
                .collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_filter_keeps_order_and_counts(model in model()) {
        let traces = traces_of(&model);
        let keep: Vec<bool> = traces.rows().iter().map(|row| row.domain != 1).collect();
        let kept = traces.filtered(&keep);
        let expected: Vec<TraceRow> = (0..traces.len())
            .map(|position| traces.rows()[traces.row_at(position) as usize])
            .filter(|row| row.domain != 1)
            .collect();
        let row_at = |position| kept.rows()[kept.row_at(position) as usize];
        let found: Vec<TraceRow> = (0..kept.len()).map(row_at).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn positions_in_runs_are_those_of_the_rows_one_after_the_other() {
    let tables = Tables {
        nodes: vec![heapsight_capture::model::Node {
            parent: ROOT,
            code: 0,
            line: 0,
        }],
        sites: vec![heapsight_capture::model::Site {
            node: ROOT,
            domain: Domain(Domain::EXTENSION_BASE + 7),
        }],
        ..Tables::default()
    };
    let traces = Traces::of_tables(&tables, [(0, 8, 2), (0, 16, 1)], 5);
    let rows: Vec<RowId> = (0..traces.len()).map(|at| traces.row_at(at)).collect();
    assert_eq!(rows, [0, 0, 1]);
    assert_eq!(traces.counts(), [2, 1]);
    let row = traces.rows()[1];
    assert_eq!((row.domain, row.total_frames), (7, Some(1)));
    assert_eq!(
        owned(
            traces
                .paths()
                .path(row.path)
                .iter()
                .map(|frame| traces.paths().place(*frame))
        ),
        [(UNKNOWN.to_owned(), 0)]
    );
    let kept = traces.filtered(&[false, true]);
    assert_eq!((kept.len(), kept.rows()[0].size_bytes), (1, 16));
}
