//! How sure a sampled figure is.

use heapsight_capture::model::Mode;

/// An upper bound of the standard error of a sampled figure of `bytes`, in bytes; `None` for exact captures.
///
/// It is `sqrt(bytes × mean_bytes)`; [`Mode::Sampled`] has the derivation.
#[must_use]
pub fn standard_error_bytes(mode: Mode, bytes: u64) -> Option<u64> {
    match mode {
        Mode::Exact { .. } => None,
        Mode::Sampled { mean_bytes } => Some((bytes as f64 * mean_bytes as f64).sqrt() as u64),
    }
}

/// What to add to and subtract from a sampled figure of `bytes`, in bytes, so that what was there lies between in 95 %
/// of all runs at least; `None` for exact captures.
///
/// Two standard errors do for a figure that many samples make up, but not for few: no sample at all is no proof of
/// nothing. With the figure as `k` mean distances it is `1 + 2 · sqrt(k + 1)` of them. For blocks much smaller than the
/// distance, `k` is a Poisson variable, and no mean of it is missed in more than 5 % of all runs (see the test). Larger
/// blocks vary less.
#[must_use]
pub fn margin_bytes(mode: Mode, bytes: u64) -> Option<u64> {
    match mode {
        Mode::Exact { .. } => None,
        Mode::Sampled { mean_bytes } => {
            let mean = mean_bytes as f64;
            Some((mean + 2.0 * (mean * (bytes as f64 + mean)).sqrt()).ceil() as u64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISTANCE: u64 = 512 << 10;
    const SAMPLED: Mode = Mode::Sampled {
        mean_bytes: DISTANCE,
    };

    #[test]
    fn exact_figures_have_no_error() {
        let exact = Mode::Exact { frame_limit: None };
        assert_eq!(standard_error_bytes(exact, 1 << 30), None);
        assert_eq!(margin_bytes(exact, 1 << 30), None);
    }

    #[test]
    fn the_relative_error_falls_with_the_square_root_of_the_figure() {
        assert_eq!(standard_error_bytes(SAMPLED, 0), Some(0));
        assert_eq!(standard_error_bytes(SAMPLED, DISTANCE), Some(DISTANCE));
        assert_eq!(standard_error_bytes(SAMPLED, 200 << 20), Some(10 << 20));
    }

    #[test]
    fn nothing_sampled_may_be_three_mean_distances() {
        assert_eq!(margin_bytes(SAMPLED, 0), Some(3 * DISTANCE));
    }

    /// The judge is the Poisson distribution itself: for each mean, the probabilities of all numbers of samples whose
    /// interval misses it.
    #[test]
    fn the_margin_misses_no_more_than_one_figure_in_twenty_whatever_was_there() {
        let distance = DISTANCE as f64;
        for hundredths in 1..10_000 {
            let mean = f64::from(hundredths) / 100.0;
            let mut probability = (-mean).exp();
            let mut missed = 0.0;
            for samples in 0..300_u32 {
                let figure = f64::from(samples) * distance;
                let margin = margin_bytes(SAMPLED, figure as u64).expect("sampled") as f64;
                if (figure - mean * distance).abs() > margin {
                    missed += probability;
                }
                probability *= mean / f64::from(samples + 1);
            }
            assert!(
                missed <= 0.05,
                "{missed} of the figures at {mean} distances"
            );
        }
    }
}
