//! The fast algorithms against the obvious ones.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use heapsight_analysis::{
    Amount, Difference, Filter, GroupBy, Key, Metric, Query, apply_filters, group, keep, path,
    truncate,
};
use heapsight_capture::model::Tables;
use proptest::prelude::*;
use support::{PlainFrame, PlainSite, plain, tables};

/// A key spelled out as (text, number)s.
type PlainKey = Vec<(String, u32)>;

fn spelled(key: &Key<'_>, tables: &Tables) -> PlainKey {
    match *key {
        Key::Line(known) => known
            .map(|(file, line)| (file.to_owned(), line))
            .into_iter()
            .collect(),
        Key::Function(known) => known
            .map(|(file, name)| (format!("{file} {name}"), 0))
            .into_iter()
            .collect(),
        Key::Filename(known) | Key::Thread(known) => {
            known.map(|name| (name.to_owned(), 0)).into_iter().collect()
        }
        Key::Traceback(node) => path::frames(tables, node)
            .map(|frame| (format!("{} {}", frame.filename, frame.name), frame.line))
            .collect(),
        Key::Domain(domain) => vec![(String::new(), domain.0)],
    }
}

fn key_of_frame(by: GroupBy, (file, line, name): &PlainFrame) -> PlainKey {
    vec![match by {
        GroupBy::Line => (file.clone(), *line),
        GroupBy::Function => (format!("{file} {name}"), 0),
        _ => (file.clone(), 0),
    }]
}

/// The keys that a site counts for.
fn keys(site: &PlainSite, query: Query) -> BTreeSet<PlainKey> {
    let by = query.group_by;
    match by {
        GroupBy::Domain => BTreeSet::from([vec![(String::new(), site.domain.0)]]),
        GroupBy::Thread => {
            BTreeSet::from([site.thread.iter().map(|name| (name.clone(), 0)).collect()])
        }
        GroupBy::Traceback => BTreeSet::from([site
            .frames
            .iter()
            .map(|(file, line, name)| (format!("{file} {name}"), *line))
            .collect()]),
        _ if site.frames.is_empty() => BTreeSet::from([Vec::new()]),
        _ => {
            let counted = if query.cumulative {
                site.frames.len()
            } else {
                1
            };
            site.frames[..counted]
                .iter()
                .map(|frame| key_of_frame(by, frame))
                .collect()
        }
    }
}

fn naive(sites: &[PlainSite], query: Query) -> BTreeMap<PlainKey, Amount> {
    let mut sums: BTreeMap<PlainKey, Amount> = BTreeMap::new();
    for site in sites {
        for key in keys(site, query) {
            *sums.entry(key).or_default() += query.metric.of(&site.counters);
        }
    }
    sums.retain(|_, amount| !amount.is_zero());
    sums
}

fn queries() -> impl Strategy<Value = Query> {
    (
        prop::sample::select(&Metric::ALL[..]),
        prop::sample::select(&GroupBy::ALL[..]),
        any::<bool>(),
    )
        .prop_map(|(metric, group_by, cumulative)| Query {
            metric,
            group_by,
            cumulative,
            ..Query::default()
        })
}

fn filters() -> impl Strategy<Value = Vec<Filter>> {
    let pattern = prop::sample::select(&["a.py", "*.py", "b*", "*", "none"][..]);
    let line = prop::option::of(0..3_i64);
    let filter = (any::<bool>(), pattern, line, any::<bool>()).prop_map(
        |(include, pattern, line, any_frame)| Filter::new(include, pattern, line, any_frame),
    );
    prop::collection::vec(filter, 0..4)
}

proptest! {
    #[test]
    fn groups_are_the_sums_of_their_members(tables in tables(), query in queries()) {
        let grouped = group(&tables, query);
        let sites = plain(&tables);
        let sums: BTreeMap<PlainKey, Amount> = grouped
            .rows
            .iter()
            .map(|row| (spelled(&row.key, &tables), row.amount))
            .collect();
        prop_assert_eq!(sums.len(), grouped.rows.len(), "a key occurs twice");
        prop_assert_eq!(sums, naive(&sites, query));
        let total: Amount = sites.iter().map(|site| query.metric.of(&site.counters)).sum();
        prop_assert_eq!(grouped.total, total);
    }

    #[test]
    fn rows_come_largest_first_and_name_their_heaviest_member(tables in tables(), query in queries()) {
        let grouped = group(&tables, query);
        let sites = plain(&tables);
        for pair in grouped.rows.windows(2) {
            let size = |row: &heapsight_analysis::Row<'_>| (row.amount.bytes, row.amount.blocks);
            prop_assert!(size(&pair[0]) >= size(&pair[1]));
            if size(&pair[0]) == size(&pair[1]) {
                prop_assert!(pair[0].key.compare(&pair[1].key, &tables).is_lt());
            }
        }
        // Where the most recent frame is what groups, a member is a call path; else a site.
        let of_paths = query.group_by.can_be_cumulative() && !query.cumulative;
        let is_one = |a: &PlainSite, b: &PlainSite| match of_paths {
            true => (&a.frames, &a.thread) == (&b.frames, &b.thread),
            false => std::ptr::eq(a, b),
        };
        let amount_with = |site: &PlainSite| -> Amount {
            let same = sites.iter().filter(|other| is_one(site, other));
            same.map(|site| query.metric.of(&site.counters)).sum()
        };
        for row in &grouped.rows {
            let key = spelled(&row.key, &tables);
            let members = sites.iter().filter(|site| keys(site, query).contains(&key));
            let most = members.map(|site| amount_with(site).bytes).max();
            prop_assert_eq!(Some(row.heaviest_amount.bytes), most);
            let heaviest = &sites[row.heaviest as usize];
            prop_assert!(keys(heaviest, query).contains(&key));
            prop_assert_eq!(amount_with(heaviest), row.heaviest_amount);
        }
    }

    #[test]
    fn the_rest_of_a_top_list_is_what_it_leaves_out(tables in tables(), count in 0..8_usize) {
        let grouped = group(&tables, Query::default());
        let (top, others) = grouped.top(count);
        prop_assert_eq!(top.len() + others.rows, grouped.rows.len());
        let mut sum: Amount = top.iter().map(|row| row.amount).sum();
        sum += others.amount;
        prop_assert_eq!(sum, grouped.total);
    }

    #[test]
    fn filters_keep_the_sites_whose_paths_they_keep(tables in tables(), filters in filters()) {
        let mut filtered = tables.clone();
        apply_filters(&mut filtered, &filters);
        let kept: Vec<PlainSite> = plain(&tables)
            .into_iter()
            .filter(|site| {
                keep(filters.iter().map(|filter| {
                    let frames = site.frames.iter().map(|(file, line, _)| {
                        (Some(file.as_str()), (*line > 0).then_some(i64::from(*line)))
                    });
                    (filter, filter.match_path(frames))
                }))
            })
            .collect();
        prop_assert_eq!(plain(&filtered), kept);
    }

    #[test]
    fn shorter_paths_hold_the_same_memory(tables in tables(), limit in 0..5_u32) {
        let mut cut = plain(&tables);
        for site in &mut cut {
            site.frames.truncate(limit as usize);
        }
        let short = truncate(&tables, limit);
        for metric in Metric::ALL {
            for group_by in GroupBy::ALL {
                let query = Query { metric, group_by, cumulative: true, ..Query::default() };
                prop_assert_eq!(naive(&plain(&short), query), naive(&cut, query));
            }
        }
        prop_assert_eq!(truncate(&short, limit), short);
    }

    #[test]
    fn a_comparison_matches_groups_by_content(old in tables(), new in tables(), query in queries()) {
        let difference = Difference::new(&old, &new, query);
        let (mut old_sums, mut new_sums) = (BTreeMap::new(), BTreeMap::new());
        let changes = difference.changes();
        for change in &changes {
            let key = spelled(&change.key, difference.tables());
            prop_assert!(!old_sums.contains_key(&key) && !new_sums.contains_key(&key), "{key:?} occurs twice");
            if !change.old.is_zero() {
                old_sums.insert(key.clone(), change.old);
            }
            if !change.new.is_zero() {
                new_sums.insert(key, change.new);
            }
        }
        let shared = plain(difference.tables());
        for change in &changes {
            let path = &shared[change.heaviest as usize];
            let on_path = |tables: &Tables| -> Amount {
                let sites = plain(tables);
                let same = sites.iter().filter(|site| (&site.frames, &site.thread) == (&path.frames, &path.thread));
                same.map(|site| query.metric.of(&site.counters)).sum()
            };
            let gained = on_path(&new).change_from(on_path(&old)).0;
            prop_assert_eq!(change.heaviest_gained, gained);
        }
        prop_assert_eq!(old_sums, naive(&plain(&old), query));
        prop_assert_eq!(new_sums, naive(&plain(&new), query));
        for pair in changes.windows(2) {
            prop_assert!(pair[0].gained().0.abs() >= pair[1].gained().0.abs());
        }
    }
}

#[test]
fn a_path_of_a_hundred_thousand_frames_needs_no_stack() {
    use heapsight_capture::model::{Code, CodeKind, Counters, Domain, Node, Site};
    let depth = 100_000;
    let mut tables = Tables {
        strings: vec!["deep.py".into(), "dive".into()],
        codes: vec![Code {
            kind: CodeKind::Python,
            filename: 0,
            name: 1,
            first_line: 1,
        }],
        nodes: vec![Node {
            parent: 0,
            code: 0,
            line: 0,
        }],
        ..Tables::default()
    };
    for id in 1..=depth {
        tables.nodes.push(Node {
            parent: id - 1,
            code: 0,
            line: 2 + id % 2,
        });
    }
    tables.sites.push(Site {
        node: depth,
        domain: Domain::OBJ,
    });
    tables.counters.push(Counters {
        allocated_bytes: 100,
        allocated_blocks: 1,
        ..Counters::default()
    });
    for group_by in GroupBy::ALL {
        let grouped = group(
            &tables,
            Query {
                group_by,
                cumulative: true,
                ..Query::default()
            },
        );
        for row in &grouped.rows {
            assert_eq!(
                row.amount,
                Amount {
                    bytes: 100,
                    blocks: 1
                }
            );
        }
    }
    assert_eq!(truncate(&tables, 3).nodes.len(), 4);
}
