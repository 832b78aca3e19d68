//! Writes a capture file while the program runs: a native thread, without the GIL, that appends at each tick what has changed.

use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use heapsight_capture::model::{Counters, SiteId};
use heapsight_capture::{End, Exit, Header, Tick, WriteError, Writer};

use crate::background::descriptor::Guarded;
use crate::interpreter::signals;
use crate::memory::id_table::hash2;
use crate::readout::export::Exporter;
use crate::readout::snapshot;

/// What became of a recording.
#[derive(Debug)]
pub struct Recorded {
    /// Bytes written to the file.
    pub bytes_written: u64,
    /// Why the file lacks something, if it does.
    pub failure: Option<String>,
}

/// A recording in progress. Belongs to the process that began it.
struct Recording {
    pid: u32,
    shared: Arc<Shared>,
    tick: Duration,
    /// `None` while paused.
    thread: Option<JoinHandle<()>>,
}

impl Recording {
    /// The recording that this process began. A forked child inherits the value, but has none of its own.
    fn of_this_process(recording: &mut Option<Self>) -> Option<&mut Self> {
        recording
            .as_mut()
            .filter(|recording| recording.pid == std::process::id())
    }

    fn start_thread(&mut self) -> io::Result<()> {
        let (recorder, tick) = (Arc::clone(&self.shared), self.tick);
        self.thread = Some(signals::with_signals_blocked(|| {
            std::thread::Builder::new()
                .name("heapsight".to_owned())
                .stack_size(1 << 20)
                .spawn(move || run(&recorder, tick))
        })?);
        Ok(())
    }

    fn end_thread(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        *self
            .shared
            .stop
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.stopped.notify_all();
        // The recorder does not panic; if it did, what it had written is still good.
        let _ = thread.join();
        *self
            .shared
            .stop
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = false;
    }
}

struct Shared {
    state: Mutex<State>,
    stop: Mutex<bool>,
    stopped: Condvar,
}

struct State {
    writer: Option<Writer<Box<dyn Write + Send>>>,
    exporter: Exporter,
    /// A hash of what the file says of each site: the writer keeps the figures themselves.
    written: Vec<u64>,
    /// How much of the exporter's tables the file has.
    strings: usize,
    codes: usize,
    nodes: usize,
    sites: usize,
    changed: Vec<(SiteId, Counters)>,
    began: Instant,
    statm: Option<Guarded>,
    failure: Option<String>,
}

/// What the recording holds on the heap since its last tick.
static HELD_BYTES: AtomicU64 = AtomicU64::new(0);

/// Bytes on the heap that the recording holds.
pub(crate) fn held_bytes() -> u64 {
    HELD_BYTES.load(Ordering::Relaxed)
}

static RECORDING: Mutex<Option<Recording>> = Mutex::new(None);

/// Starts writing to `sink` every `tick`. Tracing should be on already. A [`Guarded`] file is what withstands the traced program.
///
/// # Errors
/// When the header cannot be written or the thread cannot be made.
pub fn begin(sink: impl Write + Send + 'static, header: &Header, tick: Duration) -> io::Result<()> {
    let sink: Box<dyn Write + Send> = Box::new(sink);
    let writer = Writer::create(sink, header).map_err(io::Error::other)?;
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            writer: Some(writer),
            exporter: Exporter::default(),
            written: Vec::new(),
            strings: 0,
            codes: 0,
            nodes: 0,
            sites: 0,
            changed: Vec::new(),
            began: Instant::now(),
            statm: Guarded::open(Path::new("/proc/self/statm")).ok(),
            failure: None,
        }),
        stop: Mutex::new(false),
        stopped: Condvar::new(),
    });
    let mut recording = Recording {
        pid: std::process::id(),
        shared,
        tick,
        thread: None,
    };
    recording.start_thread()?;
    *RECORDING.lock().unwrap_or_else(PoisonError::into_inner) = Some(recording);
    Ok(())
}

/// Writes a tick now, from the calling thread: so that the file knows this very moment.
pub fn tick_now() {
    let mut recording = RECORDING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(recording) = Recording::of_this_process(&mut recording) {
        recording
            .shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .tick();
    }
}

/// Ends the recording thread until [`resume`]. Nothing is lost: the next tick writes what has changed since the last.
pub(super) fn pause() {
    let mut recording = RECORDING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(recording) = Recording::of_this_process(&mut recording) {
        recording.end_thread();
    }
}

/// Starts the recording thread again after [`pause`], in the process that began the recording only.
pub(super) fn resume() {
    // A child made by `fork` may find the lock taken by a thread that it does not have.
    let Ok(mut recording) = RECORDING.try_lock() else {
        return;
    };
    if let Some(recording) =
        Recording::of_this_process(&mut recording).filter(|recording| recording.thread.is_none())
    {
        // Without a thread there are no more ticks but the one of `finish`.
        let _ = recording.start_thread();
    }
}

/// Writes the last tick and closes the file. `None` when nothing was being recorded by this process (a forked child has none of its own).
#[must_use]
pub fn finish(exit: Exit) -> Option<Recorded> {
    // A child made by `fork` may find the lock taken by a thread that it does not have.
    let mut recording = RECORDING
        .try_lock()
        .ok()?
        .take_if(|recording| recording.pid == std::process::id())?;
    recording.end_thread();
    let mut state = recording
        .shared
        .state
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    state.tick();
    let elapsed_ns = state.elapsed_ns();
    let writer = state.writer.take()?;
    HELD_BYTES.store(0, Ordering::Relaxed);
    let bytes_written = writer.bytes_written();
    if let Err(error) = writer.finish(&End {
        elapsed_ns,
        exit,
        totals: snapshot::totals(),
    }) {
        state.note(&error);
    }
    Some(Recorded {
        bytes_written,
        failure: state.failure.take(),
    })
}

/// The recorder's share of the time: after a tick that took long, the next one waits this many times as long.
///
/// A tick costs time by call paths that were used. A program that uses hundreds of thousands of them all the time would otherwise
/// keep a processor busy with writing down that it did.
const REST: u32 = 50;

fn run(shared: &Shared, tick: Duration) {
    let mut stop = shared.stop.lock().unwrap_or_else(PoisonError::into_inner);
    let mut wait = tick;
    while !*stop {
        let (guard, timeout) = shared
            .stopped
            .wait_timeout(stop, wait)
            .unwrap_or_else(PoisonError::into_inner);
        stop = guard;
        if timeout.timed_out() && !*stop {
            drop(stop);
            let began = Instant::now();
            shared
                .state
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .tick();
            wait = tick.max(began.elapsed() * REST);
            stop = shared.stop.lock().unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Tells two sets of counters apart, as surely as 64 bits can.
fn fingerprint(counters: &Counters) -> u64 {
    [
        counters.allocated_bytes,
        counters.allocated_blocks,
        counters.freed_bytes,
        counters.freed_blocks,
        counters.temporary_bytes,
        counters.temporary_blocks,
        counters.peak_bytes,
        counters.peak_blocks,
    ]
    .into_iter()
    .fold(0, hash2)
}

/// Entries of the list of changes that are kept from tick to tick.
const USUAL_CHANGES: usize = 1 << 14;

impl State {
    fn elapsed_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Appends what has changed since the last tick that the file took.
    fn tick(&mut self) {
        self.exporter.update();
        self.written
            .resize(self.exporter.sites.len(), fingerprint(&Counters::default()));
        self.changed.clear();
        let written = &self.written;
        self.changed.extend(
            self.exporter
                .counters()
                .filter(|(site, counters)| written[*site as usize] != fingerprint(counters)),
        );
        let tick = Tick {
            elapsed_ns: self.elapsed_ns(),
            rss_bytes: self.rss_bytes(),
            totals: snapshot::totals(),
            new_strings: &self.exporter.strings[self.strings..],
            new_codes: &self.exporter.codes[self.codes..],
            new_nodes: &self.exporter.nodes[self.nodes..],
            new_sites: &self.exporter.sites[self.sites..],
            changed: &self.changed,
            ..Tick::default()
        };
        let Some(writer) = self.writer.as_mut() else {
            return;
        };
        let result = writer.tick(&tick);
        if let Err(error) = &result {
            let error = error.to_string();
            self.failure.get_or_insert(error);
        }
        // What the writer did not take is given again, with what is newer, at the next tick.
        if result.as_ref().err().is_none_or(WriteError::taken) {
            self.strings = self.exporter.strings.len();
            self.codes = self.exporter.codes.len();
            self.nodes = self.exporter.nodes.len();
            self.sites = self.exporter.sites.len();
            for (site, counters) in &self.changed {
                self.written[*site as usize] = fingerprint(counters);
            }
            if self.changed.capacity() > USUAL_CHANGES {
                self.changed = Vec::new();
            }
        }
        self.count_held_bytes();
    }

    fn count_held_bytes(&mut self) {
        let held = self.exporter.held_bytes()
            + self.written.capacity() * size_of::<u64>()
            + self.changed.capacity() * size_of::<(SiteId, Counters)>()
            + self.writer.as_mut().map_or(0, Writer::held_bytes);
        HELD_BYTES.store(held as u64, Ordering::Relaxed);
    }

    fn note(&mut self, error: &WriteError) {
        let error = error.to_string();
        self.failure.get_or_insert(error);
    }

    /// Resident bytes of the process; 0 where the platform does not tell. The second field of /proc/self/statm, in pages (proc(5)).
    fn rss_bytes(&mut self) -> u64 {
        let mut text = [0_u8; 128];
        let pages = self.statm.as_mut().and_then(|statm| {
            let length = statm.file().ok()?.read_at(&mut text, 0).ok()?;
            let text = str::from_utf8(&text[..length]).ok()?;
            text.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
        });
        pages.unwrap_or(0) * crate::memory::mapping::page_size() as u64
    }
}
