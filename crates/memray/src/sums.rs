//! Reads a recording that was written with `--aggregate`: sums by call path, without events.

use std::io::{Read, Write};

use foldhash::{HashMap, HashMapExt};
use heapsight_analysis::{EventLog, NO_CALLER};
use heapsight_capture::WriteError;
use heapsight_capture::model::{Domain, NodeId};

use crate::Ended;
use crate::frames::Frames;
use crate::header::Header;
use crate::input::{Input, Stop};
use crate::play::Sites;
use crate::records::{
    Frame, FrameKey, Packed, allocator_of_format_11, skip_segment, skip_segments,
};

/// Kinds of records.
mod kind {
    pub const MEMORY: u8 = 1;
    pub const SUM: u8 = 2;
    pub const PATH: u8 = 3;
    pub const FRAME: u8 = 4;
    pub const NATIVE_FRAME: u8 = 5;
    pub const MAPS: u8 = 6;
    pub const SEGMENTS: u8 = 7;
    pub const SEGMENT: u8 = 8;
    pub const THREAD_NAME: u8 = 10;
    pub const THREAD: u8 = 12;
    pub const OBJECT: u8 = 13;
    pub const CODE: u8 = 14;
    pub const TRAILER: u8 = 15;
}

/// When memray looked at the process.
#[derive(Clone, Copy)]
struct MemoryRecord {
    elapsed_ns: u64,
    rss_bytes: u64,
    live_bytes: u64,
}

/// A call path as it is stored: a frame below another path, whose number is lower.
#[derive(Clone, Copy)]
struct Path {
    parent: u64,
    frame: u64,
    /// How many frames it has.
    depth: u64,
}

struct Reader<'a, W: Write> {
    header: &'a Header,
    log: &'a mut EventLog<W>,
    memory_records: Vec<MemoryRecord>,
    frames: Frames,
    sites: Sites,
    decoder: Packed,
    keys: HashMap<u64, FrameKey>,
    /// From number 1 on.
    paths: Vec<Path>,
    /// What became of a path, of the main thread or of another one.
    nodes: HashMap<(u64, bool), NodeId>,
}

/// Reads all records there are.
pub(crate) fn read(
    header: &Header,
    input: &mut Input<impl Read>,
    log: &mut EventLog<impl Write>,
) -> Result<Ended, WriteError> {
    let mut reader = Reader {
        header,
        log,
        memory_records: Vec::new(),
        frames: Frames::new(header.line_tables),
        sites: Sites::default(),
        decoder: Packed::new(header.has_native_traces),
        keys: HashMap::new(),
        paths: Vec::new(),
        nodes: HashMap::new(),
    };
    let stop = loop {
        match reader.record(input) {
            Ok(true) => {}
            Ok(false) => break None,
            Err(stop) => break Some(stop),
        }
    };
    let elapsed_ns = reader.write()?;
    Ok(Ended {
        stop,
        stopped_at: None,
        elapsed_ns,
    })
}

impl<W: Write> Reader<'_, W> {
    /// Reads one record. False: it says that there are no more.
    fn record(&mut self, input: &mut Input<impl Read>) -> Result<bool, Stop> {
        match input.byte()? {
            kind::MEMORY => self.moment(input)?,
            kind::SUM => self.sum(input)?,
            kind::PATH => self.path(input)?,
            kind::FRAME => self.frame(input)?,
            kind::CODE => {
                let object = self.decoder.code(input)?;
                self.frames.add_code(self.log, object);
            }
            kind::NATIVE_FRAME => {
                input.signed()?;
                input.signed()?;
            }
            kind::MAPS => {}
            kind::SEGMENTS => skip_segments(input)?,
            kind::SEGMENT => skip_segment(input)?,
            kind::THREAD_NAME => drop(input.text()?),
            kind::THREAD => drop(input.word()?),
            kind::OBJECT => {
                input.varint()?;
                if self.header.has_native_traces {
                    input.varint()?;
                }
            }
            kind::TRAILER => return Ok(false),
            _ => return Err(Stop::Damaged("a kind of record that is not known")),
        }
        Ok(true)
    }

    fn moment(&mut self, input: &mut Input<impl Read>) -> Result<(), Stop> {
        let time_ms = input.word()?;
        self.memory_records.push(MemoryRecord {
            elapsed_ns: time_ms
                .saturating_sub(self.header.start_ms)
                .saturating_mul(1_000_000),
            rss_bytes: input.word()?,
            live_bytes: input.word()?,
        });
        Ok(())
    }

    fn frame(&mut self, input: &mut Input<impl Read>) -> Result<(), Stop> {
        let (id, key) = if self.header.format <= 11 {
            let id = input.word()?;
            let frame = Frame {
                id,
                function: input.text()?,
                filename: input.text()?,
                line: input.half_word()?,
            };
            self.frames.add_frame(self.log, &frame);
            (id, FrameKey::Id(id))
        } else {
            let id = input.varint()?;
            let code = input.varint()?;
            let offset = input.signed()?;
            (id, FrameKey::Instruction { code, offset })
        };
        let _is_entry = input.flag()?;
        self.keys.insert(id, key);
        Ok(())
    }

    fn path(&mut self, input: &mut Input<impl Read>) -> Result<(), Stop> {
        let (frame, parent) = match self.header.format {
            ..=11 => (input.word()?, u64::from(input.half_word()?)),
            _ => (input.varint()?, input.varint()?),
        };
        let depth = match parent {
            0 => 1,
            _ => self.stored(parent)?.depth + 1,
        };
        self.paths.push(Path {
            parent,
            frame,
            depth,
        });
        Ok(())
    }

    fn stored(&self, number: u64) -> Result<Path, Stop> {
        let index = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1));
        let path = index.and_then(|index| self.paths.get(index)).copied();
        path.ok_or(Stop::Damaged("a call path that is not there"))
    }

    /// The call path of a number, without memray's own frames on the main thread.
    fn node(&mut self, number: u64, is_main: bool) -> Result<NodeId, Stop> {
        let skipped = if is_main {
            self.header.skipped_frames
        } else {
            0
        };
        let mut missing = Vec::new();
        let mut at = number;
        let mut node = loop {
            if at == 0 {
                break NO_CALLER;
            }
            if let Some(node) = self.nodes.get(&(at, is_main)) {
                break *node;
            }
            missing.push(at);
            at = self.stored(at)?.parent;
        };
        for number in missing.into_iter().rev() {
            let path = self.stored(number)?;
            if path.depth > skipped {
                let key = self.keys.get(&path.frame).copied();
                let key = key.unwrap_or(FrameKey::Id(path.frame));
                node = self.frames.call(self.log, node, key);
            }
            self.nodes.insert((number, is_main), node);
        }
        Ok(node)
    }

    /// A structure as it was in memory.
    fn sum(&mut self, input: &mut Input<impl Read>) -> Result<(), Stop> {
        let thread = input.word()?;
        // The rest of the word is not used.
        let [number, ..] = input.array::<8>()?;
        let allocator = match self.header.format {
            ..=11 => allocator_of_format_11(number),
            _ => number,
        };
        let _native_frame = input.word()?;
        let path = input.word()?;
        let _native_generation = input.word()?;
        let blocks_at_peak = input.word()?;
        let blocks = input.word()?;
        let bytes_at_peak = input.word()?;
        let bytes = input.word()?;
        if Domain::of_memray(u32::from(allocator)).is_none() {
            return Err(Stop::Damaged("an allocator that is not known"));
        }
        let node = self.node(path, thread == self.header.main_thread)?;
        let site = self.sites.of(self.log, node, allocator);
        self.log.hold(site, bytes, blocks);
        self.log.hold_at_peak(site, bytes_at_peak, blocks_at_peak);
        Ok(())
    }

    /// Writes what was read, and gives the time of the end.
    fn write(self) -> Result<u64, WriteError> {
        let peak_bytes = self.log.totals().peak_bytes;
        let apart_ns = self.header.tick_ms().saturating_mul(1_000_000);
        let (mut highest, mut next_ns, mut last) = (0, 0, None);
        for moment in self.memory_records {
            highest = moment.live_bytes.min(peak_bytes).max(highest);
            last = Some(moment);
            if moment.elapsed_ns >= next_ns {
                next_ns = moment.elapsed_ns.saturating_add(apart_ns);
                self.log.tick_of_total(
                    moment.elapsed_ns,
                    moment.rss_bytes,
                    moment.live_bytes,
                    highest,
                )?;
            }
        }
        let elapsed_ns = self
            .header
            .length_ns(last.map_or(0, |moment| moment.elapsed_ns));
        let rss_bytes = last.map_or(0, |moment| moment.rss_bytes);
        self.log.tick_of_sums(elapsed_ns, rss_bytes)?;
        Ok(elapsed_ns)
    }
}
