//! Sets of sites, with one bit for each site.

use std::cmp::Ordering;

#[derive(Default)]
pub(super) struct Bits {
    words: Vec<u64>,
    count: usize,
}

impl Bits {
    /// Adds `site`; false when it was there.
    pub(super) fn insert(&mut self, site: u32) -> bool {
        let (word, bit) = place(site);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += usize::from(is_new);
        is_new
    }

    /// Adds all from 1 on and before `end`, without looking at each.
    pub(super) fn insert_all_before(&mut self, end: u32) {
        let (last, end_bit) = place(end);
        if last >= self.words.len() {
            self.words.resize(last + 1, 0);
        }
        for (index, word) in self.words[..=last].iter_mut().enumerate() {
            let all = if index == last { end_bit - 1 } else { u64::MAX };
            let new = all & !*word & !u64::from(index == 0);
            self.count += new.count_ones() as usize;
            *word |= new;
        }
    }

    /// Adds all that are in `other`.
    pub(super) fn insert_all_of(&mut self, other: &Self) {
        if other.words.len() > self.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            self.count += (more & !*word).count_ones() as usize;
            *word |= more;
        }
    }

    /// Takes `site` out; false when it was not there.
    pub(super) fn remove(&mut self, site: u32) -> bool {
        let (word, bit) = place(site);
        let Some(word) = self.words.get_mut(word) else {
            return false;
        };
        let was_there = *word & bit != 0;
        *word &= !bit;
        self.count -= usize::from(was_there);
        was_there
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// How many there are from `site` on and before `end`.
    pub(super) fn len_between(&self, site: u32, end: u32) -> usize {
        let ((first, bit), (last, end_bit)) = (place(site), place(end));
        let before_end = |index: usize, word: u64| match index.cmp(&last) {
            Ordering::Less => word,
            Ordering::Equal => word & (end_bit - 1),
            Ordering::Greater => 0,
        };
        let words = self.words.get(first..).unwrap_or_default();
        let words = (first..=last).zip(words).map(|(index, word)| {
            let word = before_end(index, *word);
            if index == first {
                word & !(bit - 1)
            } else {
                word
            }
        });
        words.map(|word| word.count_ones() as usize).sum()
    }

    /// The first one from `site` on.
    pub(super) fn next(&self, site: u32) -> Option<u32> {
        let (first, bit) = place(site);
        let (word, rest) = self.words.get(first..)?.split_first()?;
        let in_word = |index: usize, word: u64| (index as u32 * 64) + word.trailing_zeros();
        let from_bit = word & !(bit - 1);
        if from_bit != 0 {
            return Some(in_word(first, from_bit));
        }
        let further = rest.iter().position(|word| *word != 0)?;
        Some(in_word(first + 1 + further, rest[further]))
    }

    /// All of them, in rising order.
    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            let site = self.next(next)?;
            next = site + 1;
            Some(site)
        })
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }
}

fn place(site: u32) -> (usize, u64) {
    (site as usize / 64, 1 << (site % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_of_bits_is_a_set(changes in prop::collection::vec((0..300_u32, any::<bool>()), 0..200)) {
            let (mut bits, mut set) = (Bits::default(), BTreeSet::new());
            for (site, is_added) in changes {
                if is_added {
                    prop_assert_eq!(bits.insert(site), set.insert(site));
                } else {
                    prop_assert_eq!(bits.remove(site), set.remove(&site));
                }
                if site % 50 == 0 && is_added {
                    bits.insert_all_before(site);
                    set.extend(1..site.max(1));
                }
                prop_assert_eq!(bits.len(), set.len());
                prop_assert_eq!(bits.next(site), set.range(site..).next().copied());
                for end in [site, site + 1, site + 70, 299, u32::MAX] {
                    let between = set.range(site..end.max(site)).count();
                    prop_assert_eq!(bits.len_between(site, end), between);
                }
            }
            prop_assert_eq!(bits.iter().collect::<Vec<_>>(), set.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn a_set_takes_in_another(
            sites in prop::collection::vec(0..300_u32, 0..50),
            others in prop::collection::vec(0..400_u32, 0..50),
        ) {
            let of = |sites: &[u32]| {
                let mut bits = Bits::default();
                sites.iter().for_each(|&site| { bits.insert(site); });
                bits
            };
            let mut bits = of(&sites);
            bits.insert_all_of(&of(&others));
            let set: BTreeSet<u32> = sites.into_iter().chain(others).collect();
            prop_assert_eq!(bits.len(), set.len());
            prop_assert_eq!(bits.iter().collect::<Vec<_>>(), set.into_iter().collect::<Vec<_>>());
        }
    }
}
