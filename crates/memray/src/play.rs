//! Plays back the events of a recording.

use std::io::{Read, Write};

use foldhash::{HashMap, HashMapExt};
use heapsight_analysis::{EventLog, NO_CALLER};
use heapsight_capture::WriteError;
use heapsight_capture::model::{Domain, NodeId, SiteId};

use crate::Ended;
use crate::ahead::play_each;
use crate::frames::Frames;
use crate::header::Header;
use crate::input::{Input, Stop};
use crate::records::{Decode, FrameKey, Packed, Plain, Record};

const NS_PER_MS: u64 = 1_000_000;

/// memray's number of `mmap`.
const MMAP: u8 = 14;

/// Reads all records there are.
pub(crate) fn play(
    header: &Header,
    input: &mut Input<impl Read + Send>,
    log: &mut EventLog<impl Write>,
) -> Result<Ended, WriteError> {
    let player = Player::new(header, log);
    match header.format {
        ..=11 => player.run(Plain::default(), input),
        _ => player.run(Packed::new(header.has_native_traces), input),
    }
}

struct Player<'a, W: Write> {
    header: &'a Header,
    log: &'a mut EventLog<W>,
    frames: Frames,
    sites: Sites,
    threads: Threads,
    last_ns: u64,
    rss_bytes: u64,
    next_tick_ms: u64,
    stopped_at: Option<u64>,
}

impl<'a, W: Write> Player<'a, W> {
    fn new(header: &'a Header, log: &'a mut EventLog<W>) -> Self {
        Self {
            header,
            log,
            frames: Frames::new(header.line_tables),
            sites: Sites::default(),
            threads: Threads::new(header),
            last_ns: 0,
            rss_bytes: 0,
            next_tick_ms: 0,
            stopped_at: None,
        }
    }

    fn run(
        mut self,
        decoder: impl Decode + Send,
        input: &mut Input<impl Read + Send>,
    ) -> Result<Ended, WriteError> {
        let stop = play_each(decoder, input, |record| self.record(record))?;
        let elapsed_ns = self.header.length_ns(self.last_ns);
        self.log.tick(elapsed_ns, self.rss_bytes)?;
        Ok(Ended {
            stop,
            stopped_at: self.stopped_at,
            elapsed_ns,
        })
    }

    #[inline(always)]
    fn record(&mut self, record: Record) -> Result<Result<(), Stop>, WriteError> {
        match record {
            Record::Allocated {
                allocator,
                address,
                bytes,
            } => {
                let site = self.site(allocator);
                self.log.allocate(address, bytes, site);
            }
            Record::Freed { address } => self.log.free(address),
            Record::PushedInstruction { code, offset } => {
                self.push(FrameKey::Instruction { code, offset });
            }
            Record::PushedFrame(id) => self.push(FrameKey::Id(id)),
            Record::Popped { count, end } => {
                let popped = self.threads.pop(count);
                self.stopped_at = popped.is_err().then_some(end);
                return Ok(popped);
            }
            Record::Thread(id) => self.threads.switch(id),
            Record::Mapped { address, bytes } => {
                let site = self.site(MMAP);
                self.log.map(address, bytes, site);
            }
            Record::Unmapped { address, bytes } => self.log.unmap(address, bytes),
            Record::Memory {
                elapsed_ms,
                rss_bytes,
            } => self.look(elapsed_ms, rss_bytes)?,
            Record::Code(object) => self.frames.add_code(self.log, *object),
            Record::Frame(frame) => self.frames.add_frame(self.log, &frame),
            Record::Other | Record::Trailer => {}
        }
        Ok(Ok(()))
    }

    #[inline]
    fn site(&mut self, allocator: u8) -> SiteId {
        self.sites.of(self.log, self.threads.path(), allocator)
    }

    #[inline]
    fn push(&mut self, frame: FrameKey) {
        let path = match self.threads.is_within_memray() {
            true => NO_CALLER,
            false => self.frames.call(self.log, self.threads.path(), frame),
        };
        self.threads.push(path);
    }

    fn look(&mut self, elapsed_ms: u64, rss_bytes: u64) -> Result<(), WriteError> {
        self.rss_bytes = rss_bytes;
        self.last_ns = elapsed_ms.saturating_mul(NS_PER_MS).max(self.last_ns);
        if elapsed_ms >= self.next_tick_ms {
            self.next_tick_ms = elapsed_ms.saturating_add(self.header.tick_ms());
            self.log.tick(self.last_ns, rss_bytes)?;
        }
        Ok(())
    }
}

/// The stacks of all threads.
struct Threads {
    main_thread: u64,
    skipped_frames: u64,
    numbers: HashMap<u64, usize>,
    stacks: Vec<Stack>,
    current: usize,
}

/// The call paths that end with each frame of a thread's stack, the outermost first.
struct Stack {
    paths: Vec<NodeId>,
    /// How many of the outermost frames are memray's own.
    skipped: u64,
}

impl Threads {
    fn new(header: &Header) -> Self {
        let mut threads = Self {
            main_thread: header.main_thread,
            skipped_frames: header.skipped_frames,
            numbers: HashMap::new(),
            stacks: Vec::new(),
            current: 0,
        };
        // The one that is meant before any is named.
        threads.switch(0);
        threads
    }

    fn switch(&mut self, id: u64) {
        let (stacks, is_main) = (&mut self.stacks, id == self.main_thread);
        self.current = *self.numbers.entry(id).or_insert_with(|| {
            stacks.push(Stack {
                paths: Vec::new(),
                skipped: if is_main { self.skipped_frames } else { 0 },
            });
            stacks.len() - 1
        });
    }

    /// The call path of the current thread.
    #[inline]
    fn path(&self) -> NodeId {
        let paths = &self.stacks[self.current].paths;
        paths.last().copied().unwrap_or(NO_CALLER)
    }

    /// Whether the frame that comes next is one of memray's own.
    #[inline]
    fn is_within_memray(&self) -> bool {
        let stack = &self.stacks[self.current];
        (stack.paths.len() as u64) < stack.skipped
    }

    #[inline]
    fn push(&mut self, path: NodeId) {
        self.stacks[self.current].paths.push(path);
    }

    #[inline]
    fn pop(&mut self, count: u8) -> Result<(), Stop> {
        let paths = &mut self.stacks[self.current].paths;
        let Some(rest) = paths.len().checked_sub(usize::from(count)) else {
            return Err(Stop::Damaged("a frame was left that was not entered"));
        };
        paths.truncate(rest);
        Ok(())
    }
}

/// Where blocks belong.
#[derive(Default)]
pub(crate) struct Sites {
    /// By call path: the allocator that was last asked there, 0 for none, and the site.
    last: Vec<(u8, SiteId)>,
}

impl Sites {
    #[inline]
    pub(crate) fn of(
        &mut self,
        log: &mut EventLog<impl Write>,
        path: NodeId,
        allocator: u8,
    ) -> SiteId {
        match self.last.get(path as usize) {
            Some((last, site)) if *last == allocator => *site,
            _ => self.look_up(log, path, allocator),
        }
    }

    fn look_up(&mut self, log: &mut EventLog<impl Write>, path: NodeId, allocator: u8) -> SiteId {
        let domain = Domain(Domain::MEMRAY_BASE + u32::from(allocator));
        let site = log.site(path, domain);
        if self.last.len() <= path as usize {
            self.last.resize(path as usize + 1, (0, 0));
        }
        self.last[path as usize] = (allocator, site);
        site
    }
}
