//! The counters of each site as they are in the file, in half the space: most of them fit in 32 bits.

use std::collections::HashMap;

use heapsight_capture::model::Counters;

/// By the tracer's number of a site.
#[derive(Default)]
pub(super) struct Told {
    figures: Vec<Small>,
    /// Those that do not fit.
    large: HashMap<u32, Counters>,
}

/// Allocated, freed, temporary, at the peak: bytes and blocks of each. The first is [`LARGE`] for figures that do not
/// fit.
#[derive(Clone, Copy, Default)]
struct Small([u32; 8]);

const LARGE: u32 = u32::MAX;

impl Small {
    fn of(counters: &Counters) -> Option<Self> {
        let all = [
            counters.allocated_bytes,
            counters.allocated_blocks,
            counters.freed_bytes,
            counters.freed_blocks,
            counters.temporary_bytes,
            counters.temporary_blocks,
            counters.peak_bytes,
            counters.peak_blocks,
        ];
        all.iter()
            .all(|&figure| figure < u64::from(LARGE))
            .then(|| Self(all.map(|figure| figure as u32)))
    }

    fn counters(self) -> Counters {
        let [
            allocated_bytes,
            allocated_blocks,
            freed_bytes,
            freed_blocks,
            temporary_bytes,
            temporary_blocks,
            peak_bytes,
            peak_blocks,
        ] = self.0.map(u64::from);
        Counters {
            allocated_bytes,
            allocated_blocks,
            freed_bytes,
            freed_blocks,
            temporary_bytes,
            temporary_blocks,
            peak_bytes,
            peak_blocks,
        }
    }
}

impl Told {
    /// What the file has of `site`: nothing of one that it does not know.
    pub(super) fn get(&self, site: u32) -> Counters {
        match self.figures.get(site as usize) {
            None => Counters::default(),
            Some(Small([LARGE, ..])) => self.large.get(&site).copied().unwrap_or_default(),
            Some(small) => small.counters(),
        }
    }

    /// The file has these of `site` now.
    pub(super) fn set(&mut self, site: u32, counters: &Counters) {
        let index = site as usize;
        if index >= self.figures.len() {
            let more = index + 1 - self.figures.len();
            // Not twice as much as is needed.
            self.figures.reserve_exact(more.max(self.figures.len() / 8));
            self.figures.resize(index + 1, Small::default());
        }
        if self.figures[index].0[0] == LARGE {
            self.large.remove(&site);
        }
        self.figures[index] = Small::of(counters).unwrap_or_else(|| {
            self.large.insert(site, *counters);
            Small([LARGE; 8])
        });
    }

    /// What the file has of `site`, whose number means nothing from now on.
    pub(super) fn take(&mut self, site: u32) -> Counters {
        let told = self.get(site);
        if (site as usize) < self.figures.len() {
            self.set(site, &Counters::default());
        }
        told
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.figures.capacity() * size_of::<Small>()
            + self.large.capacity() * 8 / 7 * (size_of::<(u32, Counters)>() + 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn figure() -> impl Strategy<Value = u64> {
        prop_oneof![
            4 => 0..100_u64,
            1 => u64::from(u32::MAX) - 2..u64::from(u32::MAX) + 2,
            1 => any::<u64>(),
        ]
    }

    proptest! {
        #[test]
        fn figures_of_any_size_are_kept(
            changes in prop::collection::vec((0..20_u32, [figure(), figure(), figure()], any::<bool>()), 0..80),
        ) {
            let (mut told, mut plain) = (Told::default(), HashMap::new());
            for (site, [allocated_bytes, freed_blocks, peak_bytes], is_taken) in changes {
                if is_taken {
                    prop_assert_eq!(told.take(site), plain.remove(&site).unwrap_or_default());
                } else {
                    let counters =
                        Counters { allocated_bytes, freed_blocks, peak_bytes, ..Counters::default() };
                    told.set(site, &counters);
                    plain.insert(site, counters);
                }
            }
            for site in 0..20 {
                prop_assert_eq!(told.get(site), plain.get(&site).copied().unwrap_or_default());
            }
            let large = plain.values().filter(|of| Small::of(of).is_none()).count();
            prop_assert_eq!(told.large.len(), large);
        }
    }
}
