//! Moments of a recording: as they are asked for, and as they were found.

/// A moment of a recording, as somebody asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before anything was recorded.
    Start,
    /// When traced memory was highest.
    Peak,
    /// The end of the recording.
    End,
    /// Nanoseconds since the start of tracing.
    At(u64),
}

/// When to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekTarget {
    /// At one moment.
    At(Moment),
    /// At what happened between two.
    Between(Moment, Moment),
}

/// The moment, or span of time, that the tables of a capture show: always that of a tick, because nothing is
/// known in between.
/// The capture's timeline stays that of the whole recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reached {
    /// The end of the recording.
    #[default]
    End,
    /// Before the first tick, when nothing was recorded yet.
    Start,
    /// The highest traced memory of the whole recording.
    Peak {
        /// Nanoseconds from the start of tracing to the first tick that knew of it.
        elapsed_ns: u64,
    },
    /// A tick.
    At {
        /// Nanoseconds from the start of tracing to the tick.
        elapsed_ns: u64,
        /// The time that was asked for: no other tick lies between this one and it.
        asked_ns: u64,
    },
    /// What happened between two ticks; live memory is what was gained.
    Between {
        /// Nanoseconds from the start of tracing to the first tick; 0 for the start itself.
        from_ns: u64,
        /// Nanoseconds from the start of tracing to the second tick.
        to_ns: u64,
    },
}

impl Moment {
    /// A moment by name (`start`, `peak`, `end`), or a time in seconds or with its unit (`12.5`, `300ms`, `2m`, `1h`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "start" => return Some(Self::Start),
            "peak" => return Some(Self::Peak),
            "end" => return Some(Self::End),
            _ => {}
        }
        let units = [
            ("ms", 1e-3),
            ("s", 1.0),
            ("min", 60.0),
            ("m", 60.0),
            ("h", 3600.0),
        ];
        let (number, seconds) = units
            .into_iter()
            .find_map(|(unit, seconds)| text.strip_suffix(unit).map(|number| (number, seconds)))
            .unwrap_or((text, 1.0));
        let is_plain = |character: char| character.is_ascii_digit() || character == '.';
        if !number.chars().all(is_plain) {
            return None;
        }
        Self::after_seconds(number.parse::<f64>().ok()? * seconds)
    }

    /// So many seconds after the start of tracing. `None` for what is no time of a recording: negative, not a number,
    /// or beyond five centuries.
    #[must_use]
    pub fn after_seconds(seconds: f64) -> Option<Self> {
        let ns = seconds * 1e9;
        (0.0..1.6e19)
            .contains(&ns)
            .then_some(Self::At(ns.round() as u64))
    }
}

impl SeekTarget {
    /// The span between two moments; `None` if it ends before it begins.
    #[must_use]
    pub fn between(from: Moment, to: Moment) -> Option<Self> {
        match (from, to) {
            (Moment::At(a), Moment::At(b)) if a > b => None,
            _ => Some(Self::Between(from, to)),
        }
    }
}

impl Reached {
    /// The time at which live figures hold; `None` at the end.
    #[must_use]
    pub fn elapsed_ns(self) -> Option<u64> {
        match self {
            Self::End => None,
            Self::Start => Some(0),
            Self::Peak { elapsed_ns } | Self::At { elapsed_ns, .. } => Some(elapsed_ns),
            Self::Between { to_ns, .. } => Some(to_ns),
        }
    }
}
