//! Values of options, with messages that say what would have been right.

use heapsight_analysis::recording::{Moment, SeekTarget};
use heapsight_analysis::{Filter, GroupBy, Metric};
use heapsight_report::Format;

/// Most frames that can be asked for by number.
pub(super) const HIGHEST_FRAMES: u16 = u16::MAX;

/// Longest time between two ticks: an hour.
const LONGEST_TICK_MS: u32 = 3_600_000;

/// Frames kept of each call path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frames {
    /// All of them.
    All,
    /// The most recent ones.
    AtMost(u16),
}

pub(super) fn frames(text: &str) -> Result<Frames, String> {
    match text.parse() {
        Ok(limit @ 1..) => Ok(Frames::AtMost(limit)),
        _ if text == "all" => Ok(Frames::All),
        _ => Err(format!("give 1 to {HIGHEST_FRAMES}, or 'all'")),
    }
}

/// Milliseconds between ticks.
pub(super) fn tick_ms(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(tick_ms @ 1..=LONGEST_TICK_MS) => Ok(tick_ms),
        _ => Err(format!("give milliseconds, 1 to {LONGEST_TICK_MS}")),
    }
}

/// A number of bytes, with `K`, `M` or `G` for 1024, 1024² or 1024³ of them.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    heapsight_handover::bytes(text)
        .ok_or_else(|| "give a number of bytes such as 4096, 512K or 1M".to_owned())
}

/// How many entries to show.
pub(super) fn count(text: &str) -> Result<usize, String> {
    match text.parse::<u32>() {
        Ok(count @ 1..) => Ok(count as usize),
        _ => Err("give a number from 1".to_owned()),
    }
}

/// A part of a whole in per cent.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse::<f64>();
    let number = number
        .ok()
        .filter(|percent| (0.0..=100.0).contains(percent));
    number.ok_or_else(|| "give a number from 0 to 100".to_owned())
}

pub(super) fn metric(text: &str) -> Result<Metric, String> {
    Metric::ALL
        .into_iter()
        .find(|metric| metric.name() == text)
        .ok_or_else(|| format!("give one of {}", names(Metric::ALL.map(Metric::name))))
}

/// What entries are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupByChoice {
    /// A key of call paths.
    By(GroupBy),
    /// Every block on its own.
    Address,
}

/// The word for [`GroupByChoice::Address`].
const ADDRESS: &str = "address";

pub(super) fn grouping(text: &str) -> Result<GroupByChoice, String> {
    let by = |name: &str| GroupBy::ALL.into_iter().find(|by| by.name() == name);
    match text {
        ADDRESS => Ok(GroupByChoice::Address),
        "filename_lineno" => Ok(GroupByChoice::By(GroupBy::Line)),
        _ => by(text).map(GroupByChoice::By).ok_or_else(|| {
            let known = names(GroupBy::ALL.map(GroupBy::name));
            format!("give one of {known}, {ADDRESS}")
        }),
    }
}

/// A format of `heapsight export`.
pub(super) fn format(text: &str) -> Result<Format, String> {
    Format::ALL
        .into_iter()
        .find(|format| format.name() == text)
        .ok_or_else(|| format!("give one of {}", names(Format::ALL.map(Format::name))))
}

/// An address, decimal or with `0x`.
pub(super) fn address(text: &str) -> Result<u64, String> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    hexadecimal
        .map_or_else(|| text.parse(), |digits| u64::from_str_radix(digits, 16))
        .map_err(|_| "give an address such as 140234567890 or 0x7f8b0c2d1a40".to_owned())
}

/// Parts of a file name.
pub(super) fn parts(text: &str) -> Result<usize, String> {
    count(text)
}

/// A moment to look at.
pub(super) fn at(text: &str) -> Result<Moment, String> {
    match Moment::parse(text) {
        Some(instant) if instant != Moment::Start => Ok(instant),
        _ => Err("give peak, end, or a time such as 12.5, 300ms, 2m or 1h".to_owned()),
    }
}

/// Two moments.
pub(super) fn range(text: &str) -> Result<SeekTarget, String> {
    let wrong = || "give two moments such as 10..20, 500ms..peak or start..end".to_owned();
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let or = |text: &str, default: Moment| match text {
        "" => Some(default),
        text => Moment::parse(text),
    };
    let from = or(from, Moment::Start).ok_or_else(wrong)?;
    let to = or(to, Moment::End).ok_or_else(wrong)?;
    SeekTarget::between(from, to)
        .ok_or_else(|| "the second moment comes before the first".to_owned())
}

/// A file, and a line in it if one was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilterPlace {
    pattern: String,
    line: Option<i64>,
}

impl FilterPlace {
    /// The filter that keeps or drops what is there.
    pub(crate) fn filter(&self, include: bool, any_frame: bool) -> Filter {
        Filter::as_shown(include, &self.pattern, self.line, any_frame)
    }
}

/// A file's name, and a line after the last colon. What stands there must be a number, unless it is a part of a path.
pub(super) fn place(text: &str) -> Result<FilterPlace, String> {
    let whole = || FilterPlace {
        pattern: text.to_owned(),
        line: None,
    };
    let is_path = |rest: &str| rest.contains(['/', '\\', '>']);
    let place = match text.rsplit_once(':') {
        Some((pattern, rest)) if !is_path(rest) => {
            let line = rest.parse().ok().filter(|line| *line > 0);
            let line = line.ok_or_else(|| {
                format!(
                    "give a line from 1 after the colon, not '{rest}' (for a colon in the name write *)"
                )
            })?;
            FilterPlace {
                pattern: pattern.to_owned(),
                line: Some(line),
            }
        }
        _ => whole(),
    };
    match place.pattern.is_empty() {
        true => Err("give a file's name".to_owned()),
        false => Ok(place),
    }
}

fn names<const COUNT: usize>(names: [&str; COUNT]) -> String {
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_a_limit_or_all() {
        assert_eq!(frames("1"), Ok(Frames::AtMost(1)));
        assert_eq!(frames("65535"), Ok(Frames::AtMost(65535)));
        assert_eq!(frames("all"), Ok(Frames::All));
        for wrong in ["0", "-3", "abc", "65536", "", "1.5", "ALL"] {
            assert_eq!(
                frames(wrong),
                Err("give 1 to 65535, or 'all'".to_owned()),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_tick_is_between_a_millisecond_and_an_hour() {
        assert_eq!(tick_ms("1"), Ok(1));
        assert_eq!(tick_ms("3600000"), Ok(3_600_000));
        for wrong in ["0", "-1", "abc", "3600001", ""] {
            assert!(tick_ms(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_may_carry_a_unit() {
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("512K"), Ok(512 << 10));
        assert_eq!(bytes("2m"), Ok(2 << 20));
        for wrong in ["0", "0K", "-1", "K", "", "é", "99999999999G"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_part_is_between_nothing_and_the_whole() {
        assert_eq!(percent("0"), Ok(0.0));
        assert_eq!(percent("2.5"), Ok(2.5));
        assert_eq!(percent("100%"), Ok(100.0));
        for wrong in ["-1", "101", "nan", "inf", "", "%", "one"] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_filter_takes_its_line_after_the_last_colon() {
        let place = |text| place(text).map(|place| (place.pattern, place.line));
        let of = |pattern: &str, line| Ok((pattern.to_owned(), line));
        assert_eq!(place("a.py:12"), of("a.py", Some(12)));
        assert_eq!(place("a.py"), of("a.py", None));
        assert_eq!(place("C:\\a.py"), of("C:\\a.py", None));
        assert_eq!(place("<doctest a:b>"), of("<doctest a:b>", None));
        for wrong in ["a.py:x", "a.py:", "a.py:0", "a.py:-3", "a.py:1:x", "", ":7"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            place("a.py:x").expect_err("no line"),
            "give a line from 1 after the colon, not 'x' (for a colon in the name write *)"
        );
    }

    #[test]
    fn groupings_have_the_names_of_the_library_too() {
        let line = Ok(GroupByChoice::By(GroupBy::Line));
        assert_eq!(grouping("filename_lineno"), line);
        assert_eq!(grouping("line"), line);
        assert_eq!(grouping("address"), Ok(GroupByChoice::Address));
        let refusal = grouping("size").expect_err("no such grouping");
        assert_eq!(
            refusal,
            "give one of line, function, filename, traceback, domain, thread, address"
        );
    }

    #[test]
    fn a_moment_has_a_name_or_a_time() {
        let ms = 1_000_000;
        for (text, expected) in [
            ("peak", Moment::Peak),
            ("end", Moment::End),
            ("12.5", Moment::At(12_500 * ms)),
            ("2s", Moment::At(2_000 * ms)),
            ("300ms", Moment::At(300 * ms)),
            ("2m", Moment::At(120_000 * ms)),
            ("2min", Moment::At(120_000 * ms)),
            ("1h", Moment::At(3_600_000 * ms)),
        ] {
            assert_eq!(at(text), Ok(expected), "{text}");
        }
        for wrong in [
            "",
            "start",
            "-1",
            "soon",
            "1e3",
            "1 s",
            "inf",
            "99999999999999",
            ".",
        ] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_range_may_be_open() {
        let second = |count: u64| Moment::At(count * 1_000_000_000);
        let between = |from, to| Ok(SeekTarget::Between(from, to));
        assert_eq!(range("1..2"), between(second(1), second(2)));
        assert_eq!(range("..2"), between(Moment::Start, second(2)));
        let half = Moment::At(500_000_000);
        assert_eq!(range("500ms..peak"), between(half, Moment::Peak));
        assert_eq!(range("3.."), between(second(3), Moment::End));
        for wrong in ["2..1", "1", "1...2", "a..b", "1-2"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_are_decimal_or_hexadecimal() {
        assert_eq!(address("255"), Ok(255));
        assert_eq!(address("0xff"), Ok(255));
        for wrong in ["", "ff", "0x", "-1", "0xfffffffffffffffff"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
