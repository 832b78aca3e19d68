//! Single memory blocks: where they were allocated, with the lines of source.

use std::collections::BinaryHeap;
use std::fmt::Write;

use heapsight_analysis::path::{frames, thread};
use heapsight_analysis::{Amount, ImportSum, Imports, import_sites};
use heapsight_capture::{Block, Capture};

use crate::figures::{format_count, format_size};
use crate::look::{Look, Role};
use crate::source::Source;
use crate::table::imports_line;
use crate::text::printable;

/// The `count` biggest of `blocks`, each with its call path (most recent frame first), and what imports have, if they
/// are a sum of their own. Blocks of one size are in the order of their addresses.
///
/// Linear in the number of blocks; memory grows with `count` only.
#[must_use]
pub fn biggest_blocks(
    capture: &Capture,
    blocks: &[Block],
    count: usize,
    imports: Imports,
    look: &Look,
) -> String {
    let is_import = import_sites(&capture.tables, imports);
    let mut of_imports = ImportSum::default();
    let mut biggest: BinaryHeap<(std::cmp::Reverse<u64>, u64, u32)> = BinaryHeap::new();
    for block in blocks {
        if is_import[block.site as usize] {
            of_imports.amount += Amount {
                bytes: block.size,
                blocks: 1,
            };
            continue;
        }
        biggest.push((std::cmp::Reverse(block.size), block.address, block.site));
        if biggest.len() > count {
            biggest.pop();
        }
    }
    let shown = biggest.len();
    let title = format!(
        "{} biggest of {} blocks",
        format_count(shown as u64),
        format_count(blocks.len() as u64)
    );
    let mut out = format!("{}\n", look.paint(Role::Heading, title));
    let mut source = Source::of(capture);
    for (rank, (size, address, site)) in (1..).zip(biggest.into_sorted_vec()) {
        let block = Block {
            address,
            size: size.0,
            site,
        };
        let _ = write!(out, "#{rank}: ");
        out += &one(capture, &block, &mut source, look);
    }
    if let Some(line) = imports_line(&of_imports) {
        out += &format!("{}\n", look.paint(Role::Secondary, line));
    }
    out
}

/// One block with its call path.
#[must_use]
pub fn block(capture: &Capture, block: &Block, look: &Look) -> String {
    one(capture, block, &mut Source::of(capture), look)
}

fn one(capture: &Capture, block: &Block, source: &mut Source, look: &Look) -> String {
    let tables = &capture.tables;
    let site = tables.sites[block.site as usize];
    let size = look
        .paint(Role::Figure, format_size(block.size))
        .to_string();
    let mut out = format!("{:#x}: size={size}, {}", block.address, site.domain.name());
    if let Some(name) = thread(tables, site.node) {
        let _ = write!(out, ", thread {}", printable(name, look.unicode));
    }
    out.push('\n');
    let mut is_known = false;
    for frame in frames(tables, site.node) {
        is_known = true;
        let file = format!("File \"{}\"", printable(frame.filename, look.unicode));
        let line = match frame.line {
            0 => String::new(),
            line => format!(", line {line}"),
        };
        let name = printable(frame.name, look.unicode);
        let file = look.paint(Role::Place, file);
        let _ = writeln!(out, "  {file}{line}, in {name}");
        if let Some(text) = source.line(frame.filename, frame.line) {
            let text = look.paint(Role::Secondary, printable(&text, look.unicode));
            let _ = writeln!(out, "    {text}");
        }
    }
    if !is_known {
        out += "  <no Python frame>\n";
    }
    out
}
