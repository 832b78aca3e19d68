//! Traced bytes of the events that run side by side: raw domain, free-threaded builds, interpreters with their own GIL.
//!
//! If all threads changed one word, it would travel from core to core with every event, and the exact peak would depend
//! on it. So each thread counts in its own *shard* and has an *allowance*: bytes that it may have live there without
//! asking. As long as all allowances together stay below the peak, no thread within its own allowance can reach a new
//! peak. A thread that needs more computes the sum under the lock, checks whether that is a new peak, and gets the room
//! that is left, if necessary from what other threads do not use.
//!
//! While only one thread has such events, they are counted in one common word.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};

use crate::memory::lock::Held;

const SHARDS: usize = 8;

/// On cache lines of its own: processors fetch them in pairs.
#[repr(align(128))]
struct Shard {
    /// Bytes allocated less bytes freed here. Negative where blocks of other shards are freed.
    live: AtomicI64,
    /// What `live` may be at most; changed under the lock.
    allowance: AtomicI64,
}

/// Read by all, written when a shard's allowance changes.
#[repr(align(128))]
struct Common {
    divided: AtomicBool,
    /// Threads that had such an event.
    threads: AtomicU32,
    /// Bytes live by events before it was divided.
    undivided: AtomicI64,
    /// The sum of all allowances.
    allowances: AtomicI64,
}

static SHARED: [Shard; SHARDS] = [const {
    Shard {
        live: AtomicI64::new(0),
        allowance: AtomicI64::new(0),
    }
}; SHARDS];

static COMMON: Common = Common {
    divided: AtomicBool::new(false),
    threads: AtomicU32::new(0),
    undivided: AtomicI64::new(0),
    allowances: AtomicI64::new(0),
};

/// The shard of one more thread.
#[cold]
pub(crate) fn new_shard() -> u8 {
    let before = COMMON.threads.fetch_add(1, Ordering::Relaxed) as usize;
    if before > 0 {
        COMMON.divided.store(true, Ordering::Relaxed);
    }
    (before % SHARDS) as u8
}

/// Do several threads have such events?
#[inline(always)]
pub(crate) fn is_divided() -> bool {
    COMMON.divided.load(Ordering::Relaxed)
}

/// At least as much as [`exact`], and quick to tell.
#[inline(always)]
pub(crate) fn at_most() -> i64 {
    COMMON.undivided.load(Ordering::Relaxed) + COMMON.allowances.load(Ordering::Relaxed)
}

/// The sum. Events that run meanwhile may or may not be in it.
pub(crate) fn exact() -> i64 {
    let undivided = COMMON.undivided.load(Ordering::Relaxed);
    if !is_divided() {
        return undivided;
    }
    // One look after the other could see an allocation and not the free before it. When two rounds agree, it was one
    // moment.
    let mut last = lives();
    for _ in 0..4 {
        let again = lives();
        if again == last {
            break;
        }
        last = again;
    }
    undivided + last.iter().sum::<i64>()
}

fn lives() -> [i64; SHARDS] {
    std::array::from_fn(|shard| SHARED[shard].live.load(Ordering::Acquire))
}

/// Adds to the one common word, while it is not divided. Gives the sum.
#[inline(always)]
pub(crate) fn add_undivided(bytes: i64) -> i64 {
    COMMON.undivided.fetch_add(bytes, Ordering::Relaxed) + bytes
}

/// Adds to a shard. False when it has more than its allowance now: [`allow`] is to be called.
#[inline(always)]
pub(crate) fn add(shard: u8, bytes: i64) -> bool {
    let shard = &SHARED[shard as usize % SHARDS];
    // A full barrier between the two, here and in `take_back`: one of the two sides sees the other.
    let live = shard.live.fetch_add(bytes, Ordering::SeqCst) + bytes;
    live <= shard.allowance.load(Ordering::SeqCst)
}

/// Takes from a shard.
#[inline(always)]
pub(crate) fn subtract(shard: u8, bytes: i64) {
    SHARED[shard as usize % SHARDS]
        .live
        .fetch_sub(bytes, Ordering::Relaxed);
}

/// Gives `shard` the allowance that it needs, and half of the room that is left, so that all together stay within
/// `ceiling`.
pub(crate) fn allow(held: &mut Held, shard: u8, ceiling: i64) {
    let index = shard as usize % SHARDS;
    let own = &SHARED[index];
    let needed = own.live.load(Ordering::SeqCst) - own.allowance.load(Ordering::Relaxed);
    if needed <= 0 {
        return;
    }
    let mut room = ceiling - at_most();
    if room < needed {
        take_back(held, Some(index));
        room = ceiling - at_most();
    }
    let more = needed + (room - needed).max(0) / 2;
    own.allowance.fetch_add(more, Ordering::SeqCst);
    COMMON.allowances.fetch_add(more, Ordering::Relaxed);
}

/// Takes from all shards but `spared` what they do not use.
pub(crate) fn take_back(_held: &mut Held, spared: Option<usize>) {
    for (index, shard) in SHARED.iter().enumerate() {
        if Some(index) == spared {
            continue;
        }
        let used = shard.live.load(Ordering::SeqCst);
        let before = shard.allowance.swap(used, Ordering::SeqCst);
        COMMON
            .allowances
            .fetch_add(used - before, Ordering::Relaxed);
    }
}

/// Sets the sum to zero.
pub(crate) fn reset() {
    COMMON.undivided.store(0, Ordering::Relaxed);
    COMMON.allowances.store(0, Ordering::Relaxed);
    for shard in &SHARED {
        shard.live.store(0, Ordering::Relaxed);
        shard.allowance.store(0, Ordering::Relaxed);
    }
}
