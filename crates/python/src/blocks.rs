//! The live blocks of a snapshot: addresses, sizes, and where each was allocated.

use std::sync::Arc;

use heapsight_capture::Block;
use heapsight_capture::model::SiteId;
use heapsight_tracer::LiveBlocks;

/// Blocks as they were when the snapshot was taken, shared by everything made from it, with what became of their sites since.
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
    pub(crate) fn loaded(blocks: Vec<Block>) -> Self {
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

    /// At most this many blocks.
    pub(crate) fn len_limit(&self) -> usize {
        match &*self.source {
            Source::Traced(blocks) => blocks.len(),
            Source::Loaded(blocks) => blocks.len(),
        }
    }

    /// The blocks that are there, by present site.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Block> + '_ {
        let (traced, loaded) = match &*self.source {
            Source::Traced(blocks) => (Some(blocks), None),
            Source::Loaded(blocks) => (None, Some(blocks)),
        };
        let traced = traced
            .into_iter()
            .flat_map(LiveBlocks::iter)
            .map(|block| Block {
                address: block.address as u64,
                size: block.size as u64,
                site: block.site,
            });
        let all = traced.chain(loaded.into_iter().flatten().copied());
        all.filter_map(|block| match &self.sites {
            None => Some(block),
            Some(sites) => sites[block.site as usize].map(|site| Block { site, ..block }),
        })
    }

    /// (address, size) of every block, by address.
    pub(crate) fn by_address(&self) -> Vec<(u64, u64)> {
        let mut blocks: Vec<(u64, u64)> = Vec::with_capacity(self.len_limit());
        blocks.extend(self.iter().map(|block| (block.address, block.size)));
        blocks.sort_unstable();
        blocks
    }
}
