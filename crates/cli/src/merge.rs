//! `heapsight merge`: the captures of several processes become one.

use std::fs::File;
use std::io::{Chain, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use heapsight_analysis::{Merge, MergedResident};
use heapsight_capture::model::Mode;
use heapsight_capture::{Capture, End, Exit, Header, ReadError, Replay, Tick, WriteError, Writer};
use heapsight_handover::RunSpec;
use heapsight_report::{Selection, format_size, next_steps, summary};

use crate::args::MergeOptions;
use crate::console::Console;
use crate::failure::Failure;
use crate::files::{Files, Opened};
use crate::output;
use crate::progress::{Progress, Reading};
use crate::relatives;
use crate::view::{View, warn_of_what_is_missing};

/// Writes the combined capture, then shows its top.
pub(crate) fn merge(
    options: &MergeOptions,
    command: &str,
    files: &Files,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let look = (console.out_look)(options.select.part.color());
    options.select.group.must_be_of_call_paths()?;
    let mut processes = Vec::new();
    for path in relatives::of(&options.files)? {
        processes.push(Process::open(&path, files)?);
    }
    for warning in warnings(&processes) {
        console.warn(&warning);
    }
    output::write_whole(&options.output, options.force, |out| {
        combine(&mut processes, out, &options.output)
    })?;
    // A child that made room for another program at once has no tick, and nobody misses it.
    let with_ticks = processes
        .iter()
        .filter(|process| !process.capture().timeline.is_empty());
    for process in with_ticks {
        warn_of_what_is_missing(&process.path, process.capture(), files);
    }
    if options.quiet {
        return Ok(());
    }
    let select = &options.select;
    let when = select.part.when();
    let view = View::open_with_half(&options.output, when, &select.part.filters(), files)?;
    let selection = Selection {
        count: options.show.number,
        group_by: select.group.grouping().unwrap_or_default(),
        cumulative: select.cumulative,
        metrics: select.metrics(),
        moment: view.moment,
        imports: options.show.imports(view.capture.header.mode),
        is_filtered: view.is_filtered,
    };
    console.print(&format!(
        "{}\n{}",
        summary(&view.capture, &selection, view.half.as_ref(), &look),
        next_steps(&options.output, command, &look)
    ))
}

/// At the end of a run that asked for it: combines the captures of all its processes, `path` being that of the first.
/// Gives the new capture, or one line saying why there is none; `None` when nobody asked.
#[must_use]
pub(crate) fn merge_at_exit(spec: &RunSpec, path: &Path) -> Option<Result<PathBuf, String>> {
    if !spec.merge || spec.is_child {
        return None;
    }
    let files = Files::new(Progress { may_show: false });
    let combined = RunSpec::combined(path);
    let merged = relatives::of(&[path.to_path_buf()]).and_then(|paths| {
        let processes = paths.iter().map(|path| Process::open(path, &files));
        let mut processes = processes.collect::<Result<Vec<_>, _>>()?;
        // Whether it may be replaced was asked when the run began.
        output::write_whole(&combined, true, |out| {
            combine(&mut processes, out, &combined)
        })
    });
    Some(match merged {
        Ok(()) => Ok(combined),
        Err(failure) => Err(failure.to_string()),
    })
}

/// One of the captures, played back.
struct Process {
    path: PathBuf,
    replay: Replay<Chain<Cursor<Vec<u8>>, Reading<File>>>,
    /// The time, since 1970-01-01 UTC in nanoseconds, of what is to be added next. `None` when all is added.
    next_ns: Option<u64>,
    is_over: bool,
}

impl Process {
    fn open(path: &Path, files: &Files) -> Result<Self, Failure> {
        let Opened {
            first, file, bytes, ..
        } = files.open(path)?;
        let replay = Replay::open(first.chain(files.progress.get().reading(path, file, bytes)))
            .map_err(|source| unreadable(path, source))?;
        let mut process = Self {
            path: path.to_path_buf(),
            replay,
            next_ns: None,
            is_over: false,
        };
        process.advance()?;
        if process.capture().knows_ends_only() {
            return Err(Failure::EndsOnly {
                path: path.to_path_buf(),
                unknown: "memory at other moments",
            });
        }
        Ok(process)
    }

    fn capture(&self) -> &Capture {
        self.replay.capture()
    }

    /// Reads the next tick; after the last, the process itself is next to end.
    fn advance(&mut self) -> Result<(), Failure> {
        let has_tick = self
            .replay
            .advance()
            .map_err(|source| unreadable(&self.path, source))?;
        let capture = self.replay.capture();
        let last = capture.timeline.last().map_or(0, |point| point.elapsed_ns);
        let elapsed_ns = if has_tick {
            last
        } else {
            last.max(capture.end.map_or(0, |end| end.elapsed_ns))
        };
        self.next_ns = match (has_tick, self.is_over) {
            (false, true) => None,
            _ => Some(capture.header.start_unix_ns.saturating_add(elapsed_ns)),
        };
        self.is_over = !has_tick;
        Ok(())
    }
}

fn unreadable(path: &Path, source: ReadError) -> Failure {
    Failure::Unreadable {
        path: path.to_path_buf(),
        source,
    }
}

/// Plays all back in the order of time, and writes the sum after each step.
fn combine(processes: &mut [Process], out: &mut dyn Write, path: &Path) -> Result<(), Failure> {
    let cannot_write = |error: WriteError| match error {
        WriteError::Io { source, .. } => Failure::CannotWrite {
            path: path.to_path_buf(),
            source,
        },
        other => Failure::Usage(other.to_string()),
    };
    let header = combined_header(processes);
    let start_ns = header.start_unix_ns;
    let mut writer = Writer::create(out, &header).map_err(cannot_write)?;
    let mut merge = Merge::new(processes.len());
    let mut resident = MergedResident::new(processes.len());
    let mut elapsed_ns = 0;
    let mut running = processes.len();
    loop {
        let times = processes.iter().enumerate();
        let next = times
            .filter_map(|(index, process)| Some((process.next_ns?, index)))
            .min();
        let Some((time_ns, index)) = next else { break };
        let process = &mut processes[index];
        elapsed_ns = time_ns.saturating_sub(start_ns);
        if process.is_over {
            running -= 1;
            // What is live when the last process ends is what is live at the end of the whole. Snapshots say nothing of
            // an end.
            if running > 0 && process.capture().header.tick_ms > 0 {
                merge.end(index);
                resident.end(index);
                write_tick(&mut writer, &mut merge, elapsed_ns, &resident).map_err(cannot_write)?;
            }
        } else {
            let capture = process.replay.capture();
            merge.add(index, &capture.tables, process.replay.changed());
            resident.add(index, &capture.timeline.last().copied().unwrap_or_default());
            write_tick(&mut writer, &mut merge, elapsed_ns, &resident).map_err(cannot_write)?;
        }
        process.advance()?;
    }
    let all_ended = processes
        .iter()
        .all(|process| process.capture().end.is_some());
    if all_ended {
        let end = End {
            elapsed_ns,
            exit: Exit::Interpreter,
            totals: merge.totals(),
        };
        writer.finish(&end).map_err(cannot_write)?;
    }
    Ok(())
}

fn write_tick(
    writer: &mut Writer<&mut dyn Write>,
    merge: &mut Merge,
    elapsed_ns: u64,
    resident: &MergedResident,
) -> Result<(), WriteError> {
    let changes = merge.take_changes();
    writer.tick(&Tick {
        elapsed_ns,
        rss_bytes: resident.bytes(),
        highest_rss_bytes: resident.highest_bytes(),
        paths_lag_ns: resident.paths_lag_ns(),
        totals: changes.totals,
        new_strings: changes.strings,
        new_codes: changes.codes,
        new_nodes: changes.nodes,
        new_sites: changes.sites,
        changed: &changes.counters,
        before: None,
    })
}

/// The header of the process that began first; fields that differ are combined.
fn combined_header(processes: &[Process]) -> Header {
    let headers = || processes.iter().map(|process| &process.capture().header);
    let first = headers().min_by_key(|header| header.start_unix_ns);
    let mut header = first.cloned().unwrap_or_default();
    if let others @ 1.. = processes.len().saturating_sub(1) {
        let noun = if others == 1 { "process" } else { "processes" };
        header.program = format!("{} and {others} more {noun}", header.program);
    }
    header.mode = headers().fold(header.mode, |mode, other| combined_mode(mode, other.mode));
    header.by_thread = headers().any(|other| other.by_thread);
    header.tick_ms = headers().map(|other| other.tick_ms).max().unwrap_or(0);
    header.heapsight_version = env!("CARGO_PKG_VERSION").to_owned();
    if headers().any(|other| other.run_id != header.run_id) {
        header.run_id = 0;
    }
    header.is_child = false;
    header
}

/// The weaker of two: the error of a sum is no larger than with the coarser sample, and paths may be as short as the
/// shorter limit.
fn combined_mode(a: Mode, b: Mode) -> Mode {
    match (a, b) {
        (Mode::Sampled { mean_bytes: a }, Mode::Sampled { mean_bytes: b }) => Mode::Sampled {
            mean_bytes: a.max(b),
        },
        (sampled @ Mode::Sampled { .. }, Mode::Exact { .. })
        | (Mode::Exact { .. }, sampled @ Mode::Sampled { .. }) => sampled,
        (Mode::Exact { frame_limit: a }, Mode::Exact { frame_limit: b }) => Mode::Exact {
            frame_limit: match (a, b) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        },
    }
}

/// What makes a sum doubtful.
fn warnings(processes: &[Process]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let twice = processes.iter().filter(|process| {
        let header = &process.capture().header;
        !seen.insert((header.pid, header.start_unix_ns))
    });
    let twice = twice.map(|process| {
        format!(
            "{} is of the same process as another file: it is counted twice",
            process.path.display()
        )
    });
    twice.chain(mixed_modes(processes)).collect()
}

/// Which processes were traced in which way, if not all in the same.
fn mixed_modes(processes: &[Process]) -> Option<String> {
    let way = |process: &Process| match process.capture().header.mode {
        Mode::Exact { .. } => "exact".to_owned(),
        Mode::Sampled { mean_bytes } => format!("a sample of one in {}", format_size(mean_bytes)),
    };
    let is_exact = |process: &&Process| {
        let mode = process.capture().header.mode;
        matches!(mode, Mode::Exact { .. })
    };
    let exact = processes.iter().filter(is_exact).count();
    if exact == 0 || exact == processes.len() {
        return None;
    }
    let ways = processes.iter();
    let ways = ways.map(|process| format!("{} is {}", process.path.display(), way(process)));
    let ways: Vec<String> = ways.collect();
    Some(format!(
        "sums of exact figures and estimates are estimates: {}",
        ways.join(", ")
    ))
}
