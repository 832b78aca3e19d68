//! Sizes, counts, shares and times as text.

use std::time::Duration;

/// A size stays in a unit as long as it is below this many of it.
const UNIT_LIMIT: u64 = 5 * 1024;
const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// A size in whole units, rounded down: below 5 × 1024 of a unit it stays in that unit, so three or four digits are shown.
///
/// ```
/// use heapsight_report::format_size;
/// assert_eq!(format_size(5119), "5119 B");
/// assert_eq!(format_size(5120), "5 KiB");
/// ```
#[must_use]
pub fn format_size(bytes: u64) -> String {
    let (mut size, mut unit) = (bytes, 0);
    while size >= UNIT_LIMIT && unit + 1 < UNITS.len() {
        size /= 1024;
        unit += 1;
    }
    format!("{size} {}", UNITS[unit])
}

/// Like [`format_size`], always with a sign.
#[must_use]
pub fn format_size_change(bytes: i64) -> String {
    let sign = if bytes < 0 { '-' } else { '+' };
    format!("{sign}{}", format_size(bytes.unsigned_abs()))
}

/// A number with a comma between each three digits.
#[must_use]
pub fn format_count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A length of time with two or three digits that matter.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis < 1000 {
        return format!("{millis} ms");
    }
    // Tenths, rounded down, so that 59.96 s does not become 60.0 s.
    let tenths = millis / 100;
    if tenths < 600 {
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    let seconds = duration.as_secs();
    if seconds < 3600 {
        return format!("{} min {:02} s", seconds / 60, seconds % 60);
    }
    format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60)
}

/// `part` of `whole` in per cent with one decimal; nothing of nothing is 0.
pub(crate) fn format_share(part: u64, whole: u64) -> String {
    format!("{:.1} %", share(part, whole) * 100.0)
}

/// `part` of `whole`, between 0 and 1.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// A count and its noun.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    let noun = if count == 1 { one } else { many };
    format!("{} {noun}", format_count(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_keeps_its_unit_below_5_times_1024() {
        let sizes = [
            (0, "0 B"),
            (5 * 1024 - 1, "5119 B"),
            (5 * 1024, "5 KiB"),
            (5 * 1024 * 1024 - 1, "5119 KiB"),
            (5 << 20, "5 MiB"),
            (5 << 30, "5 GiB"),
            (5 << 40, "5 TiB"),
            (u64::MAX, "16777215 TiB"),
        ];
        for (bytes, text) in sizes {
            assert_eq!(format_size(bytes), text);
        }
    }

    #[test]
    fn a_change_of_size_carries_its_sign() {
        assert_eq!(format_size_change(0), "+0 B");
        assert_eq!(format_size_change(408 << 10), "+408 KiB");
        assert_eq!(format_size_change(-6000), "-5 KiB");
        assert_eq!(format_size_change(i64::MIN), "-8388608 TiB");
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(format_count(count), text);
        }
    }

    #[test]
    fn times_are_never_rounded_up_into_the_next_unit() {
        for (millis, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (4_249, "4.2 s"),
            (59_999, "59.9 s"),
            (60_000, "1 min 00 s"),
            (3_599_999, "59 min 59 s"),
            (3_660_000, "1 h 01 min"),
        ] {
            assert_eq!(format_duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn a_share_of_nothing_is_zero() {
        assert_eq!(format_share(0, 0), "0.0 %");
        assert_eq!(format_share(1, 3), "33.3 %");
        assert_eq!(format_share(7, 7), "100.0 %");
    }
}
