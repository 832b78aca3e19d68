//! The blocks that are live, by address.

use foldhash::{HashMap, HashMapExt};
use heapsight_capture::model::SiteId;

/// A live block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub bytes: u64,
    pub site: SiteId,
}

/// The blocks that are live.
#[derive(Debug)]
pub(super) struct Live {
    blocks: HashMap<u64, Block>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            blocks: HashMap::new(),
        }
    }
}

impl Live {
    #[inline]
    pub(super) fn insert(&mut self, address: u64, block: Block) {
        self.blocks.insert(address, block);
    }

    #[inline]
    pub(super) fn remove(&mut self, address: u64) -> Option<Block> {
        self.blocks.remove(&address)
    }
}
