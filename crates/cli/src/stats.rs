//! `heapsight stats`.

use heapsight_report::Statistics;

use crate::args::StatsOptions;
use crate::console::Console;
use crate::failure::Failure;
use crate::files::Files;
use crate::view::View;

/// Describes each file in figures.
pub(crate) fn stats(
    options: &StatsOptions,
    files: &Files,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let look = (console.out_look)(options.part.color());
    let filters = options.part.filters();
    let when = options.part.when();
    let mut out = Vec::new();
    for path in &options.files {
        let view = View::open(path, when, &filters, files)?;
        let View {
            capture,
            moment,
            file_bytes,
            is_filtered,
            ..
        } = &view;
        let statistics = Statistics::new(capture, *file_bytes, *moment, *is_filtered);
        out.push(if options.json {
            statistics.json(capture)
        } else {
            statistics.text(capture, &look)
        });
    }
    console.print(&out.join(if options.json { "" } else { "\n" }))
}
