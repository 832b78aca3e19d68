//! `heapsight top`.

use heapsight_analysis::Metric;
use heapsight_report::{
    DisplayOptions, Lines, Look, Selection, biggest_blocks, block, is_snapshot, lines, summary,
};

use crate::args::{ShowOptions, TopOptions};
use crate::console::Console;
use crate::failure::Failure;
use crate::files::Files;
use crate::view::View;

/// Shows the files. All are read before the first is shown, so that a wrong name does not leave half an answer.
///
/// One recording is a report with a picture. Several files, and snapshots that a program took of itself, are lines:
/// each file compared with the one before.
pub(crate) fn top(
    options: &TopOptions,
    files: &Files,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let look = (console.out_look)(options.select.part.color());
    let filters = options.select.part.filters();
    let when = options.select.part.when();
    let mut views = Vec::new();
    // Only the report of one recording tells of growth.
    let is_report = options.files.len() == 1 && !options.asks_for_lines();
    let open = if is_report {
        View::open_with_half
    } else {
        View::open
    };
    for path in &options.files {
        let view = open(path, when, &filters, files)?;
        view.require_metrics(&options.select.metric)?;
        views.push(view);
    }
    views.sort_by_key(|view| view.shown().unix_ns());
    warn_of_different_processes(&views, console);
    let as_lines = options.asks_for_lines()
        || options.by_address()
        || views.len() > 1
        || views.iter().any(|view| is_snapshot(&view.capture));
    if as_lines || options.block.is_some() || options.traceback {
        for view in &views {
            view.warn_of_what_is_missing(files);
        }
    }
    let text = if let Some(address) = options.block {
        one_block(&views, address, &look)?
    } else if options.traceback {
        biggest(&views, options.show, &look)?
    } else if as_lines {
        all_lines(&views, options, &look)?
    } else {
        reports(&views, options, &look)
    };
    console.print(&text)
}

fn reports(views: &[View], options: &TopOptions, look: &Look) -> String {
    let report = |view: &View| {
        let selection = Selection {
            count: options.show.number,
            group_by: options.select.group.grouping().unwrap_or_default(),
            cumulative: options.select.cumulative,
            metrics: options.select.metrics(),
            moment: view.moment,
            imports: options.show.imports(view.capture.header.mode),
            is_filtered: view.is_filtered,
        };
        summary(&view.capture, &selection, view.half.as_ref(), look)
    };
    let reports: Vec<String> = views.iter().map(report).collect();
    reports.join("\n")
}

fn all_lines(views: &[View], options: &TopOptions, look: &Look) -> Result<String, Failure> {
    if options.by_address() {
        for view in views {
            blocks_of(view, "-a")?;
        }
    }
    let metrics = match &options.select.metric[..] {
        [] => vec![Metric::Live],
        metrics => metrics.to_vec(),
    };
    let mut out = Vec::new();
    for metric in metrics {
        let lines_of = |mode| Lines {
            query: options.select.query(metric, options.show.imports(mode)),
            by_address: options.by_address(),
            count: options.show.number,
            show_metrics: !options.no_metrics,
            show_growth: options.first,
            display: DisplayOptions {
                color: look.color,
                filename_parts: options.filename_parts.unwrap_or(3),
                show_size: !options.no_size,
                show_count: !options.no_count,
                show_average: !options.no_average,
                ..DisplayOptions::default()
            },
        };
        for (index, view) in views.iter().enumerate() {
            let old = match index {
                0 => None,
                _ if options.first => views.first(),
                _ => views.get(index - 1),
            };
            let what = lines_of(view.capture.header.mode);
            out.push(lines(view.shown(), old.map(View::shown), &what, look));
        }
    }
    Ok(out.join("\n"))
}

fn biggest(views: &[View], show: ShowOptions, look: &Look) -> Result<String, Failure> {
    let mut out = Vec::new();
    for view in views {
        let blocks = blocks_of(view, "-t")?;
        let imports = show.imports(view.capture.header.mode);
        let text = biggest_blocks(&view.capture, blocks, show.number, imports, look);
        out.push(if views.len() > 1 {
            format!("{}: {text}", view.name(look))
        } else {
            text
        });
    }
    Ok(out.join("\n"))
}

fn one_block(views: &[View], address: u64, look: &Look) -> Result<String, Failure> {
    let mut out = String::new();
    for view in views {
        let blocks = blocks_of(view, "-b")?;
        let found = blocks.iter().find(|block| block.address == address);
        let text = found.map_or_else(
            || format!("{address:#x}: no live traced block\n"),
            |found| block(&view.capture, found, look),
        );
        out += &format!("{}: {text}", view.name(look));
    }
    Ok(out)
}

fn blocks_of<'v>(
    view: &'v View,
    option: &'static str,
) -> Result<&'v [heapsight_capture::Block], Failure> {
    let blocks = view.capture.blocks.as_deref();
    blocks.ok_or_else(|| Failure::NoBlocks {
        path: view.path.clone(),
        option,
    })
}

/// Figures of different processes can be compared, but rarely are meant to be.
fn warn_of_different_processes(views: &[View], console: &mut Console<'_>) {
    let mut pids: Vec<u32> = views.iter().map(|view| view.capture.header.pid).collect();
    pids.dedup();
    if pids.len() > 1 {
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        console.warn(&format!(
            "the files are of different processes ({})",
            pids.join(", ")
        ));
    }
}
