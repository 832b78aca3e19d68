//! Events that no hook sees, as while another tool's hooks had taken the place of ours: what is known stays right, and
//! counters and live map agree.

use std::collections::{BTreeMap, HashMap};
use std::sync::PoisonError;

use proptest::prelude::*;

use crate::interpreter::event::Sharing;
use crate::memory::lock;
use crate::model_tests::TURN;
use crate::tables::live_map::{self, Block};
use crate::tables::{sites, totals, tree};

/// Blocks lie side by side in so many granules, so that they come to lie on what is left of others.
const GRANULES: usize = 24;
const GRANULE: usize = 16;
const BASE: usize = 0x7e00_0000_0000;

#[derive(Clone, Copy, Debug)]
struct Step {
    /// Allocate there, if there is room; else free what begins there.
    granule: usize,
    size: usize,
    site: usize,
    is_seen: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![1..=16_usize, 17..=32_usize, 33..=90_usize, Just(28)];
    (0..GRANULES, size, 0..3_usize, prop::bool::weighted(0.6)).prop_map(
        |(granule, size, site, is_seen)| Step {
            granule,
            size,
            site,
            is_seen,
        },
    )
}

fn end(address: usize) {
    if let Some(block) = live_map::remove(address) {
        sites::freed(block.site, address, block.size as u64, 1);
    }
}

fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    crate::hooks::install::forget_all();
    prop_assert!(tree::init(&mut lock::hold()));
    let made: Vec<u32> = (0..3)
        .map(|code| sites::of(tree::child(tree::ROOT, code, 2 * code), 2, Sharing::Gil))
        .collect();
    // What the allocator knows: size in granules, and what a hook saw of the block.
    let mut live: BTreeMap<usize, (usize, Option<Block>)> = BTreeMap::new();
    for step in steps {
        let address = BASE + step.granule * GRANULE;
        if live.remove(&step.granule).is_some() {
            if step.is_seen {
                end(address);
            }
        } else {
            let length = step.size.div_ceil(GRANULE);
            let is_free = |(&start, &(taken, _)): (&usize, &(usize, Option<Block>))| {
                start + taken <= step.granule || step.granule + length <= start
            };
            if !live.iter().all(is_free) {
                continue;
            }
            let block = Block {
                site: made[step.site],
                size: step.size,
            };
            live.insert(step.granule, (length, step.is_seen.then_some(block)));
            if step.is_seen {
                prop_assert!(live_map::insert(address, block));
                sites::allocated(block.site, address, block.size as u64, 1);
            }
        }
        for (granule, (_, known)) in &live {
            if known.is_some() {
                prop_assert_eq!(live_map::get(BASE + granule * GRANULE), *known);
            }
        }
        let mut sums: HashMap<u32, (u64, u64)> = HashMap::new();
        live_map::for_each(|_, block| {
            let sum = sums.entry(block.site).or_default();
            *sum = (sum.0 + block.size as u64, sum.1 + 1);
        });
        for &site in &made {
            let counters = sites::counters(site, totals::epoch(), totals::at_peak());
            let counted = (counters.live_bytes(), counters.live_blocks());
            prop_assert_eq!(counted, sums.get(&site).copied().unwrap_or_default());
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_was_seen_stays_known_and_counted(steps in proptest::collection::vec(step(), 1..120)) {
        run(&steps)?;
    }
}
