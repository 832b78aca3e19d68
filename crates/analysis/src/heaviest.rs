//! The one call path that says most of where memory is.

use foldhash::{HashMap, HashMapExt};
use heapsight_capture::model::{CodeId, NodeId, ROOT, Tables};

use crate::path::is_frame;

/// A call path that holds most of an amount of memory, with all that it called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heaviest {
    /// The call path.
    pub node: NodeId,
    /// Bytes on it and below it.
    pub bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

/// The longest call path that at least `share` (in per cent, more than half) of `bytes` is on, which has an entry for
/// each site. `None` where there is no such path, or no memory.
///
/// Where the path ends in a recursion, it ends where its last function ran first: how deep half of the memory is says
/// little. Of more than half, no two call paths can be asked to choose between: from the root, one step after the other
/// is sure.
#[must_use]
pub fn heaviest_path(tables: &Tables, bytes: &[u64], share: u64) -> Option<Heaviest> {
    let mut sums = vec![0_u64; tables.nodes.len()];
    for (site, bytes) in tables.sites.iter().zip(bytes) {
        let sum = &mut sums[site.node as usize];
        *sum = sum.saturating_add(*bytes);
    }
    // Callers have lower numbers than what they call.
    for (id, node) in tables.nodes.iter().enumerate().skip(1).rev() {
        let sum = sums[id];
        let of_caller = &mut sums[node.parent as usize];
        *of_caller = of_caller.saturating_add(sum);
    }
    let total_bytes = *sums.first()?;
    let is_enough = |sum: u64| u128::from(sum) * 100 >= u128::from(total_bytes) * u128::from(share);
    let children = Children::of(tables);
    let code = |node: NodeId| tables.nodes[node as usize].code;
    // What reads alike is one path: several instructions of a line may call the same.
    let mut alike = vec![ROOT];
    let mut path: Vec<(NodeId, u64)> = Vec::new();
    loop {
        let mut steps: HashMap<(CodeId, u32), (u64, Vec<NodeId>)> = HashMap::new();
        let called = alike.iter().flat_map(|caller| children.iter(*caller));
        for node in called.filter(|node| sums[*node as usize] > 0) {
            let line = tables.nodes[node as usize].line;
            let (sum, nodes) = steps.entry((code(node), line)).or_default();
            *sum = sum.saturating_add(sums[node as usize]);
            nodes.push(node);
        }
        let Some((sum, nodes)) = steps.into_values().find(|(sum, _)| is_enough(*sum)) else {
            break;
        };
        path.push((nodes[0], sum));
        alike = nodes;
    }
    let (last, _) = *path.last()?;
    let (node, bytes) = *path.iter().find(|(node, _)| code(*node) == code(last))?;
    is_frame(tables, node).then_some(Heaviest {
        node,
        bytes,
        total_bytes,
    })
}

/// What each element of a call path calls.
struct Children {
    first: Vec<NodeId>,
    /// The next one that the same element calls; [`ROOT`] after the last.
    next: Vec<NodeId>,
}

impl Children {
    fn of(tables: &Tables) -> Self {
        let count = tables.nodes.len();
        let (mut first, mut next) = (vec![ROOT; count], vec![ROOT; count]);
        for (id, node) in tables.nodes.iter().enumerate().skip(1).rev() {
            next[id] = std::mem::replace(&mut first[node.parent as usize], id as NodeId);
        }
        Self { first, next }
    }

    fn iter(&self, caller: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let is_one = |node: &NodeId| *node != ROOT;
        let first = Some(self.first[caller as usize]).filter(is_one);
        std::iter::successors(first, move |node| {
            Some(self.next[*node as usize]).filter(is_one)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::Builder;
    use heapsight_capture::model::{Code, CodeKind, Domain, Node, Site};

    /// Call paths of one-letter functions and their bytes.
    fn tables(paths: &[(&str, u64)]) -> (Tables, Vec<u64>) {
        let mut builder = Builder::new();
        let mut bytes = Vec::new();
        for (path, of_path) in paths {
            let mut parent = ROOT;
            for name in path.chars() {
                let name = builder.string(&name.to_string());
                let code = builder.code(Code {
                    kind: CodeKind::Python,
                    filename: name,
                    name,
                    first_line: 1,
                });
                parent = builder.node(Node {
                    parent,
                    code,
                    line: 1,
                });
            }
            builder.site(Site {
                node: parent,
                domain: Domain::OBJ,
            });
            bytes.push(*of_path);
        }
        (builder.finish(), bytes)
    }

    fn found(paths: &[(&str, u64)]) -> Option<(String, u64, u64)> {
        let (tables, bytes) = tables(paths);
        let heaviest = heaviest_path(&tables, &bytes, 51)?;
        let frames = crate::path::frames(&tables, heaviest.node);
        let mut names: Vec<&str> = frames.map(|frame| frame.name).collect();
        names.reverse();
        Some((names.concat(), heaviest.bytes, heaviest.total_bytes))
    }

    #[test]
    fn the_longest_path_with_more_than_half_is_found() {
        let found_of = |path: &str, bytes, total| Some((path.to_owned(), bytes, total));
        assert_eq!(found(&[("abc", 60), ("abd", 40)]), found_of("abc", 60, 100));
        assert_eq!(found(&[("abc", 50), ("abd", 50)]), found_of("ab", 100, 100));
        assert_eq!(
            found(&[("ax", 20), ("bcd", 30), ("bce", 30), ("bf", 20)]),
            found_of("bc", 60, 100)
        );
    }

    #[test]
    fn paths_that_read_alike_are_one() {
        let (mut tables, mut bytes) = tables(&[("abc", 30), ("abd", 40)]);
        // The same line of `b` calls `c` once more, and `c` asks for memory in another place of its line.
        for id in 2..4 {
            let twin = tables.nodes[id];
            let parent = match id {
                2 => twin.parent,
                _ => tables.nodes.len() as NodeId - 1,
            };
            tables.nodes.push(Node { parent, ..twin });
        }
        let node = tables.nodes.len() as NodeId - 1;
        tables.sites.push(Site {
            node,
            domain: Domain::OBJ,
        });
        bytes.push(30);
        let heaviest = heaviest_path(&tables, &bytes, 51).expect("60 of 100");
        assert_eq!((heaviest.node, heaviest.bytes), (3, 60));
    }

    #[test]
    fn a_recursion_is_told_of_where_it_begins() {
        assert_eq!(
            found(&[("mab", 5), ("mabab", 5), ("mababab", 90)]),
            Some(("mab".to_owned(), 100, 100))
        );
    }

    #[test]
    fn memory_that_is_spread_out_or_absent_is_on_no_path() {
        assert_eq!(found(&[("a", 40), ("b", 40), ("c", 20)]), None);
        assert_eq!(found(&[("a", 0)]), None);
        assert_eq!(found(&[]), None);
    }
}
