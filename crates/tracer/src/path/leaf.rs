//! Paths of one frame: from its position straight to the site.

use heapsight_cpython::frame::{self, Position};
use heapsight_cpython::version::Version;

use super::{PathCache, cache_slot};
use crate::interpreter::event::Sharing;
use crate::memory::zeroed::Zeroable;
use crate::session;
use crate::tables::sites;

/// One remembered site of a path of one frame, under the GIL.
#[derive(Clone, Copy)]
pub(super) struct LeafSite {
    position: Position,
    site: u32,
    /// One more than the domain, so that zeroed entries are of none: position 0 may be a frame's (`NO_POSITION`).
    domain_plus_1: u32,
}

const LEAF_SITE_BITS: u32 = 10;

/// How many are remembered.
pub(super) const SITES: usize = 1 << LEAF_SITE_BITS;

#[inline(always)]
fn leaf_slot(domain: u32, position: Position) -> usize {
    let hash = position.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (hash >> (64 - LEAF_SITE_BITS)) as usize ^ domain as usize
}

impl LeafSite {
    /// Of no domain.
    pub(super) const NONE: Self = Self {
        position: 0,
        site: 0,
        domain_plus_1: 0,
    };
}

// SAFETY: integers: all-zero bytes are the value `NONE`.
unsafe impl Zeroable for LeafSite {}

impl PathCache {
    /// The site of `domain` on the call path of the running frame alone. See [`sites::of`] for what the result may be.
    ///
    /// # Safety
    /// As [`Self::current`].
    #[inline(always)]
    pub(crate) unsafe fn leaf_site<V: Version>(
        &mut self,
        thread_state: *const u8,
        sharing: Sharing,
        domain: u32,
    ) -> u32 {
        // From the position straight to the site: neither the step nor the node is waited for.
        if sharing == Sharing::Gil
            && self.epoch == session::cache_epoch()
            && self.thread_state == thread_state
            && !thread_state.is_null()
        {
            // SAFETY: promised by the caller: the running frame is live.
            unsafe {
                if let Some(frame) = frame::current::<V>(thread_state) {
                    let position = frame::position::<V>(frame);
                    let known = self.leaf_sites[leaf_slot(domain, position)];
                    if known.position == position && known.domain_plus_1 == domain + 1 {
                        return known.site;
                    }
                }
            }
        }
        // SAFETY: promised by the caller.
        unsafe { self.new_leaf_site::<V>(thread_state, sharing, domain) }
    }

    #[inline(never)]
    unsafe fn new_leaf_site<V: Version>(
        &mut self,
        thread_state: *const u8,
        sharing: Sharing,
        domain: u32,
    ) -> u32 {
        // SAFETY: promised by the caller: the running frame is live.
        unsafe {
            let node = self.current_leaf::<V>(thread_state, sharing);
            let site = sites::of(node, domain, sharing);
            if sharing == Sharing::Gil
                && site != 0
                && !thread_state.is_null()
                && let Some(frame) = frame::current::<V>(thread_state)
            {
                let position = frame::position::<V>(frame);
                // Else the frame was not shown, or will not always be.
                if self.meanings[cache_slot(position)].position == position {
                    self.leaf_sites[leaf_slot(domain, position)] = LeafSite {
                        position,
                        site,
                        domain_plus_1: domain + 1,
                    };
                    self.has_leaf_sites = true;
                }
            }
            site
        }
    }
}
