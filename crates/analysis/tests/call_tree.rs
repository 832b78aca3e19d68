//! The tree that is opened branch by branch, against one that is spelled out.

mod support;

use std::collections::BTreeMap;

use heapsight_analysis::call_tree::{BranchId, CallTree, Direction, Element, TreeQuery};
use heapsight_analysis::{Amount, Imports, Metric};
use heapsight_capture::model::Tables;
use proptest::prelude::*;
use support::{PlainSite, plain, tables};

/// The way from the beginning of the tree to a branch, as text.
type Way = Vec<String>;

fn spelled(element: Element<'_>) -> String {
    match element {
        Element::NoFrame => "none".to_owned(),
        Element::Thread(name) => format!("thread {name}"),
        Element::Frame(frame) => format!("{}:{} {}", frame.filename, frame.line, frame.name),
    }
}

/// The elements of a site's path in the order of the tree.
fn way(site: &PlainSite, query: TreeQuery) -> Way {
    let frames = site.frames.iter().map(|(file, line, name)| {
        let line = if query.by_function { 0 } else { *line };
        format!("{file}:{line} {name}")
    });
    let thread = site.thread.iter().map(|name| format!("thread {name}"));
    let mut way: Way = frames.chain(thread).collect();
    if way.is_empty() {
        way.push("none".to_owned());
    }
    if query.direction == Direction::Callees {
        way.reverse();
    }
    way
}

/// Every branch with its amount and its own.
fn naive(tables: &Tables, query: TreeQuery) -> BTreeMap<Way, (Amount, Amount)> {
    let mut branches: BTreeMap<Way, (Amount, Amount)> = BTreeMap::new();
    for site in plain(tables) {
        let amount = query.metric.of(&site.counters);
        let way = way(&site, query);
        for length in 1..=way.len() {
            branches.entry(way[..length].to_vec()).or_default().0 += amount;
        }
        branches.entry(way).or_default().1 += amount;
    }
    branches.retain(|_, (amount, _)| !amount.is_zero());
    branches
}

/// Likewise, by opening all branches of the tree; they must come in their order.
fn opened(tree: &mut CallTree, tables: &Tables) -> BTreeMap<Way, (Amount, Amount)> {
    let mut branches = BTreeMap::new();
    let mut waiting: Vec<(Way, BranchId)> = Vec::new();
    let first = tree.first().to_vec();
    waiting.extend(first.into_iter().map(|id| (Vec::new(), id)));
    while let Some((before, id)) = waiting.pop() {
        let mut way = before;
        way.push(spelled(tree.element(tables, id)));
        let has_children = tree.branch(id).has_children();
        let children = tree.children(tables, id).to_vec();
        assert_eq!(has_children, !children.is_empty(), "{way:?}");
        let sizes: Vec<u64> = children
            .iter()
            .map(|child| tree.branch(*child).amount.bytes)
            .collect();
        assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
        waiting.extend(children.into_iter().map(|child| (way.clone(), child)));
        let branch = tree.branch(id);
        let twice = branches.insert(way, (branch.amount, branch.own));
        assert_eq!(twice, None);
    }
    branches
}

fn queries() -> impl Strategy<Value = TreeQuery> {
    let direction = prop_oneof![Just(Direction::Callees), Just(Direction::Callers)];
    let metric = proptest::sample::select(Metric::ALL.to_vec());
    (direction, metric, any::<bool>()).prop_map(|(direction, metric, by_function)| TreeQuery {
        metric,
        direction,
        by_function,
        imports: Imports::Whole,
    })
}

proptest! {
    #[test]
    fn every_branch_has_what_the_call_paths_through_it_have(tables in tables(), query in queries()) {
        let mut tree = CallTree::new(&tables, query);
        prop_assert_eq!(opened(&mut tree, &tables), naive(&tables, query));
        let all: Amount = plain(&tables).iter().map(|site| query.metric.of(&site.counters)).sum();
        prop_assert_eq!(tree.total(), all);
    }

    #[test]
    fn what_is_looked_for_is_found_and_led_to(tables in tables(), query in queries(), name in "[fg]|b.py|worker") {
        let mut tree = CallTree::new(&tables, query);
        let is_wanted = |text: &str| text.contains(&name);
        let found = tree.find(&tables, |element| is_wanted(&spelled(element)));
        let with: Amount = plain(&tables)
            .iter()
            .filter(|site| way(site, query).iter().any(|part| is_wanted(part)))
            .map(|site| query.metric.of(&site.counters))
            .sum();
        prop_assert_eq!(found.amount, with);
        opened(&mut tree, &tables);
        let mut waiting = tree.first().to_vec();
        let mut all = Vec::new();
        while let Some(id) = waiting.pop() {
            all.push(id);
            waiting.extend_from_slice(tree.children(&tables, id));
        }
        for id in &all {
            let is_below = |other: &&BranchId| {
                let mut above = tree.branch(**other).parent;
                while let Some(parent) = above {
                    if parent == *id {
                        return true;
                    }
                    above = tree.branch(parent).parent;
                }
                false
            };
            let leads = all.iter().filter(is_below).any(|below| tree.is_hit(&found, *below));
            prop_assert_eq!(tree.is_before_hit(&found, *id), leads);
            prop_assert_eq!(tree.is_hit(&found, *id), is_wanted(&spelled(tree.element(&tables, *id))));
        }
    }
}

#[test]
fn there_is_nothing_in_empty_tables() {
    for direction in [Direction::Callees, Direction::Callers] {
        let query = TreeQuery {
            direction,
            ..TreeQuery::default()
        };
        let tree = CallTree::new(&Tables::default(), query);
        assert!(tree.first().is_empty());
        assert!(tree.total().is_zero());
    }
}
