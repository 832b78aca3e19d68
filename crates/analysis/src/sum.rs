//! A sum that remembers its largest part.

use heapsight_capture::model::SiteId;

use crate::amount::Amount;

/// The memory of several sites, and which of them has most.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub amount: Amount,
    /// The site with most bytes, and its amount. `None` when there is no memory.
    pub heaviest: Option<(SiteId, Amount)>,
}

impl Sum {
    pub(crate) fn add_site(&mut self, site: SiteId, amount: Amount) {
        if !amount.is_zero() {
            self.add_sum(&Self {
                amount,
                heaviest: Some((site, amount)),
            });
        }
    }

    pub(crate) fn add_sum(&mut self, other: &Self) {
        self.amount += other.amount;
        let is_heavier = match (self.heaviest, other.heaviest) {
            (Some((_, mine)), Some((_, theirs))) => theirs.bytes > mine.bytes,
            (mine, _) => mine.is_none(),
        };
        if is_heavier {
            self.heaviest = other.heaviest;
        }
    }
}
