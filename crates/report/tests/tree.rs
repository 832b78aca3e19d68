//! The call tree in text as it is seen.

mod support;

use heapsight_analysis::call_tree::{Direction, TreeQuery};
use heapsight_analysis::recording::Reached;
use heapsight_analysis::{Imports, Metric};
use heapsight_capture::model::Mode;
use heapsight_report::{Look, TreeText, tree};
use support::example;

const EXACT: Mode = Mode::Exact { frame_limit: None };

fn what(direction: Direction) -> TreeText {
    TreeText {
        query: TreeQuery {
            direction,
            imports: Imports::for_people(EXACT, false),
            ..TreeQuery::default()
        },
        by_blocks: false,
        least_percent: 1.0,
        moment: Reached::End,
        is_filtered: false,
    }
}

fn text(what: &TreeText, look: &Look) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    tree(&example(EXACT, folder.path()), what, look)
}

#[test]
fn from_the_outermost_caller_inwards() {
    insta::assert_snapshot!(text(&what(Direction::Callees), &Look::plain(80)));
}

#[test]
fn from_what_allocated_outwards_by_blocks_at_the_peak() {
    let mut what = what(Direction::Callers);
    what.query.metric = Metric::Peak;
    what.query.by_function = true;
    what.by_blocks = true;
    let look = Look {
        unicode: false,
        ..Look::plain(100)
    };
    let text = text(&what, &look);
    assert!(text.is_ascii(), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn in_colour_every_line_ends_its_own() {
    let look = Look {
        color: true,
        ..Look::plain(100)
    };
    let text = text(&what(Direction::Callees), &look);
    for line in text.lines() {
        let opened = line.matches("\x1b[").count() - line.matches("\x1b[0m").count();
        assert_eq!(opened, line.matches("\x1b[0m").count(), "{line:?}");
    }
}

#[test]
fn without_a_limit_nothing_is_only_added_up() {
    let all = TreeText {
        least_percent: 0.0,
        ..what(Direction::Callees)
    };
    assert!(!text(&all, &Look::plain(80)).contains(" more\n"));
    assert!(text(&what(Direction::Callees), &Look::plain(80)).contains(" more\n"));
}
