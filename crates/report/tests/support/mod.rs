//! A capture that looks like that of a real program.
#![allow(dead_code, reason = "each test binary uses a part of this module")]

use std::path::Path;

use heapsight_capture::model::{
    Code, CodeKind, Counters, Domain, Mode, Node, NodeId, Site, Tables, Totals,
};
use heapsight_capture::{Capture, End, Exit, Header, TickSummary};

const KIB: u64 = 1024;

/// Builds tables from spelled-out paths.
#[derive(Default)]
pub struct Tracer {
    tables: Tables,
}

impl Tracer {
    pub fn new() -> Self {
        let mut tracer = Self::default();
        tracer.tables.nodes.push(Node {
            parent: 0,
            code: 0,
            line: 0,
        });
        tracer
    }

    fn string(&mut self, text: &str) -> u32 {
        let strings = &mut self.tables.strings;
        let known = strings.iter().position(|known| known == text);
        known.unwrap_or_else(|| {
            strings.push(text.to_owned());
            strings.len() - 1
        }) as u32
    }

    /// A thread, to hang paths from.
    pub fn thread(&mut self, name: &str) -> NodeId {
        let (filename, name) = (self.string(""), self.string(name));
        let kind = CodeKind::Thread;
        self.tables.codes.push(Code {
            kind,
            filename,
            name,
            first_line: 0,
        });
        let code = (self.tables.codes.len() - 1) as u32;
        self.tables.nodes.push(Node {
            parent: 0,
            code,
            line: 0,
        });
        (self.tables.nodes.len() - 1) as NodeId
    }

    /// The path of `frames` (file, line, function), outermost first.
    pub fn path(&mut self, frames: &[(&str, u32, &str)]) -> NodeId {
        self.path_in(0, frames)
    }

    /// Like [`Self::path`], in a thread.
    pub fn path_in(&mut self, thread: NodeId, frames: &[(&str, u32, &str)]) -> NodeId {
        let mut parent = thread;
        for (filename, line, name) in frames {
            let code = Code {
                kind: CodeKind::Python,
                filename: self.string(filename),
                name: self.string(name),
                first_line: 1,
            };
            let known = self.tables.codes.iter().position(|known| *known == code);
            let code = known.unwrap_or_else(|| {
                self.tables.codes.push(code);
                self.tables.codes.len() - 1
            }) as u32;
            self.tables.nodes.push(Node {
                parent,
                code,
                line: *line,
            });
            parent = (self.tables.nodes.len() - 1) as NodeId;
        }
        parent
    }

    /// Memory of a path: (bytes, blocks) live at the end and at the peak.
    pub fn site(&mut self, node: NodeId, live: (u64, u64), peak: (u64, u64)) {
        self.tables.sites.push(Site {
            node,
            domain: Domain::OBJ,
        });
        self.tables.counters.push(Counters {
            allocated_bytes: live.0 + 3 * peak.0,
            allocated_blocks: live.1 + 3 * peak.1,
            freed_bytes: 3 * peak.0,
            freed_blocks: 3 * peak.1,
            temporary_bytes: peak.0 / 2,
            temporary_blocks: peak.1 / 2,
            peak_bytes: peak.0,
            peak_blocks: peak.1,
        });
    }

    pub fn capture(mut self, mode: Mode, folder: &Path) -> Capture {
        let sum = |of: fn(&Counters) -> u64| self.tables.counters.iter().map(of).sum::<u64>();
        self.tables.totals = Totals {
            live_bytes: sum(Counters::live_bytes),
            live_blocks: sum(Counters::live_blocks),
            peak_bytes: sum(|counters| counters.peak_bytes),
            lost_events: 0,
            tracer_bytes: 9 << 20,
            ..Totals::default()
        };
        let totals = self.tables.totals;
        let timeline = timeline(&totals, sum(|counters| counters.allocated_blocks));
        Capture {
            header: Header {
                program: "examples/index_stdlib.py".into(),
                argv: vec!["examples/index_stdlib.py".into()],
                working_directory: folder.to_str().expect("UTF-8").into(),
                python_version: "3.13.1".into(),
                executable: "/usr/bin/python3".into(),
                platform: "linux-x86_64".into(),
                pid: 4711,
                // Far in the future, so that the example's source counts as what ran.
                start_unix_ns: 9_000_000_000_000_000_000,
                mode,
                by_thread: false,
                tick_ms: 100,
                heapsight_version: "0.1.0".into(),
                run_id: 0xbeef,
                is_child: false,
            },
            tables: self.tables,
            end: Some(End {
                elapsed_ns: 4_212_000_000,
                exit: Exit::Interpreter,
                totals,
            }),
            timeline,
            ..Capture::default()
        }
    }
}

/// Memory that grows in waves to the peak at three quarters of the time, and falls to what is live at the end.
fn timeline(totals: &Totals, allocated_blocks: u64) -> Vec<TickSummary> {
    let ticks = 42;
    let mut peak_bytes = 0;
    (1..=ticks)
        .map(|tick| {
            let live_bytes = match tick {
                0..=31 => totals.peak_bytes * tick / 31 * (10 - tick % 3) / 10,
                32..42 => {
                    totals.peak_bytes - (totals.peak_bytes - totals.live_bytes) * (tick - 31) / 11
                }
                _ => totals.live_bytes,
            };
            peak_bytes = if tick >= 31 {
                totals.peak_bytes
            } else {
                live_bytes.max(peak_bytes)
            };
            TickSummary {
                elapsed_ns: tick * 100_000_000,
                rss_bytes: live_bytes * 5 / 4 + (12 << 20),
                live_bytes,
                live_blocks: totals.live_blocks,
                peak_bytes,
                allocated_bytes: 0,
                allocated_blocks: allocated_blocks * tick / ticks,
                lost_events: 0,
                tracer_bytes: 9 << 20,
                ..TickSummary::default()
            }
        })
        .collect()
}

/// The source that the example's paths point into.
pub fn write_source(folder: &Path) {
    std::fs::create_dir_all(folder.join("examples")).expect("the folder is writable");
    let mut lines = vec![""; 120];
    lines[40] = "    tree = ast.parse(text, filename=str(path))";
    lines[56] = "        self.symbols[name] = Symbol(name, node.lineno, ast.get_docstring(node), [path.stem, *scope])";
    lines[62] = "        names.append(sys.intern(f\"{prefix}.{node.name}\"))";
    std::fs::write(folder.join("examples/index_stdlib.py"), lines.join("\n"))
        .expect("the folder is writable");
}

/// A program that parses the standard library and keeps an index.
pub fn example(mode: Mode, folder: &Path) -> Capture {
    let script = folder.join("examples/index_stdlib.py");
    let script = script.to_str().expect("UTF-8");
    let ast = "/usr/lib/python3.13/ast.py";
    let mut tracer = Tracer::new();
    let main = [(script, 118, "<module>"), (script, 101, "main")];
    let with = |more: &[(&'static str, u32, &'static str)]| {
        let mut path: Vec<(&str, u32, &str)> = main.to_vec();
        path.extend(more);
        path
    };
    let index = |line| (script, line, "Index.add_module");

    let mut path = with(&[]);
    path.extend([index(41), (ast, 46, "parse")]);
    let node = tracer.path(&path);
    tracer.site(node, (1200 * KIB, 21_004), (96 << 20, 1_730_112));

    let mut path = with(&[]);
    path.extend([index(44), (script, 57, "Index.add_symbol")]);
    let node = tracer.path(&path);
    tracer.site(node, (14 << 20, 128_231), (11 << 20, 101_345));

    for depth in [3, 14] {
        let mut path = with(&[]);
        path.push(index(45));
        path.extend(std::iter::repeat_n((script, 70, "Index.walk"), depth));
        path.extend([
            (ast, 423, "NodeVisitor.visit"),
            (script, 63, "Index.visit_ClassDef"),
        ]);
        let node = tracer.path(&path);
        tracer.site(node, (3 << 20, 31_007), (2 << 20, 22_120));
    }

    let mut path = with(&[]);
    path.extend([
        ("<frozen importlib._bootstrap>", 1360, "_find_and_load"),
        (
            "<frozen importlib._bootstrap>",
            1331,
            "_find_and_load_unlocked",
        ),
        (
            "<frozen importlib._bootstrap_external>",
            1026,
            "exec_module",
        ),
        ("<frozen importlib._bootstrap_external>", 1157, "get_code"),
        (
            "<frozen importlib._bootstrap_external>",
            784,
            "_compile_bytecode",
        ),
    ]);
    let node = tracer.path(&path);
    tracer.site(node, (2900 * KIB, 24_119), (2900 * KIB, 24_119));

    let library = folder.join(".venv/lib/python3.13/site-packages/orjson/__init__.py");
    let library = library.to_str().expect("UTF-8").to_owned();
    let mut path: Vec<(&str, u32, &str)> = main.to_vec();
    path.push((&library, 12, "dumps"));
    let node = tracer.path(&path);
    tracer.site(node, (640 * KIB, 12), (0, 0));

    for (line, name) in (200..214).zip(
        ["scan", "decode", "Tokenizer.__init__.<locals>.<lambda>"]
            .iter()
            .cycle(),
    ) {
        let node = tracer.path(&[
            (script, 118, "<module>"),
            ("/usr/lib/python3.13/tokenize.py", line, name),
        ]);
        tracer.site(
            node,
            (u64::from(line) * 123, u64::from(line)),
            (u64::from(line) * 456, 17),
        );
    }
    tracer.site(0, (88 * KIB, 901), (92 * KIB, 915));
    tracer.capture(mode, folder)
}
