//! `heapsight annotate`.

use heapsight_report::{Annotate, NothingThere, annotate as report, shell_path};

use crate::args::AnnotateOptions;
use crate::console::Console;
use crate::failure::Failure;
use crate::files::Files;
use crate::view::View;

/// Shows source with the memory of each line.
pub(crate) fn annotate(
    options: &AnnotateOptions,
    files: &Files,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let part = &options.part;
    let look = (console.out_look)(part.color());
    let view = View::open(&options.capture, part.when(), &part.filters(), files)?;
    let what = Annotate {
        file: options.source.clone(),
        count: options.number,
        all: options.all,
        cumulative: options.cumulative,
        moment: view.moment,
        imports: options.imports(view.capture.header.mode),
        is_filtered: view.is_filtered,
    };
    let text = report(&view.capture, &what, &look).map_err(|NothingThere| {
        let source = options.source.as_deref().unwrap_or(&options.capture);
        Failure::BadValue(format!(
            "no line of {} has memory: 'heapsight top -f {}' lists the files that have",
            source.display(),
            shell_path(&options.capture)
        ))
    })?;
    console.print(&text)
}
