//! What was asked for when tracing was switched on, in statics that hooks can read at once.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use heapsight_capture::model::Mode;
use heapsight_cpython::line_table::LineTableFormat;

/// Most recent frames kept for each block; fewer come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FrameLimit {
    /// Only the running frame: nothing beyond it is looked at.
    One,
    /// The whole path is recorded and cut to this many frames when it is read: how many there were is known.
    UpTo(u16),
    /// The whole path.
    All,
}

/// How to trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Frames kept for each block.
    pub frame_limit: FrameLimit,
    /// Trace a Poisson sample, one in about this many bytes, instead of every block.
    pub sample_bytes: Option<u64>,
    /// Keep threads apart: each thread's call paths hang from an element of its own.
    pub threads: bool,
    /// Trace what is asked of `malloc`, `mmap` and their relatives as well. Where the library for it was not preloaded,
    /// nothing of that is seen.
    pub native: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            frame_limit: FrameLimit::All,
            sample_bytes: None,
            threads: false,
            native: false,
        }
    }
}

impl Config {
    /// How a capture describes it.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self.sample_bytes {
            Some(mean_bytes) => Mode::Sampled { mean_bytes },
            None => Mode::Exact {
                frame_limit: match self.frame_limit {
                    FrameLimit::One => Some(1),
                    FrameLimit::UpTo(frames) => Some(u32::from(frames)),
                    FrameLimit::All => None,
                },
            },
        }
    }
}

/// The index in [`LineTableFormat::ALL`].
static LINE_TABLES: AtomicU8 = AtomicU8::new(0);
static SEVERAL_INTERPRETERS: AtomicBool = AtomicBool::new(false);
static MAY_MARK_FRAMES: AtomicBool = AtomicBool::new(false);
static THREADS_APART: AtomicBool = AtomicBool::new(false);
static NATIVE: AtomicBool = AtomicBool::new(false);
/// In [`FRAME_LIMIT`]: the whole path is recorded, whatever the limit.
const WHOLE_PATH: u32 = 1 << 16;
static FRAME_LIMIT: AtomicU32 = AtomicU32::new(0);
static SAMPLE_BYTES: AtomicU64 = AtomicU64::new(0);
/// Are all events counted with atomic operations (free-threaded builds)?
static ALL_SHARED: AtomicBool = AtomicBool::new(false);
/// `PyInterpreterState` of the main interpreter.
static MAIN_INTERPRETER: AtomicUsize = AtomicUsize::new(0);

/// Has a thread been seen in another interpreter than the main one?
#[inline(always)]
pub(crate) fn has_several_interpreters() -> bool {
    SEVERAL_INTERPRETERS.load(Ordering::Relaxed)
}

pub(crate) fn note_several_interpreters() {
    SEVERAL_INTERPRETERS.store(true, Ordering::Relaxed);
}

/// How the running interpreter writes line tables.
pub(crate) fn line_table_format() -> LineTableFormat {
    LineTableFormat::ALL[usize::from(LINE_TABLES.load(Ordering::Relaxed))]
}

pub(crate) fn set_line_tables(format: LineTableFormat) {
    LINE_TABLES.store(format as u8, Ordering::Relaxed);
}

/// May marks be left in frames? Not in a debug build, whose assertions look at the same fields.
#[inline(always)]
pub(crate) fn may_mark_frames() -> bool {
    MAY_MARK_FRAMES.load(Ordering::Relaxed)
}

pub(crate) fn set_may_mark_frames(may: bool) {
    MAY_MARK_FRAMES.store(may, Ordering::Relaxed);
}

/// Are all events counted with atomic operations?
#[inline(always)]
pub(crate) fn all_shared() -> bool {
    ALL_SHARED.load(Ordering::Relaxed)
}

pub(crate) fn set_all_shared(all: bool) {
    ALL_SHARED.store(all, Ordering::Relaxed);
}

#[inline(always)]
pub(crate) fn main_interpreter() -> usize {
    MAIN_INTERPRETER.load(Ordering::Relaxed)
}

pub(crate) fn set_main_interpreter(interpreter: usize) {
    MAIN_INTERPRETER.store(interpreter, Ordering::Relaxed);
}

pub(crate) fn set(config: &Config) {
    THREADS_APART.store(config.threads, Ordering::Relaxed);
    NATIVE.store(config.native, Ordering::Relaxed);
    SAMPLE_BYTES.store(config.sample_bytes.unwrap_or(0), Ordering::Relaxed);
    FRAME_LIMIT.store(
        match config.frame_limit {
            FrameLimit::One => 1,
            FrameLimit::UpTo(frames) => WHOLE_PATH | u32::from(frames),
            FrameLimit::All => 0,
        },
        Ordering::Relaxed,
    );
}

/// The configuration in force.
pub(crate) fn get() -> Config {
    let sample = SAMPLE_BYTES.load(Ordering::Relaxed);
    Config {
        frame_limit: match FRAME_LIMIT.load(Ordering::Relaxed) {
            0 => FrameLimit::All,
            1 => FrameLimit::One,
            frames => FrameLimit::UpTo((frames & !WHOLE_PATH) as u16),
        },
        sample_bytes: (sample != 0).then_some(sample),
        threads: THREADS_APART.load(Ordering::Relaxed),
        native: NATIVE.load(Ordering::Relaxed),
    }
}

/// Are the call paths of each thread kept apart?
pub(crate) fn threads_apart() -> bool {
    THREADS_APART.load(Ordering::Relaxed)
}
