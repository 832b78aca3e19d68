//! The call paths of a page: those with the most memory, and what the others add up to.

mod names;

use foldhash::{HashMap, HashMapExt};
use heapsight_analysis::{Amount, Metric, add_counters};
use heapsight_capture::Capture;
use heapsight_capture::model::{Counters, Tables};

use super::PageSide;
pub(super) use names::FunctionKind;
use names::Names;

/// Stands for a call path of which the page has nothing, for it has no memory.
pub(super) const NOWHERE: u32 = u32::MAX;

/// The root of the page's tree.
const PAGE_ROOT: u32 = 0;

/// Kinds of memory that decide which call paths are kept: the page can show each of them.
const SHOWN: [Metric; 4] = [
    Metric::Live,
    Metric::Peak,
    Metric::Allocated,
    Metric::Temporary,
];

/// One call path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PageNode {
    pub caller: u32,
    pub frame: u32,
}

/// Call paths of one or two recordings, equal ones once.
#[derive(Debug)]
pub(super) struct Tree {
    pub names: Names,
    /// Callers first. The first is the root.
    pub nodes: Vec<PageNode>,
    /// For each recording, the counters of each node (without what it calls).
    pub figures: Vec<Vec<Counters>>,
    /// For each recording, the node that each of its sites has become.
    pub maps: Vec<Vec<u32>>,
    pub left_out: LeftOut,
}

/// What is not kept apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Call paths with memory, in all.
    pub of_paths: usize,
    /// Those that were added up.
    pub paths: usize,
    /// What is live on them.
    pub live: Amount,
    /// What they allocated.
    pub allocated: Amount,
}

impl Tree {
    pub(super) fn new(sides: &[PageSide<'_>], most_paths: usize) -> Self {
        let weights: Vec<Vec<f32>> = sides.iter().map(|side| weights(side.capture)).collect();
        let mut of_all = weights.concat();
        of_all.retain(|weight| *weight > 0.0);
        let of_paths = of_all.len();
        let mut kept = Kept::of(of_all, most_paths);
        let mut tree = Self {
            names: Names::new(&sides[0].capture.header.working_directory),
            nodes: vec![PageNode {
                caller: PAGE_ROOT,
                frame: 0,
            }],
            figures: Vec::new(),
            maps: Vec::new(),
            left_out: LeftOut {
                of_paths,
                ..LeftOut::default()
            },
        };
        let mut known = HashMap::new();
        for (side, weights) in sides.iter().zip(weights) {
            tree.add(&side.capture.tables, &weights, &mut kept, &mut known);
        }
        let len = tree.nodes.len();
        for figures in &mut tree.figures {
            figures.resize(len, Counters::default());
        }
        tree
    }

    fn add(
        &mut self,
        tables: &Tables,
        weights: &[f32],
        kept: &mut Kept,
        known: &mut HashMap<PageNode, u32>,
    ) {
        let mut names = self.names.of(tables);
        let mut map = vec![PAGE_ROOT; tables.nodes.len()];
        let mut is_left_out = vec![false; tables.nodes.len()];
        for (id, node) in tables.nodes.iter().enumerate().skip(1) {
            let caller = map[node.parent as usize];
            if weights[id] <= 0.0 {
                map[id] = NOWHERE;
                continue;
            }
            let is_below = is_left_out[node.parent as usize];
            is_left_out[id] = is_below || !kept.takes(weights[id]);
            if is_left_out[id] {
                self.left_out.paths += 1;
            }
            if is_below {
                map[id] = caller;
                continue;
            }
            let frame = match is_left_out[id] {
                true => names.smaller_paths(&mut self.names),
                false => names.frame(&mut self.names, tables, node.code, node.line),
            };
            let made = PageNode { caller, frame };
            let nodes = &mut self.nodes;
            map[id] = *known.entry(made).or_insert_with(|| {
                nodes.push(made);
                (nodes.len() - 1) as u32
            });
        }
        let mut figures = vec![Counters::default(); self.nodes.len()];
        let mut sites = Vec::with_capacity(tables.sites.len());
        for (site, counters) in tables.sites.iter().zip(&tables.counters) {
            let node = map[site.node as usize];
            sites.push(node);
            if node == NOWHERE {
                continue;
            }
            add_counters(&mut figures[node as usize], counters);
            if is_left_out[site.node as usize] {
                self.left_out.live += Metric::Live.of(counters);
                self.left_out.allocated += Metric::Allocated.of(counters);
            }
        }
        self.figures.push(figures);
        self.maps.push(sites);
    }
}

/// Which call paths are kept.
struct Kept {
    /// Those that weigh more.
    above: f32,
    /// And so many of those that weigh just as much: the first, so callers before what they call.
    equals: usize,
}

impl Kept {
    /// At most `most` call paths.
    fn of(mut weights: Vec<f32>, most: usize) -> Self {
        if weights.len() <= most || most == 0 {
            return Self {
                above: 0.0,
                equals: 0,
            };
        }
        let (heavier, least, _) =
            weights.select_nth_unstable_by(most - 1, |one, other| other.total_cmp(one));
        let equals = heavier.iter().filter(|weight| **weight == *least).count() + 1;
        Self {
            above: *least,
            equals,
        }
    }

    /// Whether the next call path is kept, whose caller is.
    fn takes(&mut self, weight: f32) -> bool {
        if weight == self.above && self.equals > 0 {
            self.equals -= 1;
            return true;
        }
        weight > self.above
    }
}

/// For each call path, with all that it calls, the greatest share of any memory that is shown. What a path calls never
/// weighs more than the path.
fn weights(capture: &Capture) -> Vec<f32> {
    let tables = &capture.tables;
    let mut weights = vec![0.0_f32; tables.nodes.len()];
    let mut sums = vec![0_u64; tables.nodes.len()];
    for metric in SHOWN {
        for of_bytes in [true, false] {
            sums.fill(0);
            for (site, counters) in tables.sites.iter().zip(&tables.counters) {
                let amount = metric.of(counters);
                let sum = &mut sums[site.node as usize];
                *sum = sum.saturating_add(if of_bytes {
                    amount.bytes
                } else {
                    amount.blocks
                });
            }
            for id in (1..tables.nodes.len()).rev() {
                let sum = sums[id];
                let caller = &mut sums[tables.nodes[id].parent as usize];
                *caller = caller.saturating_add(sum);
            }
            let total = sums.first().copied().unwrap_or(0).max(1) as f32;
            for (weight, sum) in weights.iter_mut().zip(&sums) {
                *weight = weight.max(*sum as f32 / total);
            }
        }
    }
    // The root is no call path.
    if let Some(root) = weights.first_mut() {
        *root = 0.0;
    }
    weights
}
