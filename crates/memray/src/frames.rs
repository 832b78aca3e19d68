//! Which functions and lines the frames of a recording are at.

use std::io::Write;

use foldhash::{HashMap, HashMapExt};
use heapsight_analysis::EventLog;
use heapsight_capture::model::{CodeId, NodeId};
use heapsight_cpython::line_table::{LineTable, LineTableFormat};

use crate::records::{CodeObject, Frame, FrameKey};

/// A code object, and what its instructions are found by.
struct Known {
    code: CodeId,
    first_line: u32,
    line_table: Vec<u8>,
}

/// A function at a line.
#[derive(Clone, Copy, Debug)]
struct Place {
    code: CodeId,
    line: u32,
}

/// All that the recording has told so far.
pub(crate) struct Frames {
    format: LineTableFormat,
    codes: HashMap<u64, Known>,
    places: HashMap<FrameKey, Place>,
    /// The call path that a frame continues another one to.
    calls: HashMap<(NodeId, FrameKey), NodeId>,
}

impl Frames {
    /// For a program whose line tables are in this format.
    pub(crate) fn new(format: LineTableFormat) -> Self {
        Self {
            format,
            codes: HashMap::new(),
            places: HashMap::new(),
            calls: HashMap::new(),
        }
    }

    pub(crate) fn add_code(&mut self, log: &mut EventLog<impl Write>, object: CodeObject) {
        let known = Known {
            code: log.code(&object.function, &object.filename, object.first_line),
            first_line: object.first_line,
            line_table: object.line_table,
        };
        self.codes.insert(object.id, known);
    }

    pub(crate) fn add_frame(&mut self, log: &mut EventLog<impl Write>, frame: &Frame) {
        let place = Place {
            code: log.code(&frame.function, &frame.filename, 0),
            line: frame.line,
        };
        self.places.insert(FrameKey::Id(frame.id), place);
    }

    /// The call path with a frame below `caller`.
    #[inline]
    pub(crate) fn call(
        &mut self,
        log: &mut EventLog<impl Write>,
        caller: NodeId,
        frame: FrameKey,
    ) -> NodeId {
        if let Some(path) = self.calls.get(&(caller, frame)) {
            return *path;
        }
        let place = self.place(log, frame);
        let path = log.call(caller, place.code, place.line);
        self.calls.insert((caller, frame), path);
        path
    }

    fn place(&mut self, log: &mut EventLog<impl Write>, frame: FrameKey) -> Place {
        if let Some(place) = self.places.get(&frame) {
            return *place;
        }
        let place = match frame {
            FrameKey::Instruction { code, offset } => self.codes.get(&code).map(|known| Place {
                code: known.code,
                line: known.line_at(self.format, offset),
            }),
            FrameKey::Id(_) => None,
        };
        // Its definition is missing.
        let place = place.unwrap_or_else(|| Place {
            code: log.code("<unknown>", "", 0),
            line: 0,
        });
        self.places.insert(frame, place);
        place
    }
}

impl Known {
    /// The line of an instruction; if it has none, that of what comes before it.
    fn line_at(&self, format: LineTableFormat, offset: i64) -> u32 {
        let Ok(offset) = u32::try_from(offset) else {
            // It has not begun.
            return self.first_line;
        };
        let offset_bytes = match format {
            LineTableFormat::Ranges => offset.saturating_mul(2),
            LineTableFormat::Increments | LineTableFormat::Locations => offset,
        };
        LineTable::new(format, &self.line_table, self.first_line)
            .lines()
            .take_while(|range| range.start <= offset_bytes)
            .filter_map(|range| range.line)
            .last()
            .unwrap_or(0)
    }
}
