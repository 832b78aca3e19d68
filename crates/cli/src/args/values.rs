//! Values of options, with messages that say what would have been right.

use heapsight_analysis::{Filter, GroupBy, Metric};

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
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 1 << 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1_u64),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(unit))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "give a number of bytes such as 4096, 512K or 1M".to_owned())
}

/// How many entries to show.
pub(super) fn count(text: &str) -> Result<usize, String> {
    match text.parse::<u32>() {
        Ok(count @ 1..) => Ok(count as usize),
        _ => Err("give a number from 1".to_owned()),
    }
}

pub(super) fn metric(text: &str) -> Result<Metric, String> {
    Metric::ALL
        .into_iter()
        .find(|metric| metric.name() == text)
        .ok_or_else(|| format!("give one of {}", names(Metric::ALL.map(Metric::name))))
}

pub(super) fn group_by(text: &str) -> Result<GroupBy, String> {
    let text = if text == "filename_lineno" {
        "line"
    } else {
        text
    };
    GroupBy::ALL
        .into_iter()
        .find(|by| by.name() == text)
        .ok_or_else(|| format!("give one of {}", names(GroupBy::ALL.map(GroupBy::name))))
}

/// A pattern, and a line after the last colon if there is a number.
pub(super) fn filter(text: &str, include: bool, any_frame: bool) -> Filter {
    let (pattern, line) = match text.rsplit_once(':') {
        Some((pattern, line)) => match line.parse() {
            Ok(line) => (pattern, Some(line)),
            Err(_) => (text, None),
        },
        None => (text, None),
    };
    Filter::new(include, pattern, line, any_frame)
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
    fn a_filter_takes_its_line_after_the_last_colon() {
        let parse = |text| filter(text, true, false);
        assert_eq!(parse("a.py:12"), Filter::new(true, "a.py", Some(12), false));
        assert_eq!(parse("a.py"), Filter::new(true, "a.py", None, false));
        assert_eq!(
            parse("C:\\a.py"),
            Filter::new(true, "C:\\a.py", None, false)
        );
    }

    #[test]
    fn groupings_have_the_names_of_the_library_too() {
        assert_eq!(group_by("filename_lineno"), Ok(GroupBy::Line));
        assert_eq!(group_by("line"), Ok(GroupBy::Line));
        let refusal = group_by("size").expect_err("no such grouping");
        assert_eq!(
            refusal,
            "give one of line, function, filename, traceback, domain, thread"
        );
    }
}
