//! Sums over everything that was allocated under a group's frames, in time linear in the number of call paths.

use heapsight_capture::model::{NodeId, ROOT, SiteId, Tables};

use crate::amount::Amount;
use crate::index::{GroupId, Groups};
use crate::sum::Sum;

/// For each group: the memory of every site with at least one frame of that group on its call path.
///
/// Everything below a node is summed once. A node then gives its subtree to its group unless the same group is open
/// above it already: so recursion counts once.
pub(crate) fn sums(tables: &Tables, groups: &Groups<'_>, amounts: &[Amount]) -> Vec<Sum> {
    let mut sums = vec![Sum::default(); groups.keys.len()];
    let mut below = vec![Sum::default(); tables.nodes.len()];
    for (id, (site, amount)) in (0..).zip(tables.sites.iter().zip(amounts)) {
        below[site.node as usize].add_site(id as SiteId, *amount);
    }
    for (id, node) in tables.nodes.iter().enumerate().skip(1).rev() {
        let subtree = below[id];
        below[node.parent as usize].add_sum(&subtree);
    }

    let mut open = vec![0_u32; groups.keys.len()];
    visit(tables, |id, step| {
        let Some(group) = groups.of_node[id as usize] else {
            return;
        };
        let open = &mut open[group as usize];
        match step {
            Step::Enter => {
                if *open == 0 {
                    sums[group as usize].add_sum(&below[id as usize]);
                }
                *open += 1;
            }
            Step::Leave => *open -= 1,
        }
    });

    // What has no frame at all is under nothing, and keeps its place under the unknown key.
    for (id, (site, amount)) in (0..).zip(tables.sites.iter().zip(amounts)) {
        if groups.of_node[site.node as usize].is_none() {
            let group: GroupId = groups.of_site[id];
            sums[group as usize].add_site(id as SiteId, *amount);
        }
    }
    sums
}

enum Step {
    Enter,
    Leave,
}

/// Walks the tree depth first without recursion: call paths can be 100,000 frames deep.
fn visit(tables: &Tables, mut see: impl FnMut(NodeId, Step)) {
    const NONE: NodeId = ROOT;
    let count = tables.nodes.len();
    let mut first_child = vec![NONE; count];
    let mut next_sibling = vec![NONE; count];
    for (id, node) in tables.nodes.iter().enumerate().skip(1).rev() {
        let parent = node.parent as usize;
        next_sibling[id] = first_child[parent];
        first_child[parent] = id as NodeId;
    }
    let mut path = Vec::new();
    let mut next = first_child.first().copied().unwrap_or(NONE);
    loop {
        if next != NONE {
            see(next, Step::Enter);
            path.push(next);
            next = first_child[next as usize];
        } else if let Some(done) = path.pop() {
            see(done, Step::Leave);
            next = next_sibling[done as usize];
        } else {
            return;
        }
    }
}
