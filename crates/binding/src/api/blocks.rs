//! The live blocks of a snapshot: addresses, sizes, and where each was allocated.

use std::sync::Arc;

use heapsight_capture::Block;
use heapsight_capture::model::SiteId;
use heapsight_tracer::LiveBlocks;

/// Blocks, in order of address, as they were when the snapshot was taken, shared by everything made from it, with what
/// became of their sites since.
#[derive(Clone, Debug)]
pub(crate) struct BlockTable {
    source: Arc<Source>,
    /// The present id of each original site; `None` for one that a filter dropped. No list: nothing has changed.
    sites: Option<Vec<Option<SiteId>>>,
}

#[derive(Debug)]
enum Source {
    Traced(LiveBlocks),
    Loaded(Vec<Block>),
}

impl BlockTable {
    /// Blocks of this process.
    pub(crate) fn traced(blocks: LiveBlocks) -> Self {
        Self {
            source: Arc::new(Source::Traced(blocks)),
            sites: None,
        }
    }

    /// Blocks from a file.
    pub(crate) fn loaded(mut blocks: Vec<Block>) -> Self {
        if !blocks.is_sorted_by_key(|block| block.address) {
            blocks.sort_by_key(|block| block.address);
        }
        Self {
            source: Arc::new(Source::Loaded(blocks)),
            sites: None,
        }
    }

    /// Follows sites to their new ids. `ids` has one for each id that was valid until now.
    pub(crate) fn renumber(&mut self, ids: &[Option<SiteId>]) {
        match &mut self.sites {
            Some(sites) => {
                for site in sites.iter_mut() {
                    *site = site.and_then(|site| ids[site as usize]);
                }
            }
            None => self.sites = Some(ids.to_vec()),
        }
    }

    /// Number of blocks there were when the snapshot was taken.
    pub(crate) fn len(&self) -> usize {
        match &*self.source {
            Source::Traced(blocks) => blocks.len(),
            Source::Loaded(blocks) => blocks.len(),
        }
    }

    /// The blocks that are there, by present site, in order of address.
    pub(crate) fn iter(&self) -> Iter<'_> {
        Iter {
            source: &self.source,
            sites: self.sites.as_deref(),
            index: 0,
        }
    }
}

/// Goes over the blocks of a [`BlockTable`]. One plain loop: chained iterators take three times as long for millions.
#[derive(Clone, Debug)]
pub(crate) struct Iter<'a> {
    source: &'a Source,
    sites: Option<&'a [Option<SiteId>]>,
    index: usize,
}

impl Iterator for Iter<'_> {
    type Item = Block;

    #[inline]
    fn next(&mut self) -> Option<Block> {
        loop {
            let block = match self.source {
                Source::Traced(blocks) => blocks.get(self.index).map(|block| Block {
                    address: block.address as u64,
                    size: block.size as u64,
                    site: block.site,
                }),
                Source::Loaded(blocks) => blocks.get(self.index).copied(),
            }?;
            self.index += 1;
            match self.sites {
                None => return Some(block),
                Some(sites) => {
                    if let Some(site) = sites[block.site as usize] {
                        return Some(Block { site, ..block });
                    }
                }
            }
        }
    }
}
