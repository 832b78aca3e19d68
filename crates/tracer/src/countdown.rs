//! When the next block is sampled: a Poisson process over the bytes that one stream of allocations asks for.
//!
//! The distance to the next sample point is exponential with mean `R` bytes, and the block in which it ends is sampled.
//! A block of `s` bytes counts `s + 16`, about what it takes from the allocator ([`OVERHEAD`]), so it is sampled with
//! probability `1 − exp(−(s + 16) / R)`.
//!
//! **Beginning anew.** A start of tracing and a fork in the child make every stream draw again: what is left of the old
//! distance may belong to another mean, or be that of the parent too. No list of the streams is needed for that, nor a
//! word more to look at for each allocation. A position counts up to [`CEILING`], and each beginning lowers that by
//! more than any distance: all old positions are above it.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// What a block counts beside its bytes. Without it one of a few bytes would be found next to never and then stand for
/// a multitude, and one of none (`re` asks for them) not at all.
const OVERHEAD: i64 = 16;

/// No distance is longer: 1 TiB. A longer one is drawn in pieces, which an exponential distribution does not notice.
const SPAN: i64 = 1 << 40;

/// Where the present positions end. Always negative.
static CEILING: AtomicI64 = AtomicI64::new(-SPAN);
static MEAN_BYTES: AtomicU64 = AtomicU64::new(0);
/// What the streams' random numbers are made from, and how many streams there are.
static SEED: AtomicU64 = AtomicU64::new(0);
static STREAMS: AtomicU64 = AtomicU64::new(0);
/// What a test wants for the next [`begin`].
static FIXED_SEED: AtomicU64 = AtomicU64::new(0);
static HAS_FIXED_SEED: AtomicBool = AtomicBool::new(false);

/// One stream of allocations. Whoever counts is alone, so loads and stores do.
pub(crate) struct Countdown {
    /// Goes up with every block, to the ceiling.
    position: AtomicI64,
    /// The ceiling for which it was drawn.
    ceiling: AtomicI64,
    /// Is there a sample point at the ceiling, or only the end of a piece?
    ends_in_point: AtomicBool,
    random: AtomicU64,
}

impl Countdown {
    pub(crate) const fn new() -> Self {
        Self {
            position: AtomicI64::new(0),
            ceiling: AtomicI64::new(0),
            ends_in_point: AtomicBool::new(false),
            random: AtomicU64::new(0),
        }
    }

    /// Counts a block of `size` bytes if it is certain that it holds no sample point.
    #[inline(always)]
    pub(crate) fn skips(&self, size: usize) -> bool {
        let position = self
            .position
            .load(Ordering::Relaxed)
            .wrapping_add(size as i64)
            .wrapping_add(OVERHEAD);
        let passes = position <= CEILING.load(Ordering::Relaxed);
        if passes {
            self.position.store(position, Ordering::Relaxed);
        }
        passes
    }

    /// Counts a block of `size` bytes; its weight if it holds a sample point.
    pub(crate) fn count(&self, size: usize) -> Option<Weight> {
        let mut more = i64::try_from(size)
            .unwrap_or(i64::MAX)
            .saturating_add(OVERHEAD);
        let ceiling = CEILING.load(Ordering::Acquire);
        if self.ceiling.load(Ordering::Relaxed) == ceiling {
            let position = self.position.load(Ordering::Relaxed);
            let left = ceiling - position;
            if more <= left {
                self.position.store(position + more, Ordering::Relaxed);
                return None;
            }
            if self.ends_in_point.load(Ordering::Relaxed) {
                self.draw(ceiling);
                return Some(self.draw_weight(size));
            }
            more -= left;
        } else {
            let stream = STREAMS.fetch_add(1, Ordering::Relaxed);
            let seed = mix(SEED.load(Ordering::Relaxed)) ^ mix(stream.wrapping_add(1));
            self.random.store(seed, Ordering::Relaxed);
            self.ceiling.store(ceiling, Ordering::Relaxed);
        }
        // The stream begins, or goes on, without a point so far: those of the block are drawn now.
        loop {
            let distance = self.draw(ceiling);
            if more <= distance {
                self.position
                    .store(ceiling - distance + more, Ordering::Relaxed);
                return None;
            }
            if self.ends_in_point.load(Ordering::Relaxed) {
                // Where in the block it is does not matter: the next one is as far from its end as from anywhere.
                self.draw(ceiling);
                return Some(self.draw_weight(size));
            }
            more -= distance;
        }
    }

    /// Changes with every block that is counted.
    #[inline(always)]
    pub(crate) fn stamp(&self) -> i64 {
        self.position.load(Ordering::Relaxed)
    }

    /// Puts the position a new distance below `ceiling`; returns the distance.
    fn draw(&self, ceiling: i64) -> i64 {
        let mean = MEAN_BYTES.load(Ordering::Relaxed) as f64;
        // In whole bytes: a block reaches a point at 3.7 bytes with its fourth, as it does one at 3.
        let drawn = (-self.uniform().ln() * mean) as i64;
        let ends_in_point = drawn < SPAN;
        let distance = drawn.min(SPAN);
        self.ends_in_point.store(ends_in_point, Ordering::Relaxed);
        self.position.store(ceiling - distance, Ordering::Relaxed);
        distance
    }

    fn draw_weight(&self, size: usize) -> Weight {
        let mean = MEAN_BYTES.load(Ordering::Relaxed);
        Weight::of(size, mean, 1.0 - self.uniform())
    }

    /// A random number in (0, 1], of 53 bits.
    fn uniform(&self) -> f64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        let state = self
            .random
            .load(Ordering::Relaxed)
            .wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.store(state, Ordering::Relaxed);
        ((mix(state) >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

/// What a sampled block stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    pub(crate) bytes: u64,
    pub(crate) blocks: u64,
}

impl Weight {
    /// Of a block of `size` bytes: `size / p` and `1 / p` for the probability `p` that it is sampled (Horvitz and
    /// Thompson). Whole numbers, rounded up as often as `random`, uniform in [0, 1), is below the fraction: so sums
    /// keep their mean, over any set of blocks.
    fn of(size: usize, mean_bytes: u64, random: f64) -> Self {
        let counted = size as f64 + OVERHEAD as f64;
        let probability = -(-counted / mean_bytes.max(1) as f64).exp_m1();
        let round = |exact: f64| exact as u64 + u64::from(random < exact.fract());
        Self {
            bytes: round(size as f64 / probability),
            blocks: round(1.0 / probability),
        }
    }
}

/// Has every stream begin anew, for sample points `mean_bytes` apart on average.
pub(crate) fn begin(mean_bytes: u64) {
    let seed = if HAS_FIXED_SEED.load(Ordering::Relaxed) {
        FIXED_SEED.load(Ordering::Relaxed)
    } else {
        random_seed()
    };
    MEAN_BYTES.store(mean_bytes, Ordering::Relaxed);
    begin_with(seed);
}

/// Has every stream begin anew in the child of a fork, which has the parent's random numbers.
pub(crate) fn begin_in_child() {
    // No system call: `fork` may be called where few are allowed. The number of the process makes it another seed than
    // that of any sister.
    let own = u64::from(std::process::id());
    begin_with(mix(SEED.load(Ordering::Relaxed)).wrapping_add(own));
}

fn begin_with(seed: u64) {
    SEED.store(seed, Ordering::Relaxed);
    STREAMS.store(0, Ordering::Relaxed);
    let ceiling = CEILING.load(Ordering::Relaxed);
    // After eight million beginnings they are no longer told apart: a stream then goes on with what is left of its old
    // distance.
    let has_room = ceiling >= i64::MIN + 2 * SPAN;
    CEILING.store(
        if has_room { ceiling - SPAN } else { ceiling },
        Ordering::Release,
    );
}

/// Sets the seed for every [`begin`] from now on; `None`: another one each time. For tests.
pub(crate) fn fix_seed(seed: Option<u64>) {
    FIXED_SEED.store(seed.unwrap_or(0), Ordering::Relaxed);
    HAS_FIXED_SEED.store(seed.is_some(), Ordering::Relaxed);
}

fn random_seed() -> u64 {
    let mut seed = 0_u64;
    // SAFETY: writes at most eight bytes to `seed`.
    let length = unsafe {
        libc::getrandom(
            (&raw mut seed).cast(),
            size_of::<u64>(),
            libc::GRND_NONBLOCK,
        )
    };
    if length == size_of::<u64>() as isize {
        return seed;
    }
    // No system of the last ten years refuses. Two runs differ all the same.
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
    since.map_or(0, |time| time.as_nanos() as u64) ^ u64::from(std::process::id())
}

/// The finalizer of SplitMix64: each bit of the result depends on every bit of `z`.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// Begins with a seed of the test's own. The statics are one for all tests of the process.
    fn beginning(mean_bytes: u64, seed: u64) -> MutexGuard<'static, ()> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        fix_seed(Some(seed));
        begin(mean_bytes);
        guard
    }

    /// As the hooks count.
    fn allocate(countdown: &Countdown, size: usize) -> Option<Weight> {
        if countdown.skips(size) {
            None
        } else {
            countdown.count(size)
        }
    }

    fn probability(size: usize, mean_bytes: u64) -> f64 {
        1.0 - (-(size as f64 + 16.0) / mean_bytes as f64).exp()
    }

    /// Five standard errors: a right count is outside once in 1.7 million seeds, and the seed is fixed.
    #[track_caller]
    fn assert_near(found: f64, expected: f64, variance: f64, what: &str) {
        let bound = 5.0 * variance.sqrt();
        assert!(
            (found - expected).abs() <= bound,
            "{what}: {found}, expected {expected} ± {bound}"
        );
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes too long")]
    fn a_block_is_sampled_as_often_as_its_size_says_and_stands_for_all_others() {
        const MEAN: u64 = 4096;
        const SIZES: [usize; 8] = [0, 1, 28, 56, 512, 4096, 5000, 100_000];
        const ROUNDS: u32 = 200_000;
        let _guard = beginning(MEAN, 1);
        let countdown = Countdown::new();
        let mut found = [(0_u32, Weight::default()); SIZES.len()];
        for _ in 0..ROUNDS {
            for (size, (samples, sum)) in SIZES.into_iter().zip(&mut found) {
                if let Some(weight) = allocate(&countdown, size) {
                    *samples += 1;
                    sum.bytes += weight.bytes;
                    sum.blocks += weight.blocks;
                }
            }
        }
        for (size, (samples, sum)) in SIZES.into_iter().zip(found) {
            let (p, n) = (probability(size, MEAN), f64::from(ROUNDS));
            let what = format!("{size} bytes");
            assert_near(f64::from(samples), n * p, n * p * (1.0 - p), &what);
            // Each sample adds what rounding its weight to a whole number makes uncertain: a quarter at most.
            let blocks = n * (1.0 - p) / p + n * p / 4.0;
            assert_near(sum.blocks as f64, n, blocks, &what);
            let bytes = blocks * (size * size) as f64 + n * p / 4.0;
            assert_near(sum.bytes as f64, n * size as f64, bytes, &what);
        }
    }

    #[test]
    fn weights_are_not_rounded_one_way() {
        const MEAN: u64 = 4096;
        let p = probability(2900, MEAN);
        assert!((1.0 / p - 1.96).abs() < 0.01, "half way between two counts");
        let mut sum = 0.0;
        for thousandths in 0..1000 {
            let weight = Weight::of(2900, MEAN, f64::from(thousandths) / 1000.0);
            assert!((weight.blocks as f64 - 1.0 / p).abs() < 1.0);
            assert!((weight.bytes as f64 - 2900.0 / p).abs() < 1.0);
            sum += weight.blocks as f64;
        }
        assert!((sum / 1000.0 - 1.0 / p).abs() < 0.002);
        let large = Weight::of(1 << 30, MEAN, 0.999);
        assert_eq!((large.bytes, large.blocks), (1 << 30, 1));
    }

    #[test]
    fn a_beginning_ends_every_distance_drawn_before() {
        let _guard = beginning(1 << 50, 2);
        let countdown = Countdown::new();
        assert_eq!(allocate(&countdown, 100), None);
        assert!(countdown.skips(100));
        begin(64);
        assert!(!countdown.skips(0));
        let samples = (0..1000).filter(|_| allocate(&countdown, 1000).is_some());
        assert_eq!(samples.count(), 1000);
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes too long")]
    fn distances_longer_than_a_piece_are_as_long_as_they_should_be() {
        const MEAN: u64 = 3 << 40;
        const SIZE: usize = 1 << 38;
        let _guard = beginning(MEAN, 3);
        let countdown = Countdown::new();
        let n = 200_000;
        let samples = (0..n)
            .filter(|_| allocate(&countdown, SIZE).is_some())
            .count();
        let (p, n) = (probability(SIZE, MEAN), f64::from(n));
        assert_near(samples as f64, n * p, n * p * (1.0 - p), "samples");
    }

    #[test]
    fn streams_differ_and_a_seed_repeats_them() {
        let samples = |countdown: &Countdown| -> Vec<usize> {
            (0..10_000)
                .filter(|_| allocate(countdown, 50).is_some())
                .collect()
        };
        let _guard = beginning(4096, 4);
        let (first, second) = (samples(&Countdown::new()), samples(&Countdown::new()));
        assert_ne!(first, second);
        begin(4096);
        let (again, in_child) = (Countdown::new(), Countdown::new());
        assert_eq!(samples(&again), first);
        begin_in_child();
        assert_ne!(samples(&in_child), second);
        assert_ne!(samples(&again), first);
        fix_seed(None);
        begin(4096);
        assert_ne!(samples(&again), first);
    }
}
