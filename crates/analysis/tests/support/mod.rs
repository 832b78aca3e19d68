//! Random small tables with many coincidences, and a plain reading of them.

use heapsight_capture::model::{Code, CodeKind, Counters, Domain, Node, Site, Tables, Totals};
use proptest::collection::vec;
use proptest::prelude::*;

/// (file, line, function).
pub type PlainFrame = (String, u32, String);

/// One site, spelled out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainSite {
    /// Most recent first.
    pub frames: Vec<PlainFrame>,
    pub thread: Option<String>,
    pub domain: Domain,
    pub counters: Counters,
}

/// Spells out every site.
pub fn plain(tables: &Tables) -> Vec<PlainSite> {
    let text = |id: u32| tables.strings[id as usize].clone();
    tables
        .sites
        .iter()
        .zip(&tables.counters)
        .map(|(site, counters)| {
            let (mut frames, mut thread) = (Vec::new(), None);
            let mut id = site.node;
            while id != 0 {
                let node = tables.nodes[id as usize];
                let code = &tables.codes[node.code as usize];
                if code.kind == CodeKind::Thread {
                    thread = Some(text(code.name));
                } else {
                    frames.push((text(code.filename), node.line, text(code.name)));
                }
                id = node.parent;
            }
            PlainSite {
                frames,
                thread,
                domain: site.domain,
                counters: *counters,
            }
        })
        .collect()
}

/// Tables of up to 20 call paths over few names. Several nodes, codes and sites look alike on purpose: the tracer tells
/// apart more than people see.
pub fn tables() -> impl Strategy<Value = Tables> {
    let names = ["a.py", "b.py", "f", "g", "MainThread", "worker"];
    let code = (0..2_u32, 2..4_u32, 1..3_u32);
    let node = (any::<u32>(), any::<u32>(), 0..3_u32);
    let site = (any::<u32>(), 0..3_u32, vec(0..50_u64, 8));
    (
        any::<bool>(),
        vec(code, 1..6),
        vec(node, 0..20),
        vec(site, 0..20),
    )
        .prop_map(move |(by_thread, codes, nodes, sites)| {
            let mut codes: Vec<Code> = codes
                .into_iter()
                .map(|(filename, name, first_line)| Code {
                    kind: CodeKind::Python,
                    filename,
                    name,
                    first_line,
                })
                .collect();
            let frames = codes.len() as u32;
            let mut tree = vec![Node {
                parent: 0,
                code: 0,
                line: 0,
            }];
            if by_thread {
                for name in [4, 5] {
                    tree.push(Node {
                        parent: 0,
                        code: codes.len() as u32,
                        line: 0,
                    });
                    codes.push(Code {
                        kind: CodeKind::Thread,
                        filename: 4,
                        name,
                        first_line: 0,
                    });
                }
            }
            for (parent, code, line) in nodes {
                let lowest = u32::from(by_thread);
                let parent = lowest + parent % (tree.len() as u32 - lowest);
                tree.push(Node {
                    parent,
                    code: code % frames,
                    line,
                });
            }
            let (sites, counters) = sites
                .into_iter()
                .map(|(node, domain, figures)| {
                    let site = Site {
                        node: node % tree.len() as u32,
                        domain: Domain(domain),
                    };
                    (site, counters(&figures))
                })
                .unzip();
            Tables {
                strings: names.map(str::to_owned).to_vec(),
                codes,
                nodes: tree,
                sites,
                counters,
                totals: Totals::default(),
            }
        })
}

fn counters(figures: &[u64]) -> Counters {
    Counters {
        allocated_bytes: figures[0] + figures[2],
        allocated_blocks: figures[1] + figures[3],
        freed_bytes: figures[2],
        freed_blocks: figures[3],
        temporary_bytes: figures[4],
        temporary_blocks: figures[5],
        peak_bytes: figures[6],
        peak_blocks: figures[7],
    }
}
