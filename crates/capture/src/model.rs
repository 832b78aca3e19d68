//! The tables that every part of heapsight shares: names, codes, call paths and their counters.
//!
//! A tracer produces them, a capture file stores them, an analysis reads them. They are plain data:
//! ids are indices into the vectors of [`Tables`], and id 0 of a node is always the root.

/// Index into [`Tables::strings`].
pub type StringId = u32;
/// Index into [`Tables::codes`].
pub type CodeId = u32;
/// Index into [`Tables::nodes`]. A node *is* a call path: follow `parent` up to the root for its frames.
pub type NodeId = u32;
/// Index into [`Tables::sites`].
pub type SiteId = u32;

/// The root of the call-path tree: the empty call path, shown as `<unknown>`.
pub const ROOT: NodeId = 0;

/// What a call-path element stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CodeKind {
    /// A Python code object: `filename`, `name` (qualified) and `first_line` are meaningful.
    Python = 0,
    /// A thread, the outermost element when threads are kept apart; `name` is its name.
    Thread = 1,
    /// Stands for call paths that the tracer folded together to bound its own memory; `name` says which.
    Folded = 2,
}

/// One distinct code object. Two code objects with the same file, name, first line and line table are one entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Code {
    /// What this entry stands for.
    pub kind: CodeKind,
    /// `co_filename`.
    pub filename: StringId,
    /// `co_qualname` (3.11+) or `co_name`.
    pub name: StringId,
    /// `co_firstlineno`.
    pub first_line: u32,
}

/// One element of a call path under its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// The caller's call path. The root is its own parent.
    pub parent: NodeId,
    /// The code that runs in this frame. Meaningless for the root.
    pub code: CodeId,
    /// Line being executed, 1-based; 0 when the line is unknown.
    pub line: u32,
}

/// Allocator domain: which of CPython's allocators (or which tracked extension domain) gave the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(pub u32);

impl Domain {
    /// `PyMem_Raw*`: may be called without the GIL.
    pub const RAW: Self = Self(0);
    /// `PyMem_*`.
    pub const MEM: Self = Self(1);
    /// `PyObject_*`.
    pub const OBJ: Self = Self(2);
    /// `malloc` and its relatives, called by anything but CPython's allocators.
    pub const NATIVE_MALLOC: Self = Self(3);
    /// Anonymous private memory of `mmap`, and what `brk` gives.
    pub const NATIVE_MMAP: Self = Self(4);
    /// Memory that may be another process's too: anonymous shared mappings, and files that are in memory only.
    pub const NATIVE_SHARED: Self = Self(5);
    /// Domains numbered by extensions (`PyTraceMalloc_Track(domain, …)`) are stored as `EXTENSION_BASE + domain`.
    pub const EXTENSION_BASE: u32 = 16;
    /// What memray calls allocator `n` is stored as `MEMRAY_BASE + n`. No domain of an extension is as high.
    pub const MEMRAY_BASE: u32 = 1 << 29;

    /// The domain of blocks that came from memray's allocator `number`; `None` for one that frees, or that is not
    /// known.
    #[must_use]
    pub fn of_memray(number: u32) -> Option<Self> {
        memray_name(number).map(|_| Self(Self::MEMRAY_BASE + number))
    }

    /// Is it one of those that are traced with `--native` only?
    #[must_use]
    pub fn is_native(self) -> bool {
        (Self::NATIVE_MALLOC..=Self::NATIVE_SHARED).contains(&self)
    }

    /// Name shown to people: `python.raw`, `python.mem`, `python.obj`, `native.malloc`, `native.mmap`, `native.shared`,
    /// memray's name of the function that was called, or `domain <n>`.
    #[must_use]
    pub fn name(self) -> String {
        if let Some(name) = self.0.checked_sub(Self::MEMRAY_BASE).and_then(memray_name) {
            return name.to_owned();
        }
        match self.0 {
            0 => "python.raw".to_owned(),
            1 => "python.mem".to_owned(),
            2 => "python.obj".to_owned(),
            3 => "native.malloc".to_owned(),
            4 => "native.mmap".to_owned(),
            5 => "native.shared".to_owned(),
            n if n >= Self::EXTENSION_BASE => format!("domain {}", n - Self::EXTENSION_BASE),
            n => format!("reserved domain {n}"),
        }
    }
}

/// The functions that memray tells apart, by its numbers of them.
fn memray_name(number: u32) -> Option<&'static str> {
    Some(match number {
        2 => "pymalloc_malloc",
        3 => "pymalloc_calloc",
        4 => "pymalloc_realloc",
        6 => "malloc",
        7 => "realloc",
        8 => "calloc",
        9 => "posix_memalign",
        10 => "aligned_alloc",
        11 => "memalign",
        12 => "valloc",
        13 => "pvalloc",
        14 => "mmap",
        _ => return None,
    })
}

/// An allocation site in full: a call path and the domain that was asked. The unit that counters belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Site {
    /// The call path.
    pub node: NodeId,
    /// The allocator domain.
    pub domain: Domain,
}

/// Counters of one [`Site`]. In sampled mode they are unbiased estimates.
///
/// `live = allocated − freed`; both are kept because churn needs them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes requested since tracing began.
    pub allocated_bytes: u64,
    /// Blocks requested since tracing began.
    pub allocated_blocks: u64,
    /// Bytes freed.
    pub freed_bytes: u64,
    /// Blocks freed.
    pub freed_blocks: u64,
    /// Bytes of blocks freed before anything else was allocated.
    pub temporary_bytes: u64,
    /// Blocks freed before anything else was allocated.
    pub temporary_blocks: u64,
    /// Bytes live at the moment when the whole program's traced memory was highest.
    pub peak_bytes: u64,
    /// Blocks live at that moment.
    pub peak_blocks: u64,
}

impl Counters {
    /// Bytes live now.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        self.allocated_bytes.saturating_sub(self.freed_bytes)
    }

    /// Blocks live now.
    #[must_use]
    pub fn live_blocks(&self) -> u64 {
        self.allocated_blocks.saturating_sub(self.freed_blocks)
    }
}

/// How blocks were chosen for tracing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Every block, with at most `frame_limit` frames of its call path (`None`: all of them).
    Exact {
        /// Most recent frames kept per block.
        frame_limit: Option<u32>,
    },
    /// A Poisson sample: on average one block in every `mean_bytes` allocated, weighted so that sums are unbiased.
    ///
    /// A block of `s` bytes is kept with `p = 1 − exp(−(s + 16)/R)`, as `s/p` bytes and `1/p` blocks. The standard
    /// error of a figure of `x` bytes is at most `sqrt(x · R)`: the block's share of the variance, relative to its
    /// share of the figure, is `s·(1−p)/p ≤ R`. That of a figure of `n` blocks is at most `sqrt(n · R / (s + 16))` if
    /// none is smaller than `s`, so never above `sqrt(n · R / 16)`: the smallest blocks are the least sure.
    ///
    /// This holds for what was allocated, freed, temporary and is live, of any set of paths. A *peak* is the highest of
    /// all estimates on the way, hence an estimate from above: in the mean no lower than what was there.
    Sampled {
        /// Mean distance between samples, in bytes.
        mean_bytes: u64,
    },
}

/// Totals over all sites at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes in live traced blocks.
    pub live_bytes: u64,
    /// Live traced blocks.
    pub live_blocks: u64,
    /// Highest `live_bytes` so far.
    pub peak_bytes: u64,
    /// Events that could not be recorded (no memory for the tracer's own tables).
    pub lost_events: u64,
    /// Bytes that the tracer itself holds.
    pub tracer_bytes: u64,
    /// What keeping the tracer's own memory within its budget has cost.
    pub bounds: Bounds,
}

/// What keeping the tracer's own memory within its budget has cost so far. All 0 for most programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes allocated, and freed again, on call paths that were folded: only their nearest caller is known.
    pub folded_bytes: u64,
    /// How often a call path was cut where it left those that were known, for want of room. Its blocks are counted at
    /// the known part.
    pub cuts: u64,
    /// Call paths that the tracer has given back: folded, or left to the file. A file with such paths may have equal
    /// ones more than once; a reader adds them up.
    pub gone_paths: u64,
}

impl Bounds {
    /// The smallest budget that can be asked for, in bytes.
    pub const SMALLEST_BUDGET: u64 = 64 << 10;

    /// Both together, of different processes.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            folded_bytes: self.folded_bytes.saturating_add(other.folded_bytes),
            cuts: self.cuts.saturating_add(other.cuts),
            gone_paths: self.gone_paths.saturating_add(other.gone_paths),
        }
    }
}

/// Everything needed to say where memory is, at one moment. Vectors are indexed by the id types above.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Distinct strings.
    pub strings: Vec<String>,
    /// Distinct codes.
    pub codes: Vec<Code>,
    /// The call-path tree; `nodes[0]` is the root and a parent's id is always lower than its child's.
    pub nodes: Vec<Node>,
    /// Allocation sites.
    pub sites: Vec<Site>,
    /// Counters, one for each site.
    pub counters: Vec<Counters>,
    /// Totals at the same moment.
    pub totals: Totals,
}
