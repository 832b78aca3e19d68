//! How sure a sampled figure is.

use heapsight_capture::model::Mode;

/// An upper bound of the standard error of a sampled figure of `bytes`, in bytes; `None` for exact captures.
///
/// It is `sqrt(bytes × mean_bytes)`; [`Mode::Sampled`] has the derivation. Two standard errors are a 95 % interval.
#[must_use]
pub fn standard_error_bytes(mode: Mode, bytes: u64) -> Option<u64> {
    match mode {
        Mode::Exact { .. } => None,
        Mode::Sampled { mean_bytes } => Some((bytes as f64 * mean_bytes as f64).sqrt() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_figures_have_no_error() {
        assert_eq!(
            standard_error_bytes(Mode::Exact { frame_limit: None }, 1 << 30),
            None
        );
    }

    #[test]
    fn the_relative_error_falls_with_the_square_root_of_the_figure() {
        let mode = Mode::Sampled {
            mean_bytes: 512 << 10,
        };
        assert_eq!(standard_error_bytes(mode, 0), Some(0));
        assert_eq!(standard_error_bytes(mode, 512 << 10), Some(512 << 10));
        assert_eq!(standard_error_bytes(mode, 200 << 20), Some(10 << 20));
    }
}
