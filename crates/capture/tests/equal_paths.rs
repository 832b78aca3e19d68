//! Paths that the tracer gave back and met again are in the file more than once, and read as one.

mod support;

use std::collections::BTreeMap;

use heapsight_capture::model::{Bounds, CodeKind, Counters, Tables};
use heapsight_capture::{Block, Capture, Replay, Writer};
use proptest::prelude::*;
use support::{Step, end, expected, header, recordings, small_recording, write};

/// A call path as one sees it, outermost first, and the domain.
type Place<'t> = (Vec<(u8, &'t str, &'t str, u32, u32)>, u32);

fn places(tables: &Tables) -> Vec<Place<'_>> {
    let of_site = |site: &heapsight_capture::model::Site| {
        let mut path = Vec::new();
        let mut at = site.node;
        while at != 0 {
            let node = &tables.nodes[at as usize];
            let code = &tables.codes[node.code as usize];
            let text = |id: u32| tables.strings[id as usize].as_str();
            let kind = match code.kind {
                CodeKind::Python => 0,
                CodeKind::Thread => 1,
                CodeKind::Folded => 2,
            };
            path.push((
                kind,
                text(code.filename),
                text(code.name),
                code.first_line,
                node.line,
            ));
            at = node.parent;
        }
        path.reverse();
        (path, site.domain.0)
    };
    tables.sites.iter().map(of_site).collect()
}

fn sums(tables: &Tables) -> BTreeMap<Place<'_>, [u64; 8]> {
    let mut sums = BTreeMap::<_, [u64; 8]>::new();
    for (place, of) in places(tables).into_iter().zip(&tables.counters) {
        let figures = [
            of.allocated_bytes,
            of.allocated_blocks,
            of.freed_bytes,
            of.freed_blocks,
            of.temporary_bytes,
            of.temporary_blocks,
            of.peak_bytes,
            of.peak_blocks,
        ];
        for (sum, figure) in sums.entry(place).or_default().iter_mut().zip(figures) {
            *sum = sum.wrapping_add(figure);
        }
    }
    sums
}

fn gone_since(mut steps: Vec<Step>, first: usize) -> Vec<Step> {
    for (paths, step) in (1..).zip(steps.iter_mut().skip(first)) {
        step.totals.bounds.gone_paths = paths;
    }
    steps
}

proptest! {
    #[test]
    fn equal_paths_are_added_up_at_every_tick(steps in recordings(6), first in 0..4_usize) {
        let steps = gone_since(steps, first);
        let (file, _) = write(&steps);
        let mut replay = Replay::open(&file[..])?;
        let mut earlier = Tables::default();
        for known in 1..=steps.len() {
            prop_assert!(replay.advance()?);
            let tables = &replay.capture().tables;
            let (raw, _) = expected(&steps[..known]);
            prop_assert_eq!(sums(tables), sums(&raw));
            prop_assert_eq!(tables.totals, raw.totals);
            // Numbers stay what they are.
            prop_assert_eq!(&tables.sites[..earlier.sites.len()], &earlier.sites);
            prop_assert_eq!(&tables.nodes[..earlier.nodes.len()], &earlier.nodes);
            for site in replay.changed() {
                prop_assert!((*site as usize) < tables.sites.len());
            }
            let all = places(tables);
            for (index, place) in all.iter().enumerate().skip(earlier.sites.len()) {
                let is_known = all[..index].contains(place);
                prop_assert!(!is_known || known <= first, "{place:?} is there twice");
            }
            earlier = tables.clone();
        }
    }

    #[test]
    fn what_a_caller_knows_of_the_file_is_written_as_if_the_writer_knew(steps in recordings(6)) {
        let (file, _) = write(&steps);
        let mut writer = Writer::create(Vec::new(), &header())?;
        let mut known: Vec<Counters> = Vec::new();
        for step in &steps {
            known.resize(known.len() + step.sites.len(), Counters::default());
            let before: Vec<Counters> =
                step.changed.iter().map(|(site, _)| known[*site as usize]).collect();
            let mut tick = step.as_tick();
            tick.before = Some(&before);
            writer.tick(&tick)?;
            for (site, counters) in &step.changed {
                known[*site as usize] = *counters;
            }
        }
        prop_assert_eq!(writer.finish(&end(&steps))?, file);
    }
}

#[test]
fn blocks_are_at_the_site_that_their_double_is_added_to() {
    let mut steps = small_recording();
    let again = steps[0].clone();
    // All of the first tick once more, under new numbers; its root is the recording's.
    let [strings, codes, nodes] = [
        steps.iter().map(|step| step.strings.len()).sum::<usize>() as u32,
        steps.iter().map(|step| step.codes.len()).sum::<usize>() as u32,
        steps.iter().map(|step| step.nodes.len()).sum::<usize>() as u32,
    ];
    let sites = steps.iter().map(|step| step.sites.len()).sum::<usize>() as u32;
    let mut double = Step {
        elapsed_ns: 900_000_000,
        strings: again.strings.clone(),
        ..Step::default()
    };
    double.totals.bounds = Bounds {
        gone_paths: 3,
        ..Bounds::default()
    };
    double.codes = again.codes.clone();
    for code in &mut double.codes {
        code.filename += strings;
        code.name += strings;
    }
    let shift = |node: u32| if node == 0 { 0 } else { node - 1 + nodes };
    double.nodes = again.nodes[1..].to_vec();
    for node in &mut double.nodes {
        node.parent = shift(node.parent);
        node.code += codes;
    }
    double.sites = again.sites.clone();
    for site in &mut double.sites {
        site.node = shift(site.node);
    }
    double.changed = vec![(
        sites,
        Counters {
            allocated_bytes: 5,
            allocated_blocks: 1,
            ..Counters::default()
        },
    )];
    steps.push(double);
    let mut writer = Writer::create(Vec::new(), &header()).expect("a Vec takes everything");
    for step in &steps {
        writer.tick(&step.as_tick()).expect("consistent");
    }
    let block = |site: u32| Block {
        address: 16,
        size: 5,
        site,
    };
    writer.blocks(&[block(sites)]).expect("consistent");
    let file = writer.finish(&end(&steps)).expect("a Vec takes everything");
    let capture = Capture::read(&file[..]).expect("readable");
    let (before, _) = expected(&steps[..steps.len() - 1]);
    assert_eq!(capture.truncation, None);
    assert_eq!(capture.tables.nodes, before.nodes);
    assert_eq!(capture.tables.strings, before.strings);
    assert_eq!(capture.tables.codes, before.codes);
    assert_eq!(capture.blocks, Some(vec![block(0)]));
    let grown = capture.tables.counters[0].allocated_bytes - before.counters[0].allocated_bytes;
    assert_eq!(grown, 5);
}
