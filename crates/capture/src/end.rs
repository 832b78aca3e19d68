//! How tracing ended.

use crate::model::{Bounds, Totals};
use crate::varint::{Input, Malformed, put, put_change};

/// Why a capture ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The recorder was told to finish and not why, or a later version gave a reason that this one does not know.
    #[default]
    Unknown = 0,
    /// The interpreter shut down (whatever the exit status).
    Interpreter = 1,
    /// Tracing was switched off while the program went on.
    Stopped = 2,
    /// The process is about to replace its own image (`os.exec*`).
    Exec = 3,
}

impl Exit {
    fn from_number(number: u8) -> Self {
        [Self::Interpreter, Self::Stopped, Self::Exec]
            .into_iter()
            .find(|exit| *exit as u8 == number)
            .unwrap_or_default()
    }
}

/// The last frame of a capture that ended in good order. A file without one was cut short: its program
/// was killed, called `os._exit`, or still runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Nanoseconds since the start of tracing.
    pub elapsed_ns: u64,
    /// Why.
    pub exit: Exit,
    /// Totals at that moment.
    pub totals: Totals,
}

impl End {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.elapsed_ns);
        out.push(self.exit as u8);
        put_totals(out, &Totals::default(), &self.totals);
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut input = Input::new(payload);
        Ok(Self {
            elapsed_ns: input.varint()?,
            exit: Exit::from_number(input.byte()?),
            totals: take_totals(&mut input, &Totals::default())?,
        })
    }
}

/// Appends the five totals as changes.
pub fn put_totals(out: &mut Vec<u8>, old: &Totals, new: &Totals) {
    put_change(out, old.live_bytes, new.live_bytes);
    put_change(out, old.live_blocks, new.live_blocks);
    put_change(out, old.peak_bytes, new.peak_bytes);
    put_change(out, old.lost_events, new.lost_events);
    put_change(out, old.tracer_bytes, new.tracer_bytes);
}

/// Reads what [`put_totals`] wrote.
pub fn take_totals(input: &mut Input<'_>, old: &Totals) -> Result<Totals, Malformed> {
    Ok(Totals {
        live_bytes: input.change(old.live_bytes)?,
        live_blocks: input.change(old.live_blocks)?,
        peak_bytes: input.change(old.peak_bytes)?,
        lost_events: input.change(old.lost_events)?,
        tracer_bytes: input.change(old.tracer_bytes)?,
        ..*old
    })
}

/// Appends what keeping within the budget cost, as changes.
pub fn put_bounds(out: &mut Vec<u8>, old: &Bounds, new: &Bounds) {
    put_change(out, old.folded_bytes, new.folded_bytes);
    put_change(out, old.cuts, new.cuts);
    put_change(out, old.gone_paths, new.gone_paths);
}

/// Reads what [`put_bounds`] wrote.
pub fn take_bounds(input: &mut Input<'_>, old: &Bounds) -> Result<Bounds, Malformed> {
    Ok(Bounds {
        folded_bytes: input.change(old.folded_bytes)?,
        cuts: input.change(old.cuts)?,
        gone_paths: input.change(old.gone_paths)?,
    })
}
