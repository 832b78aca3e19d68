//! Whatever a damaged or malicious capture holds, reports and exports are made of it without a panic. The same is
//! fuzzed: see fuzz/.

use heapsight_analysis::call_tree::{Direction, TreeQuery};
use heapsight_analysis::recording::Reached;
use heapsight_analysis::{GroupBy, Imports, Metric, Query, live_at_peak, truncate};
use heapsight_capture::model::{
    Code, CodeKind, Counters, Domain, Mode, Node, Site, Tables, Totals,
};
use heapsight_capture::{Block, Capture, Header, Note, TickSummary};
use heapsight_report::{
    Annotate, DiffSelection, DisplayOptions, ExportOptions, Format, Lines, Look, PageOptions,
    PageSide, Selection, Shown, Side, Statistics, TreeText, annotate, biggest_blocks, diff, export,
    lines, page, summary, tree,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Figures that are small, or as large as they can be.
fn figure() -> impl Strategy<Value = u64> {
    prop_oneof![0..1000_u64, any::<u64>(), Just(u64::MAX)]
}

fn counters() -> impl Strategy<Value = Counters> {
    vec(figure(), 8).prop_map(|figures| Counters {
        allocated_bytes: figures[0],
        allocated_blocks: figures[1],
        freed_bytes: figures[2],
        freed_blocks: figures[3],
        temporary_bytes: figures[4],
        temporary_blocks: figures[5],
        peak_bytes: figures[6],
        peak_blocks: figures[7],
    })
}

/// Tables whose ids are in range, as the reader makes sure, and nothing else.
fn captures() -> impl Strategy<Value = Capture> {
    let kind = prop_oneof![
        Just(CodeKind::Python),
        Just(CodeKind::Thread),
        Just(CodeKind::Folded)
    ];
    let codes = vec((kind, any::<u32>(), any::<u32>(), any::<u32>()), 1..5);
    let nodes = vec((any::<u32>(), any::<u32>(), any::<u32>()), 0..12);
    let sites = vec((any::<u32>(), any::<u32>(), counters()), 0..8);
    let blocks = proptest::option::of(vec((any::<u64>(), any::<u64>(), any::<u32>()), 0..6));
    (
        vec(any::<String>(), 1..5),
        codes,
        nodes,
        sites,
        blocks,
        vec(vec(figure(), 9), 0..4),
        (any::<String>(), any::<u64>(), any::<bool>()),
    )
        .prop_map(
            |(strings, codes, nodes, sites, blocks, points, (text, number, sampled))| {
                let mut tables = Tables {
                    nodes: vec![Node {
                        parent: 0,
                        code: 0,
                        line: 0,
                    }],
                    totals: Totals {
                        live_bytes: number,
                        peak_bytes: number,
                        ..Totals::default()
                    },
                    ..Tables::default()
                };
                let names = strings.len() as u32;
                tables.strings = strings;
                for (kind, filename, name, first_line) in codes {
                    tables.codes.push(Code {
                        kind,
                        filename: filename % names,
                        name: name % names,
                        first_line,
                    });
                }
                for (parent, code, line) in nodes {
                    tables.nodes.push(Node {
                        parent: parent % tables.nodes.len() as u32,
                        code: code % tables.codes.len() as u32,
                        line,
                    });
                }
                for (node, domain, counters) in sites {
                    tables.sites.push(Site {
                        node: node % tables.nodes.len() as u32,
                        domain: Domain(domain),
                    });
                    tables.counters.push(counters);
                }
                let count = tables.sites.len() as u32;
                let blocks = blocks.filter(|_| count > 0).map(|blocks| {
                    let block = |(address, size, site): (u64, u64, u32)| Block {
                        address,
                        size,
                        site: site % count,
                    };
                    blocks.into_iter().map(block).collect()
                });
                let point = |figures: Vec<u64>| TickSummary {
                    elapsed_ns: figures[0],
                    rss_bytes: figures[1],
                    live_bytes: figures[2],
                    live_blocks: figures[3],
                    peak_bytes: figures[4],
                    allocated_bytes: figures[5],
                    allocated_blocks: figures[6],
                    lost_events: figures[7],
                    tracer_bytes: figures[8],
                    ..TickSummary::default()
                };
                let mut timeline: Vec<TickSummary> = points.into_iter().map(point).collect();
                timeline.sort_by_key(|point| point.elapsed_ns);
                let mode = if sampled {
                    Mode::Sampled { mean_bytes: number }
                } else {
                    Mode::Exact { frame_limit: None }
                };
                Capture {
                    header: Header {
                        program: text.clone(),
                        python_version: text.clone(),
                        start_unix_ns: number,
                        mode,
                        ..Header::default()
                    },
                    tables,
                    timeline,
                    blocks,
                    notes: vec![Note {
                        name: "snapshot".into(),
                        text,
                    }],
                    ..Capture::default()
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_page_of_any_capture_is_made_and_has_no_tag_that_is_not_ours(
        capture in captures(), other in captures(), most_paths in 0_usize..6
    ) {
        let side = |capture| PageSide { name: "</title><img>", capture, columns: None, sites: None, half: None };
        let options = PageOptions { most_paths, ..PageOptions::default() };
        let made = |old| {
            let mut out = Vec::new();
            page(side(&capture), old, &options, &mut out).expect("a Vec takes everything");
            String::from_utf8(out).expect("a page is UTF-8")
        };
        for old in [None, Some(side(&other))] {
            let page = made(old);
            let data = &page[page.find("id=\"data-about\"").expect("there are data")..];
            let (data, _) = data.split_once("\n<script>").expect("the page's own script follows");
            prop_assert!(!page.contains("</title><img>"));
            // Of the data no character but those of our own tags can begin one.
            let tags = data.matches('<').count();
            let ours = data.matches("<script type=\"application/octet-stream\" id=\"data-").count();
            prop_assert_eq!(tags, 2 * ours + 1);
        }
    }

    #[test]
    fn every_report_and_export_of_any_capture_is_made(capture in captures(), other in captures()) {
        let look = Look::plain(80);
        for group_by in GroupBy::ALL {
            let selection = Selection {
                group_by,
                cumulative: true,
                metrics: Metric::ALL.to_vec(),
                ..Selection::default()
            };
            prop_assert!(!summary(&capture, &selection, None, &look).is_empty());
            let imports = Imports::for_people(capture.header.mode, false);
            let query = Query { metric: Metric::Live, group_by, cumulative: true, imports };
            let side = |capture| Side { name: "x", capture, moment: Reached::End };
            let selection = DiffSelection { query, count: 5, is_filtered: false };
            let _ = diff(side(&other), side(&capture), &selection, &look);
            for by_address in [false, true] {
                let what = Lines {
                    query,
                    by_address,
                    count: 5,
                    show_metrics: true,
                    show_growth: true,
                    display: DisplayOptions::default(),
                };
                let shown = |capture| Shown { capture, moment: Reached::End };
                let _ = lines(shown(&capture), Some(shown(&other)), &what, &look);
            }
            for format in Format::ALL {
                let options = ExportOptions { metric: Metric::Live, group_by: Some(group_by) };
                export(&capture, format, &options, &mut Vec::new()).expect("a Vec takes everything");
            }
        }
        for (cumulative, all) in [(false, true), (true, false)] {
            let what = Annotate {
                file: None,
                count: 3,
                all,
                cumulative,
                moment: Reached::End,
                imports: Imports::for_people(capture.header.mode, false),
                is_filtered: false,
            };
            prop_assert!(annotate(&capture, &what, &look).is_ok());
        }
        for (direction, by_blocks) in [(Direction::Callees, false), (Direction::Callers, true)] {
            let imports = Imports::for_people(capture.header.mode, false);
            let what = TreeText {
                query: TreeQuery { direction, by_function: by_blocks, imports, ..TreeQuery::default() },
                by_blocks,
                least_percent: 0.0,
                moment: Reached::End,
                is_filtered: false,
            };
            prop_assert!(!tree(&capture, &what, &look).is_empty());
        }
        let blocks = capture.blocks.as_deref().unwrap_or_default();
        let _ = biggest_blocks(&capture, blocks, 3, Imports::for_people(capture.header.mode, false), &look);
        let moment = Reached::Between { from_ns: 7, to_ns: u64::MAX };
        for moment in [Reached::End, Reached::Start, moment] {
            let statistics = Statistics::new(&capture, 1, moment, false);
            let _ = statistics.json(&capture) + &statistics.text(&capture, &look);
            let selection = Selection { moment, is_filtered: true, ..Selection::default() };
            let _ = summary(&capture, &selection, None, &look);
        }
        let _ = truncate(&capture.tables, 2);
        let mut capture = capture;
        live_at_peak(&mut capture.tables);
    }
}
