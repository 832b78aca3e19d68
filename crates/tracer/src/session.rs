//! One period of tracing: the numbers by which everything that remembers something knows whether it still holds.

use std::sync::atomic::{AtomicU64, Ordering};

/// Increases whenever cached call paths may have become wrong for all threads: a code object died, tracing was restarted.
static CACHE_EPOCH: AtomicU64 = AtomicU64::new(1);

/// The epoch that a thread's cache must carry to be used.
#[inline(always)]
pub(crate) fn cache_epoch() -> u64 {
    CACHE_EPOCH.load(Ordering::Relaxed)
}

/// Makes every thread forget its cached call path before it is used next.
pub(crate) fn invalidate_caches() {
    CACHE_EPOCH.fetch_add(1, Ordering::Release);
}
