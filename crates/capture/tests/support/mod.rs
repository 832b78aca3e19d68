//! Random but consistent recordings, and the plain tables that reading them back must give.
#![allow(dead_code, reason = "each test binary uses a part of this module")]

use heapsight_capture::model::{
    Bounds, Code, CodeKind, Counters, Domain, Mode, Node, Site, SiteId, Tables, Totals,
};
use heapsight_capture::{End, Exit, Header, Tick, TickSummary, Writer};
use proptest::collection::vec;
use proptest::prelude::*;

/// A [`Tick`] that owns its tables.
#[derive(Clone, Debug, Default)]
pub struct Step {
    pub elapsed_ns: u64,
    pub rss_bytes: u64,
    pub highest_rss_bytes: u64,
    pub paths_lag_ns: u64,
    pub totals: Totals,
    pub strings: Vec<String>,
    pub codes: Vec<Code>,
    pub nodes: Vec<Node>,
    pub sites: Vec<Site>,
    pub changed: Vec<(SiteId, Counters)>,
}

impl Step {
    pub fn as_tick(&self) -> Tick<'_> {
        Tick {
            elapsed_ns: self.elapsed_ns,
            rss_bytes: self.rss_bytes,
            highest_rss_bytes: self.highest_rss_bytes,
            paths_lag_ns: self.paths_lag_ns,
            totals: self.totals,
            new_strings: &self.strings,
            new_codes: &self.codes,
            new_nodes: &self.nodes,
            new_sites: &self.sites,
            changed: &self.changed,
            before: None,
        }
    }
}

pub fn header() -> Header {
    Header {
        program: "app.py".into(),
        argv: vec!["app.py".into(), "--fast".into()],
        working_directory: "/home/ann".into(),
        python_version: "3.13.1".into(),
        executable: "/usr/bin/python3".into(),
        platform: "linux-x86_64".into(),
        pid: 4711,
        start_unix_ns: 1_790_000_000_000_000_000,
        mode: Mode::Exact { frame_limit: None },
        by_thread: false,
        tick_ms: 100,
        heapsight_version: "0.1.0".into(),
        run_id: 0,
        is_child: false,
    }
}

pub fn end(steps: &[Step]) -> End {
    let last = steps.last().cloned().unwrap_or_default();
    End {
        elapsed_ns: last.elapsed_ns,
        exit: Exit::Interpreter,
        totals: Totals {
            // Ticks tell of it, and the ending does not.
            bounds: Bounds::default(),
            ..last.totals
        },
    }
}

/// Writes `steps` and the ending; gives the file and the length of the file after the header and after each tick.
pub fn write(steps: &[Step]) -> (Vec<u8>, Vec<usize>) {
    let mut writer = Writer::create(Vec::new(), &header()).expect("a Vec takes everything");
    let mut lengths = vec![writer.bytes_written() as usize];
    for step in steps {
        writer
            .tick(&step.as_tick())
            .expect("the step is consistent");
        lengths.push(writer.bytes_written() as usize);
    }
    (
        writer.finish(&end(steps)).expect("a Vec takes everything"),
        lengths,
    )
}

/// What a reader must make of `steps`, without any encoding in between.
pub fn expected(steps: &[Step]) -> (Tables, Vec<TickSummary>) {
    let mut tables = Tables::default();
    let mut timeline: Vec<TickSummary> = Vec::new();
    for step in steps {
        tables.strings.extend(step.strings.iter().cloned());
        tables.codes.extend(step.codes.iter().cloned());
        tables.nodes.extend(&step.nodes);
        tables.sites.extend(&step.sites);
        tables
            .counters
            .resize(tables.sites.len(), Counters::default());
        for (site, counters) in &step.changed {
            tables.counters[*site as usize] = *counters;
        }
        tables.totals = step.totals;
        let sum = |field: fn(&Counters) -> u64| {
            tables.counters.iter().map(field).fold(0, u64::wrapping_add)
        };
        timeline.push(TickSummary {
            elapsed_ns: step
                .elapsed_ns
                .max(timeline.last().map_or(0, |point| point.elapsed_ns)),
            rss_bytes: step.rss_bytes,
            highest_rss_bytes: step.highest_rss_bytes,
            paths_lag_ns: step.paths_lag_ns,
            live_bytes: step.totals.live_bytes,
            live_blocks: step.totals.live_blocks,
            peak_bytes: step.totals.peak_bytes,
            allocated_bytes: sum(|counters| counters.allocated_bytes),
            allocated_blocks: sum(|counters| counters.allocated_blocks),
            lost_events: step.totals.lost_events,
            tracer_bytes: step.totals.tracer_bytes,
            bounds: step.totals.bounds,
        });
    }
    (tables, timeline)
}

fn figure() -> impl Strategy<Value = u64> {
    prop_oneof![0..100_u64, 0..10_000_000_u64, any::<u64>()]
}

fn totals() -> impl Strategy<Value = Totals> {
    (figure(), figure(), figure(), figure(), figure()).prop_map(
        |(live_bytes, live_blocks, peak_bytes, lost_events, tracer_bytes)| Totals {
            live_bytes,
            live_blocks,
            peak_bytes,
            lost_events,
            tracer_bytes,
            ..Totals::default()
        },
    )
}

fn counters() -> impl Strategy<Value = Counters> {
    (vec(figure(), 8), any::<bool>()).prop_map(|(figures, at_peak)| {
        let mut counters = Counters {
            allocated_bytes: figures[0],
            allocated_blocks: figures[1],
            freed_bytes: figures[2],
            freed_blocks: figures[3],
            temporary_bytes: figures[4],
            temporary_blocks: figures[5],
            peak_bytes: figures[6],
            peak_blocks: figures[7],
        };
        if at_peak {
            counters.peak_bytes = counters.live_bytes();
            counters.peak_blocks = counters.live_blocks();
        }
        counters
    })
}

fn kind() -> impl Strategy<Value = CodeKind> {
    prop_oneof![
        Just(CodeKind::Python),
        Just(CodeKind::Thread),
        Just(CodeKind::Folded)
    ]
}

/// A step whose ids are arbitrary; [`consistent`] brings them into range.
fn raw_step() -> impl Strategy<Value = Step> {
    let names = (
        vec(".{0,12}", 0..4),
        vec((kind(), any::<u32>(), any::<u32>(), any::<u32>()), 0..4),
        vec((any::<u32>(), any::<u32>(), any::<u32>()), 0..6),
        vec((any::<u32>(), 0..30_u32), 0..6),
    );
    let figures = (
        0..1_000_000_000_u64,
        (figure(), figure(), figure()),
        totals(),
        vec((any::<u32>(), counters()), 0..8),
    );
    (names, figures).prop_map(
        |((strings, codes, nodes, sites), (elapsed_ns, sizes, totals, changed))| Step {
            elapsed_ns,
            rss_bytes: sizes.0,
            highest_rss_bytes: sizes.1,
            paths_lag_ns: sizes.2,
            totals,
            strings,
            codes: codes
                .into_iter()
                .map(|(kind, filename, name, first_line)| Code {
                    kind,
                    filename,
                    name,
                    first_line,
                })
                .collect(),
            nodes: nodes
                .into_iter()
                .map(|(parent, code, line)| Node { parent, code, line })
                .collect(),
            sites: sites
                .into_iter()
                .map(|(node, domain)| Site {
                    node,
                    domain: Domain(domain),
                })
                .collect(),
            changed,
        },
    )
}

fn consistent(mut steps: Vec<Step>) -> Vec<Step> {
    let root = Node {
        parent: 0,
        code: 0,
        line: 0,
    };
    if let Some(first) = steps.first_mut() {
        first.nodes.insert(0, root);
    }
    let (mut strings, mut codes, mut nodes, mut sites) = (0, 0, 0, 0);
    let wrap = |id: &mut u32, count: u32| {
        *id = id.checked_rem(count).unwrap_or_default();
        count > 0
    };
    for step in &mut steps {
        strings += step.strings.len() as u32;
        step.codes
            .retain_mut(|code| wrap(&mut code.filename, strings) && wrap(&mut code.name, strings));
        codes += step.codes.len() as u32;
        step.nodes.retain_mut(|node| {
            let is_kept =
                nodes == 0 || (wrap(&mut node.parent, nodes) && wrap(&mut node.code, codes));
            nodes += u32::from(is_kept);
            is_kept
        });
        step.sites.retain_mut(|site| wrap(&mut site.node, nodes));
        sites += step.sites.len() as u32;
        step.changed.retain_mut(|(site, _)| wrap(site, sites));
    }
    steps
}

/// Recordings of up to `max_ticks` ticks.
pub fn recordings(max_ticks: usize) -> impl Strategy<Value = Vec<Step>> {
    vec(raw_step(), 0..=max_ticks).prop_map(consistent)
}

/// A fixed recording of three ticks that uses every kind of entry.
pub fn small_recording() -> Vec<Step> {
    let counters = |allocated: u64, freed: u64, peak: u64| Counters {
        allocated_bytes: allocated * 64,
        allocated_blocks: allocated,
        freed_bytes: freed * 64,
        freed_blocks: freed,
        temporary_bytes: freed * 32,
        temporary_blocks: freed / 2,
        peak_bytes: peak * 64,
        peak_blocks: peak,
    };
    let totals = |live: u64, peak: u64| Totals {
        live_bytes: live * 64,
        live_blocks: live,
        peak_bytes: peak * 64,
        lost_events: 0,
        tracer_bytes: 1 << 20,
        ..Totals::default()
    };
    let code = |kind, filename, name, first_line| Code {
        kind,
        filename,
        name,
        first_line,
    };
    vec![
        Step {
            elapsed_ns: 100_000_000,
            rss_bytes: 20 << 20,
            highest_rss_bytes: 23 << 20,
            paths_lag_ns: 0,
            totals: totals(70, 70),
            strings: vec!["/home/ann/app.py".into(), "<module>".into(), "wörk".into()],
            codes: vec![
                code(CodeKind::Python, 0, 1, 1),
                code(CodeKind::Python, 0, 2, 10),
            ],
            nodes: vec![
                Node {
                    parent: 0,
                    code: 0,
                    line: 0,
                },
                Node {
                    parent: 0,
                    code: 0,
                    line: 30,
                },
                Node {
                    parent: 1,
                    code: 1,
                    line: 12,
                },
            ],
            sites: vec![
                Site {
                    node: 2,
                    domain: Domain::OBJ,
                },
                Site {
                    node: 2,
                    domain: Domain::RAW,
                },
            ],
            changed: vec![(0, counters(50, 0, 50)), (1, counters(20, 0, 20))],
        },
        Step {
            elapsed_ns: 200_000_000,
            rss_bytes: 21 << 20,
            highest_rss_bytes: 30 << 20,
            paths_lag_ns: 100_000_000,
            totals: totals(40, 90),
            strings: vec!["MainThread".into(), "many".into()],
            codes: vec![
                code(CodeKind::Thread, 1, 3, 0),
                code(CodeKind::Folded, 1, 4, 0),
            ],
            nodes: vec![
                Node {
                    parent: 0,
                    code: 2,
                    line: 0,
                },
                Node {
                    parent: 3,
                    code: 3,
                    line: 0,
                },
            ],
            sites: vec![Site {
                node: 4,
                domain: Domain(16 + 389_047),
            }],
            changed: vec![(0, counters(60, 50, 55)), (2, counters(30, 0, 25))],
        },
        Step {
            elapsed_ns: 350_000_000,
            rss_bytes: 19 << 20,
            highest_rss_bytes: 30 << 20,
            paths_lag_ns: 0,
            totals: Totals {
                bounds: Bounds {
                    folded_bytes: 4096,
                    cuts: 3,
                    gone_paths: 2,
                },
                ..totals(10, 90)
            },
            changed: vec![(1, counters(20, 10, 20))],
            ..Step::default()
        },
    ]
}
