//! Sites whose figures in the file are out of date, in the order in which they became so.
//!
//! A site waits once, however often it changes meanwhile. The recorder takes as many from here as a tick has time for.

use std::collections::VecDeque;

/// Site numbers are the tracer's.
#[derive(Default)]
pub(super) struct Backlog {
    /// By site: [`WAITING`], [`APART`].
    flags: Vec<u8>,
    /// Those that are to be taken now, whatever else waits.
    now: Batch,
    /// The others, longest waiting first.
    later: VecDeque<Batch>,
    /// Sites with [`APART`].
    apart: Vec<u32>,
}

/// Sites that became out of date in one tick.
#[derive(Default)]
struct Batch {
    /// Since when: the file has all that happened on them before, in nanoseconds since the start of tracing.
    since_ns: u64,
    /// Those to be taken next last.
    sites: Vec<u32>,
}

/// It is in a batch.
const WAITING: u8 = 1;
/// In the file its figures at the peak are not its live ones: at a new peak they change though nothing happens on the site.
const APART: u8 = 2;

/// So many that changed most are taken at once, in every tick.
const MOST: usize = if cfg!(test) { 4 } else { 256 };

impl Backlog {
    /// Adds `sites`, of which the file has all that happened before `since_ns`. Those that wait already, or are named twice, are not added
    /// again. If they are many, only those for which `change` is highest are to be taken at once.
    pub(super) fn add(&mut self, since_ns: u64, sites: &[u32], change: impl Fn(u32) -> u64) {
        let fresh = self.not_waiting(sites.iter().copied());
        let is_short = fresh.len() <= 2 * MOST && self.later.is_empty();
        if is_short || fresh.len() <= MOST {
            self.add_now(since_ns, fresh);
            return;
        }
        let mut by_change: Vec<(u64, u32)> =
            fresh.iter().map(|&site| (change(site), site)).collect();
        by_change.select_nth_unstable_by(MOST, |a, b| b.cmp(a));
        let mut most: Vec<u32> = by_change[..MOST].iter().map(|&(_, site)| site).collect();
        most.sort_unstable_by(|a, b| b.cmp(a));
        let is_other = |site: &u32| most.binary_search_by(|most| site.cmp(most)).is_err();
        let others = fresh.into_iter().filter(is_other).collect();
        self.later.push_back(Batch {
            since_ns,
            sites: others,
        });
        self.add_now(since_ns, most);
    }

    /// Puts back what was taken and could not be written; the file has all that happened on it before `since_ns`.
    pub(super) fn put_back(&mut self, since_ns: u64, sites: impl IntoIterator<Item = u32>) {
        let sites = self.not_waiting(sites);
        if !sites.is_empty() {
            self.later.push_front(Batch { since_ns, sites });
        }
    }

    fn add_now(&mut self, since_ns: u64, sites: Vec<u32>) {
        if self.now.sites.is_empty() {
            self.now = Batch { since_ns, sites };
        } else {
            self.now.since_ns = self.now.since_ns.min(since_ns);
            self.now.sites.extend(sites);
        }
    }

    /// Each of `sites` that does not wait yet, which it does from now on. In falling order: they are taken in that in which the tracer has
    /// them in memory.
    fn not_waiting(&mut self, sites: impl IntoIterator<Item = u32>) -> Vec<u32> {
        let mut fresh: Vec<u32> = Vec::new();
        for site in sites {
            if !self.has(site, WAITING) {
                self.set(site, WAITING);
                fresh.push(site);
            }
        }
        fresh.sort_unstable_by(|a, b| b.cmp(a));
        fresh
    }

    /// Takes up to `count` sites of those that are to be taken now into `sites`.
    pub(super) fn take_now(&mut self, count: usize, sites: &mut Vec<u32>) {
        self.now.take(count, sites);
        self.wait_no_more(sites);
    }

    /// Takes up to `count` sites that wait longest into `sites`, all of one batch.
    pub(super) fn take(&mut self, count: usize, sites: &mut Vec<u32>) {
        sites.clear();
        if let Some(batch) = self.later.front_mut() {
            batch.take(count, sites);
            if batch.sites.is_empty() {
                self.later.pop_front();
            }
        }
        self.wait_no_more(sites);
    }

    fn wait_no_more(&mut self, sites: &[u32]) {
        for &site in sites {
            self.flags[site as usize] &= !WAITING;
        }
    }

    /// How many sites [`Self::take`] has to give in this tick, so that none waits for longer than `longest_ns`. `tick_ns` is the time
    /// to the next one.
    pub(super) fn due(&self, now_ns: u64, longest_ns: u64, tick_ns: u64) -> usize {
        let left_ns = |batch: &Batch| (batch.since_ns + longest_ns).saturating_sub(now_ns);
        let overdue = self
            .later
            .iter()
            .take_while(|batch| left_ns(batch) < 2 * tick_ns);
        let overdue: usize = overdue.map(|batch| batch.sites.len()).sum();
        // The one that is next in turn is spread over the time that it has.
        let next = self.later.front().map_or(0, |batch| {
            let ticks = (left_ns(batch) / tick_ns.max(1)).max(1);
            batch
                .sites
                .len()
                .div_ceil(usize::try_from(ticks).unwrap_or(usize::MAX))
        });
        overdue.max(next)
    }

    /// Until when the file knows all sites, as far as those are concerned that wait; `None` when none does.
    pub(super) fn known_until_ns(&self) -> Option<u64> {
        let batches = self.later.iter().chain([&self.now]);
        batches
            .filter(|batch| !batch.sites.is_empty())
            .map(|batch| batch.since_ns)
            .min()
    }

    /// The file has the site's figures; are those at the peak others than the live ones?
    pub(super) fn is_written(&mut self, site: u32, is_apart: bool) {
        if is_apart && !self.has(site, APART) {
            self.set(site, APART);
            self.apart.push(site);
        }
    }

    /// There is a new peak: moves the sites whose figures may have changed by it alone to `sites`.
    pub(super) fn take_apart(&mut self, sites: &mut Vec<u32>) {
        for &site in &self.apart {
            self.flags[site as usize] &= !APART;
        }
        sites.append(&mut self.apart);
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn held_bytes(&self) -> usize {
        let batches = self.later.iter().chain([&self.now]);
        let listed: usize = batches.map(|batch| batch.sites.capacity()).sum();
        self.flags.capacity() + (self.apart.capacity() + listed) * size_of::<u32>()
    }

    fn has(&self, site: u32, flag: u8) -> bool {
        self.flags
            .get(site as usize)
            .is_some_and(|flags| flags & flag != 0)
    }

    fn set(&mut self, site: u32, flag: u8) {
        let index = site as usize;
        if index >= self.flags.len() {
            self.flags.resize(index + 1, 0);
        }
        self.flags[index] |= flag;
    }
}

impl Batch {
    fn take(&mut self, count: usize, sites: &mut Vec<u32>) {
        sites.clear();
        let left = self.sites.len().saturating_sub(count);
        sites.extend(self.sites.drain(left..).rev());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(backlog: &mut Backlog, count: usize) -> Vec<u32> {
        let mut sites = Vec::new();
        backlog.take_now(count, &mut sites);
        if sites.is_empty() {
            backlog.take(count, &mut sites);
        }
        sites
    }

    #[test]
    fn few_sites_are_taken_at_once_and_in_order() {
        let mut backlog = Backlog::default();
        backlog.add(5, &[7, 3, 9, 3], |_| 0);
        assert_eq!(backlog.known_until_ns(), Some(5));
        let mut sites = Vec::new();
        backlog.take_now(10, &mut sites);
        assert_eq!(sites, [3, 7, 9]);
        assert_eq!(backlog.known_until_ns(), None);
    }

    #[test]
    fn of_many_sites_those_that_changed_most_come_first() {
        let mut backlog = Backlog::default();
        let all: Vec<u32> = (1..=5_000).collect();
        backlog.add(5, &all, |site| u64::from(site % 1_000));
        let first = taken(&mut backlog, usize::MAX);
        assert_eq!(first.len(), MOST);
        assert!(first.iter().all(|site| site % 1_000 > 900), "{first:?}");
        let mut rest = taken(&mut backlog, 3_000);
        assert_eq!(rest.len(), 3_000);
        rest.extend(taken(&mut backlog, 3_000));
        rest.extend(first);
        rest.sort_unstable();
        assert_eq!(rest, all);
    }

    #[test]
    fn a_site_waits_once_since_it_first_became_out_of_date() {
        let mut backlog = Backlog::default();
        let many: Vec<u32> = (1..=5_000).collect();
        backlog.add(5, &many, |_| 0);
        backlog.take_now(usize::MAX, &mut Vec::new());
        let waiting = 5_000 - MOST;
        backlog.add(6, &many, |_| 0);
        assert_eq!(taken(&mut backlog, usize::MAX).len(), MOST, "new ones");
        assert_eq!(backlog.known_until_ns(), Some(5));
        assert_eq!(taken(&mut backlog, usize::MAX).len(), waiting);
        assert_eq!(backlog.known_until_ns(), None);
    }

    #[test]
    fn what_could_not_be_written_comes_first_again() {
        let mut backlog = Backlog::default();
        backlog.add(5, &[1, 2, 3], |_| 0);
        let sites = taken(&mut backlog, 2);
        backlog.add(6, &[2], |_| 0);
        backlog.put_back(5, sites);
        assert_eq!(backlog.known_until_ns(), Some(5));
        let mut all = taken(&mut backlog, 9);
        all.extend(taken(&mut backlog, 9));
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
    }

    #[test]
    fn a_batch_is_spread_over_the_time_that_it_has() {
        const TICK: u64 = 100;
        let mut backlog = Backlog::default();
        let many: Vec<u32> = (1..=10_256).collect();
        backlog.add(0, &many, |_| 0);
        backlog.take_now(usize::MAX, &mut Vec::new());
        let mut sites = Vec::new();
        let mut largest = 0;
        for tick in 1.. {
            let due = backlog.due(tick * TICK, 15 * TICK, TICK);
            largest = largest.max(due);
            if due == 0 {
                assert!(tick <= 15, "{tick}");
                break;
            }
            backlog.take(due, &mut sites);
        }
        assert_eq!(backlog.known_until_ns(), None);
        assert!(largest < 1_500, "{largest}");
    }

    #[test]
    fn a_new_peak_asks_for_the_sites_whose_peak_is_not_what_they_have() {
        let mut backlog = Backlog::default();
        backlog.is_written(4, true);
        backlog.is_written(4, true);
        backlog.is_written(5, false);
        let mut sites = vec![1];
        backlog.take_apart(&mut sites);
        assert_eq!(sites, [1, 4]);
        backlog.take_apart(&mut sites);
        assert_eq!(sites, [1, 4]);
    }
}
