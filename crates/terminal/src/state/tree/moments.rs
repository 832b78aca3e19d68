//! The moment that is looked at, on the ticks of the recording.

use heapsight_analysis::recording::{Moment, Reached, SeekTarget};
use heapsight_capture::Capture;

use super::TreeState;

/// Where the slider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// At the end of the recording.
    End,
    /// At its highest traced memory.
    Peak,
    /// At a tick, by its number.
    Tick(usize),
    /// At a span of time, which the slider does not move.
    Span,
}

/// How to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// So many ticks.
    Ticks(isize),
    /// So many twentieths of the recording.
    Twentieths(isize),
    /// To the last tick that is not after this time.
    To(u64),
    Peak,
    End,
}

impl Position {
    pub(super) fn of(moment: Reached, capture: &Capture) -> Self {
        match moment {
            Reached::End => Self::End,
            Reached::Peak { .. } => Self::Peak,
            Reached::Start => Self::Tick(0),
            Reached::At { elapsed_ns, .. } => Self::Tick(tick_at(capture, elapsed_ns)),
            Reached::Between { .. } => Self::Span,
        }
    }
}

/// The last tick that is not after a time; the first, if all are.
fn tick_at(capture: &Capture, elapsed_ns: u64) -> usize {
    let ticks = &capture.timeline;
    let until = ticks.partition_point(|point| point.elapsed_ns <= elapsed_ns);
    until.saturating_sub(1)
}

impl TreeState {
    /// The time of the moment that the slider is at.
    pub(crate) fn slider_ns(&self) -> Option<u64> {
        let ticks = &self.capture.timeline;
        match self.position {
            Position::End => ticks.last().map(|point| point.elapsed_ns),
            Position::Peak => self.capture.peak().map(|(elapsed_ns, _)| elapsed_ns),
            Position::Tick(tick) => ticks.get(tick).map(|point| point.elapsed_ns),
            Position::Span => None,
        }
    }

    /// Moves the slider. The moment is read later, when there is nothing else to do.
    pub(super) fn move_to(&mut self, step: Step) {
        let ticks = self.capture.timeline.len();
        if ticks < 2 || self.position == Position::Span {
            self.message = Some("this file, or span, has one moment only".to_owned());
            return;
        }
        if self.capture.knows_ends_only() && !matches!(step, Step::Peak | Step::End) {
            self.message = Some("only the end (e) and the peak (p) are known".to_owned());
            return;
        }
        let last = ticks - 1;
        let now = match self.position {
            Position::Tick(tick) => tick.min(last),
            Position::Peak => tick_at(&self.capture, self.slider_ns().unwrap_or(0)),
            Position::End | Position::Span => last,
        };
        let moved = |steps: isize| Position::Tick(now.saturating_add_signed(steps).min(last));
        self.position = match step {
            Step::Ticks(steps) => moved(steps),
            Step::Twentieths(steps) => {
                let twentieth = isize::try_from(ticks.div_ceil(20)).unwrap_or(1);
                moved(steps.saturating_mul(twentieth))
            }
            Step::To(elapsed_ns) => Position::Tick(tick_at(&self.capture, elapsed_ns)),
            Step::Peak => Position::Peak,
            Step::End => Position::End,
        };
        // After its last tick there is only the end.
        if self.position == Position::Tick(last) {
            self.position = Position::End;
        }
        let moment = match self.position {
            Position::Peak => Moment::Peak,
            Position::Tick(tick) => Moment::At(self.capture.timeline[tick].elapsed_ns),
            Position::End | Position::Span => Moment::End,
        };
        self.wanted = Some(SeekTarget::At(moment));
    }
}
