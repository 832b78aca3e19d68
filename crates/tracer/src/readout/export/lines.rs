//! Lines that were looked up lately: many call paths share an instruction, and line tables are read from their beginning.

use heapsight_capture::model::CodeId;

use crate::memory::id_table::hash2;

/// One line for each place; the last one looked up stays there.
#[derive(Default)]
pub(super) struct Lines(Vec<Line>);

#[derive(Clone, Copy)]
struct Line {
    code: CodeId,
    offset: u32,
    line: u32,
}

const PLACES: usize = 1 << 12;

impl Lines {
    /// The line of the instruction at `offset` of `code`; asks `look_up` if it is not there.
    pub(super) fn get(&mut self, code: CodeId, offset: u32, look_up: impl FnOnce() -> u32) -> u32 {
        if self.0.is_empty() {
            let none = Line {
                code: CodeId::MAX,
                offset: 0,
                line: 0,
            };
            self.0.resize(PLACES, none);
        }
        let place = &mut self.0[hash2(u64::from(code), u64::from(offset)) as usize % PLACES];
        if (place.code, place.offset) != (code, offset) {
            *place = Line {
                code,
                offset,
                line: look_up(),
            };
        }
        place.line
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Line>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_looked_up_once_and_again_when_its_place_was_taken() {
        let mut lines = Lines::default();
        assert_eq!(lines.get(3, 8, || 12), 12);
        assert_eq!(lines.get(3, 8, || panic!("it is known")), 12);
        for code in 10..10 + 4 * PLACES as u32 {
            assert_eq!(lines.get(code, 0, || code), code);
        }
        assert_eq!(lines.get(3, 8, || 12), 12);
    }
}
