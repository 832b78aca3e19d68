//! Writes a capture such as ten minutes of a busy program leave, to measure how fast and in how much memory it is read:
//!
//! ```text
//! cargo run --release -p heapsight-report --example large_capture -- FILE
//! ```

use std::fs::File;
use std::io::BufWriter;

use heapsight_capture::model::{Code, CodeKind, Counters, Domain, Node, Site, Totals};
use heapsight_capture::{End, Exit, Header, Tick, Writer};

/// Ten minutes at 100 ms.
const TICKS: u64 = 6000;
/// Distinct call paths with memory; the deepest have 40 frames.
const PATHS: u32 = 50_000;
/// Call paths that allocate in each tick.
const BUSY: u32 = 1000;
/// Distinct functions.
const FUNCTIONS: u32 = 5000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("give the file to write")?;
    let header = Header {
        program: "busy.py".into(),
        start_unix_ns: 1_790_000_000_000_000_000,
        tick_ms: 100,
        ..Header::default()
    };
    let mut writer = Writer::create(BufWriter::new(File::create(path)?), &header)?;
    let strings: Vec<String> = (0..FUNCTIONS)
        .flat_map(|index| {
            [
                format!("/srv/app/package{}/module{index}.py", index / 50),
                format!("Class{index}.method"),
            ]
        })
        .collect();
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
    let mut nodes = vec![root];
    let mut sites = Vec::new();
    let mut depths = vec![0_u32];
    for id in 1..=PATHS {
        // Near its end the tree grows deeper, elsewhere wider.
        let near = id.saturating_sub(1 + random.below(30));
        let parent = if depths[near as usize] < 40 { near } else { 0 };
        nodes.push(Node {
            parent,
            code: random.below(FUNCTIONS),
            line: 10 + random.below(200),
        });
        depths.push(depths[parent as usize] + 1);
        sites.push(Site {
            node: id,
            domain: Domain::OBJ,
        });
    }
    let mut counters = vec![Counters::default(); PATHS as usize];
    let mut totals = Totals::default();
    for tick in 0..TICKS {
        let mut changed: Vec<u32> = (0..BUSY).map(|_| random.below(PATHS)).collect();
        changed.sort_unstable();
        changed.dedup();
        for site in &changed {
            let counters = &mut counters[*site as usize];
            let blocks = u64::from(1 + random.below(100));
            let freed = counters.live_blocks().min(u64::from(random.below(120)));
            counters.allocated_blocks += blocks;
            counters.allocated_bytes += blocks * 64;
            counters.freed_blocks += freed;
            counters.freed_bytes += freed * 64;
            counters.temporary_blocks += freed / 3;
            counters.temporary_bytes += freed / 3 * 64;
            totals.live_blocks = totals.live_blocks + blocks - freed;
        }
        totals.live_bytes = totals.live_blocks * 64;
        totals.peak_bytes = totals.peak_bytes.max(totals.live_bytes);
        let first = tick == 0;
        let changed: Vec<_> = changed
            .into_iter()
            .map(|site| (site, counters[site as usize]))
            .collect();
        writer.tick(&Tick {
            elapsed_ns: (tick + 1) * 100_000_000,
            rss_bytes: 1 << 30,
            totals,
            new_strings: if first { &strings } else { &[] },
            new_codes: if first { &codes } else { &[] },
            new_nodes: if first { &nodes } else { &[] },
            new_sites: if first { &sites } else { &[] },
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

/// Numbers that look random and are the same every time (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % u64::from(limit)) as u32
    }
}
