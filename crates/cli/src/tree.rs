//! `heapsight tree`.

use heapsight_analysis::Imports;
use heapsight_analysis::call_tree::{Direction, TreeQuery};
use heapsight_report::{TreeText, tree as report};
use heapsight_terminal::{Opened, TreeSettings, check_terminal, tree as show};

use crate::args::TreeOptions;
use crate::console::Console;
use crate::failure::Failure;
use crate::files::Files;
use crate::view::View;

/// What else there is, where the tree cannot be walked through.
const INSTEAD: &str = "'heapsight tree FILE | cat' prints the tree";

/// Shows the tree on a terminal, and prints it elsewhere.
pub(crate) fn tree(
    options: &TreeOptions,
    files: &Files,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let part = &options.part;
    let look = (console.out_look)(part.color());
    let no_view = |error| Failure::NoView(error, INSTEAD);
    if console.out_is_terminal {
        check_terminal().map_err(no_view)?;
    }
    let filters = part.filters();
    let view = View::open(&options.capture, part.when(), &filters, files)?;
    view.require_metrics(options.metric.as_slice())?;
    let settings = TreeSettings {
        metric: options.metric.unwrap_or_default(),
        by_blocks: options.blocks,
        direction: match options.callers {
            true => Direction::Callers,
            false => Direction::Callees,
        },
        by_function: options.functions,
        imports: options.imports,
    };
    if !console.out_is_terminal {
        let what = TreeText {
            query: TreeQuery {
                metric: settings.metric,
                direction: settings.direction,
                by_function: settings.by_function,
                imports: Imports::for_people(view.capture.header.mode, settings.imports),
            },
            by_blocks: settings.by_blocks,
            least_percent: options.min_share,
            moment: view.moment,
            is_filtered: view.is_filtered,
        };
        return console.print(&report(&view.capture, &what, &look));
    }
    files.be_quiet();
    let mut open = |when| {
        let view = View::open(&options.capture, when, &filters, files);
        view.map(opened).map_err(|failure| failure.to_string())
    };
    show(&options.capture, opened(view), settings, look, &mut open).map_err(no_view)
}

fn opened(view: View) -> Opened {
    Opened {
        capture: view.capture,
        moment: view.moment,
    }
}
