//! The tree of call paths as text.

use heapsight_analysis::call_tree::{BranchId, CallTree, Direction, Element, TreeQuery};
use heapsight_analysis::recording::Reached;
use heapsight_analysis::{Amount, Metric};
use heapsight_capture::Capture;

use crate::figures::{counted, format_count, format_share, format_size};
use crate::headline::headline;
use crate::look::{Look, Role};
use crate::moment::describe;
use crate::place::Place;
use crate::places::Places;
use crate::summary::total;
use crate::table::{imports_line, line_below};
use crate::text::{printable, right, width, wrap};

/// What a tree in text shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TreeText {
    /// Which memory, which way.
    pub query: TreeQuery,
    /// Whether blocks are counted rather than bytes.
    pub by_blocks: bool,
    /// Branches with a smaller part of all memory, in per cent, are only added up.
    pub least_percent: f64,
    /// The moment that the tables of the capture are of.
    pub moment: Reached,
    /// Whether filters were applied.
    pub is_filtered: bool,
}

const SHARE: usize = 8;
const FIGURE: usize = 11;
const GAP: &str = "  ";

/// A line to come.
enum Next {
    Branch {
        id: BranchId,
        level: usize,
        /// Whether it is the only branch on the one above.
        is_chained: bool,
    },
    /// Branches that are only added up.
    Rest {
        count: usize,
        amount: Amount,
        level: usize,
    },
}

/// The tree, all open, as text ending with a line break. A branch stands further to the right than the one that it is
/// on only if that has others too.
#[must_use]
pub fn tree(capture: &Capture, what: &TreeText, look: &Look) -> String {
    let mut out = headline(capture, look);
    if capture.timeline.is_empty() {
        return out;
    }
    let tables = &capture.tables;
    let metric = what.query.metric;
    let mut of = CallTree::new(tables, what.query);
    let all = total(capture, metric, what.moment, what.is_filtered, of.total());
    out += &format!("\n{}", title(capture, what, all, look));
    let writer = Writer {
        capture,
        places: places(capture, look),
        what,
        whole: shown(all, what.by_blocks),
        look,
    };
    out += &writer.names();
    let mut waiting = Vec::new();
    let first = of.first().to_vec();
    writer.push(&mut waiting, &of, first, 0, false);
    while let Some(next) = waiting.pop() {
        match next {
            Next::Branch {
                id,
                level,
                is_chained,
            } => {
                let (id, times) = of.last_of_recursion(tables, id);
                out += &writer.branch(&of, id, level, is_chained, times);
                let children = of.children(tables, id).to_vec();
                let is_chain = children.len() == 1;
                let level = if is_chain { level } else { level + 1 };
                writer.push(&mut waiting, &of, children, level, is_chain);
            }
            Next::Rest {
                count,
                amount,
                level,
            } => out += &writer.rest(count, amount, level),
        }
    }
    if of.first().is_empty() {
        out += &format!("{GAP}none\n");
    }
    if let Some(line) = of.imports().as_ref().and_then(imports_line) {
        out += &line_below(&line, look);
    }
    out
}

fn shown(amount: Amount, by_blocks: bool) -> u64 {
    if by_blocks {
        amount.blocks
    } else {
        amount.bytes
    }
}

fn title(capture: &Capture, what: &TreeText, all: Amount, look: &Look) -> String {
    let direction = match what.query.direction {
        Direction::Callees => "from the outermost caller inwards",
        Direction::Callers => "from what allocated outwards",
    };
    let kept = if what.is_filtered {
        " kept by the filters"
    } else {
        ""
    };
    let blocks = match what.query.metric {
        Metric::Peak if all.blocks == 0 => String::new(),
        _ => format!(" in {}", counted(all.blocks, "block", "blocks")),
    };
    let text = format!(
        "Call paths {direction} by {} ({}{blocks}{kept})",
        describe(what.moment, what.query.metric, capture),
        format_size(all.bytes)
    );
    let lines = wrap(text.split(' '), look.width, 2);
    let line = |line: &str| format!("{}\n", look.paint(Role::Heading, line));
    lines.lines().map(line).collect()
}

/// Every file that may be named, so that short names are unambiguous.
fn places(capture: &Capture, look: &Look) -> Places {
    let mut places = Places::new(&capture.header.working_directory, look.ellipsis());
    for code in &capture.tables.codes {
        places.add(&capture.tables.strings[code.filename as usize]);
    }
    places
}

struct Writer<'a> {
    capture: &'a Capture,
    places: Places,
    what: &'a TreeText,
    whole: u64,
    look: &'a Look,
}

impl Writer<'_> {
    /// Has the branches written next, and below them what the small ones add up to.
    fn push(
        &self,
        waiting: &mut Vec<Next>,
        of: &CallTree,
        ids: Vec<BranchId>,
        level: usize,
        is_chained: bool,
    ) {
        let by_blocks = self.what.by_blocks;
        let size = |id: &BranchId| shown(of.branch(*id).amount, by_blocks);
        let least = self.whole as f64 * self.what.least_percent / 100.0;
        let (mut large, small): (Vec<_>, Vec<_>) =
            ids.into_iter().partition(|id| size(id) as f64 >= least);
        if by_blocks {
            large.sort_by_key(|id| std::cmp::Reverse(size(id)));
        }
        if !small.is_empty() {
            waiting.push(Next::Rest {
                count: small.len(),
                amount: small.iter().map(|id| of.branch(*id).amount).sum(),
                level,
            });
        }
        waiting.extend(large.into_iter().rev().map(|id| Next::Branch {
            id,
            level,
            is_chained,
        }));
    }

    fn names(&self) -> String {
        let unit = if self.what.by_blocks {
            "blocks"
        } else {
            "size"
        };
        let line = cells("share", unit, "own") + GAP + "where";
        format!("{}\n", self.look.paint(Role::ColumnName, line))
    }

    fn branch(
        &self,
        of: &CallTree,
        id: BranchId,
        level: usize,
        is_chained: bool,
        times: usize,
    ) -> String {
        let branch = of.branch(id);
        let own = match shown(branch.own, self.what.by_blocks) {
            0 => String::new(),
            _ => self.figure(branch.own),
        };
        let share = format_share(shown(branch.amount, self.what.by_blocks), self.whole);
        let figures = cells(&share, &self.figure(branch.amount), &own);
        let chain = match (is_chained, self.look.unicode) {
            (false, _) => " ",
            (true, true) => "╰",
            (true, false) => "`",
        };
        let before = format!("{GAP}{}{chain} ", self.indent(level));
        let times = match times {
            1 => String::new(),
            _ => format!(" {}{times}", self.look.times()),
        };
        let used = width(&figures) + width(&before) + width(&times);
        let room = self.look.width.saturating_sub(used);
        let place = match of.element(&self.capture.tables, id) {
            Element::NoFrame => Place::of_name("<no Python frame>".to_owned()),
            Element::Thread(name) => {
                Place::of_name(format!("thread {}", printable(name, self.look.unicode)))
            }
            Element::Frame(frame) => Place::of_frame(&frame, &self.places, self.look),
        };
        format!(
            "{}{}{}{}\n",
            self.look.paint(Role::Figure, figures),
            self.look.paint(Role::Secondary, before),
            place.paint(room, self.look),
            self.look.paint(Role::Secondary, times)
        )
    }

    fn rest(&self, count: usize, amount: Amount, level: usize) -> String {
        let share = format_share(shown(amount, self.what.by_blocks), self.whole);
        let figures = cells(&share, &self.figure(amount), "");
        let text = format!(
            "{figures}{GAP}{}{} {} more",
            self.indent(level),
            self.look.ellipsis(),
            format_count(count as u64)
        );
        format!("{}\n", self.look.paint(Role::Secondary, text))
    }

    fn figure(&self, amount: Amount) -> String {
        match self.what.by_blocks {
            true => format_count(amount.blocks),
            false => format_size(amount.bytes),
        }
    }

    /// However deep a branch is, there is room for what it is called.
    fn indent(&self, level: usize) -> String {
        " ".repeat((2 * level).min(self.look.width / 3))
    }
}

fn cells(share: &str, size: &str, own: &str) -> String {
    right(share, SHARE) + &right(size, FIGURE) + &right(own, FIGURE)
}
