//! The blocks that are live, by address, in little room: a recording may have many millions of them at once.

use foldhash::{HashMap, HashMapExt};
use heapsight_capture::model::SiteId;

/// A live block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub bytes: u64,
    pub site: SiteId,
}

/// Tables that the blocks are spread over. One that grows needs room for its new size and its old one at once, so they
/// are many.
const TABLES: usize = 64;

/// Site and size in one word. The few blocks for which one of them is too large are kept apart.
const SIZE_BITS: u32 = 36;
const LARGE: u64 = u64::MAX;

/// The blocks that are live.
#[derive(Debug)]
pub(super) struct Live {
    tables: Vec<HashMap<u64, u64>>,
    large: HashMap<u64, Block>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            tables: vec![HashMap::new(); TABLES],
            large: HashMap::new(),
        }
    }
}

impl Live {
    /// Adds a block at an address where there is none.
    #[inline]
    pub(super) fn insert(&mut self, address: u64, block: Block) {
        let word = (u64::from(block.site) << SIZE_BITS) | block.bytes;
        let fits = block.bytes >> SIZE_BITS == 0 && block.site >> (64 - SIZE_BITS) == 0;
        let word = if fits && word != LARGE { word } else { LARGE };
        if word == LARGE {
            self.large.insert(address, block);
        }
        self.table(address).insert(address, word);
    }

    #[inline]
    pub(super) fn remove(&mut self, address: u64) -> Option<Block> {
        match self.table(address).remove(&address)? {
            LARGE => self.large.remove(&address),
            word => Some(Block {
                bytes: word & ((1 << SIZE_BITS) - 1),
                site: (word >> SIZE_BITS) as SiteId,
            }),
        }
    }

    #[inline]
    fn table(&mut self, address: u64) -> &mut HashMap<u64, u64> {
        // The golden ratio spreads addresses, whatever they are multiples of, over the highest bits.
        let spread = address.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &mut self.tables[(spread >> 58) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_any_size_and_site_come_back_once() {
        let most = (1 << SIZE_BITS) - 1;
        let last_site = (1 << (64 - SIZE_BITS)) - 1;
        let mut live = Live::default();
        let mut blocks = Vec::new();
        for bytes in [0, 1, most - 1, most, most + 1, u64::MAX] {
            for site in [0, 1, last_site - 1, last_site, last_site + 1, SiteId::MAX] {
                blocks.push(Block { bytes, site });
            }
        }
        for (address, block) in (0..).step_by(16).zip(&blocks) {
            live.insert(address, *block);
        }
        for (address, block) in (0..).step_by(16).zip(&blocks) {
            assert_eq!(live.remove(address), Some(*block));
            assert_eq!(live.remove(address), None);
        }
        assert!(live.large.is_empty());
    }
}
