//! How much memory the tracer may take for call paths on which nothing is live, as a person says it.

use heapsight_capture::model::Bounds;

/// Says it where nothing else does.
pub const BUDGET_VARIABLE: &str = "PYTHONHEAPSIGHT_BUDGET";

/// A number of bytes, with `K`, `M` or `G` for 1024, 1024² or 1024³ of them; `None` for anything else, and for 0.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
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
}

/// A budget.
///
/// # Errors
/// What would have been right.
pub fn budget_bytes(text: &str) -> Result<u64, String> {
    bytes(text)
        .filter(|bytes| *bytes >= Bounds::SMALLEST_BUDGET)
        .ok_or_else(|| "give a number of bytes from 64K on, such as 8M or 1G".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_has_a_least_size() {
        assert_eq!(budget_bytes("64K"), Ok(64 << 10));
        assert_eq!(budget_bytes("1G"), Ok(1 << 30));
        for wrong in ["0", "65535", "63K", "-1M", "much", "99999999999G", ""] {
            assert_eq!(
                budget_bytes(wrong).expect_err(wrong),
                "give a number of bytes from 64K on, such as 8M or 1G"
            );
        }
    }
}
