//! Writes a capture with as many call paths as asked for, to measure pages of them:
//!
//! ```text
//! cargo run --release -p heapsight-report --example many_paths -- FILE 1000000
//! ```

use std::fs::File;
use std::io::BufWriter;

use heapsight_capture::model::{Code, CodeKind, Counters, Domain, Node, Site, Totals};
use heapsight_capture::{End, Exit, Header, Tick, Writer};

/// Distinct functions.
const FUNCTIONS: u32 = 20_000;
/// Frames of the longest call paths.
const DEEPEST: u32 = 60;
const TICKS: u64 = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let path = arguments.next().ok_or("give the file to write")?;
    let paths = arguments.next().ok_or("give the number of call paths")?;
    let paths: u32 = paths.to_string_lossy().parse()?;
    let header = Header {
        program: "large.py".into(),
        working_directory: "/srv/app".into(),
        python_version: "3.13.1".into(),
        start_unix_ns: 1_790_000_000_000_000_000,
        tick_ms: 100,
        ..Header::default()
    };
    let mut writer = Writer::create(BufWriter::new(File::create(path)?), &header)?;
    let strings: Vec<String> = (0..FUNCTIONS).flat_map(names).collect();
    let codes: Vec<Code> = (0..FUNCTIONS)
        .map(|index| Code {
            kind: CodeKind::Python,
            filename: index * 2,
            name: index * 2 + 1,
            first_line: 10,
        })
        .collect();
    let mut random = Random(1);
    let root = Node {
        parent: 0,
        code: 0,
        line: 0,
    };
    let mut depths = vec![0_u32];
    let mut sites = Vec::new();
    let mut counters = Vec::new();
    let each = u64::from(paths).div_ceil(TICKS);
    let mut totals = Totals::default();
    for tick in 0..TICKS {
        let mut nodes = if tick == 0 { vec![root] } else { Vec::new() };
        let first_site = sites.len();
        for _ in 0..each.min(u64::from(paths) + 1 - depths.len() as u64) {
            let id = depths.len() as u32;
            // Near its end the tree grows deeper, elsewhere wider.
            let near = id.saturating_sub(1 + random.below(40));
            let is_deep = depths[near as usize] >= DEEPEST;
            let parent = if is_deep {
                random.below(id.min(1000))
            } else {
                near
            };
            depths.push(depths[parent as usize] + 1);
            nodes.push(Node {
                parent,
                code: random.below(FUNCTIONS),
                line: 11 + random.below(40),
            });
            if random.below(3) == 0 {
                continue;
            }
            sites.push(Site {
                node: id,
                domain: Domain::OBJ,
            });
            // Few call paths have most of the memory.
            let bytes = 64_u64 << random.below(14);
            totals.live_bytes += bytes;
            totals.live_blocks += bytes.div_ceil(64);
            counters.push(Counters {
                allocated_bytes: bytes * 3,
                allocated_blocks: bytes.div_ceil(64) * 3,
                freed_bytes: bytes * 2,
                freed_blocks: bytes.div_ceil(64) * 2,
                temporary_bytes: bytes,
                temporary_blocks: bytes.div_ceil(64),
                peak_bytes: bytes,
                peak_blocks: bytes.div_ceil(64),
            });
        }
        totals.peak_bytes = totals.live_bytes;
        let new = &counters[first_site..];
        let changed: Vec<(u32, Counters)> =
            (first_site as u32..).zip(new.iter().copied()).collect();
        writer.tick(&Tick {
            elapsed_ns: (tick + 1) * 100_000_000,
            rss_bytes: totals.live_bytes + (64 << 20),
            totals,
            new_strings: if tick == 0 { &strings } else { &[] },
            new_codes: if tick == 0 { &codes } else { &[] },
            new_nodes: &nodes,
            new_sites: &sites[first_site..],
            changed: &changed,
            ..Tick::default()
        })?;
    }
    writer.finish(&End {
        elapsed_ns: TICKS * 100_000_000,
        exit: Exit::Interpreter,
        totals,
    })?;
    Ok(())
}

/// File and name of a function: the program's own, of packages, of the standard library.
fn names(index: u32) -> [String; 2] {
    let (package, module) = (index / 500, index / 10);
    let file = match index % 4 {
        0 => format!("/usr/lib/python3.13/library{package}/module{module}.py"),
        1 => format!("/srv/venv/lib/python3.13/site-packages/package{package}/module{module}.py"),
        _ => format!("/srv/app/area{package}/module{module}.py"),
    };
    [file, format!("Class{index}.method_{}", index % 7)]
}

/// Numbers that only look random: every run writes the same file.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 33) % u64::from(limit.max(1))) as u32
    }
}
