//! Sizes, counts, shares and times as text.

use std::time::Duration;

const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// A size, rounded to two or more digits: one decimal below 10 of a unit, none from there on.
///
/// ```
/// use heapsight_report::format_size;
/// assert_eq!(format_size(9_960_000), "9.5 MiB");
/// assert_eq!(format_size(25_000_000), "24 MiB");
/// ```
#[must_use]
pub fn format_size(bytes: u64) -> String {
    let unit = unit_of(bytes);
    format!("{} {}", in_unit(bytes, unit), UNITS[unit])
}

/// Like [`format_size`], always with a sign.
#[must_use]
pub fn format_size_change(bytes: i64) -> String {
    let sign = if bytes < 0 { '-' } else { '+' };
    format!("{sign}{}", format_size(bytes.unsigned_abs()))
}

/// The largest unit of which `bytes`, rounded, are at least one.
fn unit_of(bytes: u64) -> usize {
    // 1023.5 of a unit would be rounded to 1024: that is 1.0 of the next.
    let is_less = |unit: usize| u128::from(bytes) * 2 < 2047 * (1_u128 << (10 * unit));
    (0..UNITS.len() - 1)
        .find(|unit| is_less(*unit))
        .unwrap_or(UNITS.len() - 1)
}

fn in_unit(bytes: u64, unit: usize) -> String {
    let tenths = rounded(u128::from(bytes) * 10, unit);
    if unit == 0 || tenths >= 100 {
        rounded(u128::from(bytes), unit).to_string()
    } else {
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}

/// `number` in so many powers of 1024, rounded to the nearest; halves are rounded up.
fn rounded(number: u128, unit: usize) -> u128 {
    let one = 1_u128 << (10 * unit);
    (number + one / 2) / one
}

/// A whole that is the sum of parts, as text in one unit, so that the figures add up as they are read: `328 MiB` and
/// `5`, `24`, `299`. The last part is what the others leave of the whole; nothing at all if they are more than it. A
/// part that rounds to nothing is `<1`.
pub(crate) fn format_sum(whole: u64, parts: [u64; 2]) -> Option<(String, [String; 3])> {
    let unit = unit_of(whole);
    let one = 1_u128 << (10 * unit);
    let (scale, has_decimal) = match unit > 0 && u128::from(whole) * 2 < 19 * one {
        true => (10, true),
        false => (1, false),
    };
    let steps = |bytes: u64| rounded(u128::from(bytes) * scale, unit);
    let text = |steps: u128| match has_decimal {
        true => format!("{}.{}", steps / 10, steps % 10),
        false => steps.to_string(),
    };
    let part = |bytes: u64, steps: u128| match (bytes, steps) {
        (1.., 0) if has_decimal => "<0.1".to_owned(),
        (1.., 0) => "<1".to_owned(),
        (_, steps) => text(steps),
    };
    let rest = parts[0]
        .checked_add(parts[1])
        .and_then(|sum| whole.checked_sub(sum))?;
    let all = steps(whole);
    let first = steps(parts[0]).min(all);
    let second = steps(parts[1]).min(all - first);
    let texts = [
        part(parts[0], first),
        part(parts[1], second),
        part(rest, all - first - second),
    ];
    Some((format!("{} {}", text(all), UNITS[unit]), texts))
}

/// A size stays in a unit as long as it is below this many of it, where lists keep to whole numbers.
const WHOLE_UNIT_LIMIT: u64 = 5 * 1024;

/// A size in whole units, rounded: below 5 × 1024 of a unit it stays in that unit, so three or four digits are shown.
/// The form of the lists of snapshots.
///
/// ```
/// use heapsight_report::format_whole_size;
/// assert_eq!(format_whole_size(5119), "5119 B");
/// assert_eq!(format_whole_size(9000), "9 KiB");
/// ```
#[must_use]
pub fn format_whole_size(bytes: u64) -> String {
    let unit = (0..UNITS.len() - 1)
        .find(|unit| bytes < WHOLE_UNIT_LIMIT << (10 * unit))
        .unwrap_or(UNITS.len() - 1);
    format!("{} {}", rounded(u128::from(bytes), unit), UNITS[unit])
}

/// Like [`format_whole_size`], always with a sign.
#[must_use]
pub fn format_whole_size_change(bytes: i64) -> String {
    let sign = if bytes < 0 { '-' } else { '+' };
    format!("{sign}{}", format_whole_size(bytes.unsigned_abs()))
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
#[must_use]
pub fn format_share(part: u64, whole: u64) -> String {
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
#[must_use]
pub fn counted(count: u64, one: &str, many: &str) -> String {
    let noun = if count == 1 { one } else { many };
    format!("{} {noun}", format_count(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_rounded_and_never_1024_of_a_unit() {
        let kib = |tenths: u64| tenths * 1024 / 10;
        let sizes = [
            (0, "0 B"),
            (1, "1 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (kib(98) + 61, "9.9 KiB"),
            (kib(99) + 51, "9.9 KiB"),
            (kib(99) + 52, "10 KiB"),
            (10_338_959, "9.9 MiB"),
            (10 << 10, "10 KiB"),
            ((1023 << 10) + 511, "1023 KiB"),
            ((1023 << 10) + 512, "1.0 MiB"),
            (1 << 40, "1.0 TiB"),
            (u64::MAX, "16777216 TiB"),
        ];
        for (bytes, text) in sizes {
            assert_eq!(format_size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn sizes_in_whole_numbers_are_rounded_too_and_keep_their_unit_below_5_times_1024() {
        let sizes = [
            (0, "0 B"),
            (5 * 1024 - 1, "5119 B"),
            (5 * 1024, "5 KiB"),
            (9000, "9 KiB"),
            (5 * 1024 * 1024 - 1, "5120 KiB"),
            (5 << 20, "5 MiB"),
            (10_338_959, "10 MiB"),
            (5 << 30, "5 GiB"),
            (5 << 40, "5 TiB"),
            (u64::MAX, "16777216 TiB"),
        ];
        for (bytes, text) in sizes {
            assert_eq!(format_whole_size(bytes), text);
        }
        assert_eq!(format_whole_size_change(-6000), "-6 KiB");
    }

    #[test]
    fn a_change_of_size_carries_its_sign() {
        assert_eq!(format_size_change(0), "+0 B");
        assert_eq!(format_size_change(408 << 10), "+408 KiB");
        assert_eq!(format_size_change(-6000), "-5.9 KiB");
        assert_eq!(format_size_change(i64::MIN), "-8388608 TiB");
    }

    #[test]
    fn the_parts_of_a_sum_add_up_as_they_are_shown() {
        let mib = 1 << 20;
        let sum = |whole: u64, parts| format_sum(whole, parts).expect("a sum");
        let (whole, parts) = sum(328 * mib, [5 * mib, 24 * mib]);
        assert_eq!(whole, "328 MiB");
        assert_eq!(parts, ["5", "24", "299"]);
        let (whole, parts) = sum(43 * mib, [25 * mib + 400_000, 9 * mib]);
        assert_eq!(whole, "43 MiB");
        assert_eq!(parts, ["25", "9", "9"]);
        let (whole, parts) = sum(9 * mib, [5 * mib, 1]);
        assert_eq!(whole, "9.0 MiB");
        assert_eq!(parts, ["5.0", "<0.1", "4.0"]);
        let nothing_left = sum(100 * mib + 600_000, [100 * mib + 550_000, 50_000]);
        assert_eq!(nothing_left.1, ["101", "<1", "0"]);
        assert_eq!(format_sum(mib, [mib, 1]), None);
        assert_eq!(format_sum(u64::MAX, [u64::MAX, 1]), None);
        for (whole, a, b) in [(99 * mib, 1, 1), (7777, 1234, 4321), (900, 100, 100)] {
            let number = |text: &str| {
                if text.starts_with('<') {
                    return 0;
                }
                let text = text.split(' ').next().expect("a number");
                (text.parse::<f64>().expect("a number") * 10.0).round() as i64
            };
            let (shown, parts) = sum(whole, [a, b]);
            let added: i64 = parts.iter().map(|part| number(part)).sum();
            assert_eq!(number(&shown), added);
        }
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
