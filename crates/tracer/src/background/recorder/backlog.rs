//! Sites whose counters in the file are out of date.
//!
//! A *hand* moves round over these sites in the order in which the tracer stores them. Each tick, the recorder writes
//! as many sites from the hand on as it has time for. A site that changes several times before the hand reaches it is
//! written once. How far the file lags behind is the time since the hand was last at its present place.

use std::collections::VecDeque;

use super::bits::Bits;

/// Site numbers are the tracer's.
pub(super) struct Backlog {
    /// Sites whose figures in the file are out of date.
    waiting: Bits,
    /// Those among them that are to be taken now, wherever the hand is.
    now: Vec<u32>,
    /// Sites whose figures at the peak are, in the file, not their live ones: at a new peak they change though nothing
    /// happens on them.
    apart: Bits,
    /// The site that the hand comes to next.
    hand: u32,
    /// What the hand has passed, longest ago first: from this site on, up to that of the next one, the file has all
    /// that happened before that time. The first begins where the hand is.
    passed: VecDeque<(u32, u64)>,
}

/// So many that changed most are taken at once, in every tick.
const MOST: usize = if cfg!(test) { 4 } else { 256 };

/// So few are taken all at once.
const FEW: usize = 2 * MOST;

impl Default for Backlog {
    fn default() -> Self {
        Self {
            waiting: Bits::default(),
            now: Vec::new(),
            apart: Bits::default(),
            hand: 0,
            passed: VecDeque::from([(0, 0)]),
        }
    }
}

impl Backlog {
    /// The figures of `site` have changed.
    pub(super) fn add(&mut self, site: u32) {
        self.waiting.insert(site);
    }

    /// The figures of all sites before `end` may have changed.
    pub(super) fn add_all_before(&mut self, end: u32) {
        self.waiting.insert_all_before(end);
    }

    /// Are so many waiting that not all may be taken at once?
    pub(super) fn is_long(&self) -> bool {
        self.waiting.len() > FEW
    }

    /// Has those of `sites` taken at once for which `change` is highest.
    pub(super) fn prefer(&mut self, sites: &[u32], change: impl Fn(u32) -> u64) {
        let mut by_change: Vec<(u64, u32)> =
            sites.iter().map(|&site| (change(site), site)).collect();
        if by_change.len() > MOST {
            by_change.select_nth_unstable_by(MOST, |a, b| b.cmp(a));
            by_change.truncate(MOST);
        }
        self.now.extend(by_change.into_iter().map(|(_, site)| site));
        self.now.sort_unstable();
    }

    /// Takes up to `count` of those that are preferred into `sites`.
    pub(super) fn take_preferred(&mut self, count: usize, sites: &mut Vec<u32>) {
        sites.clear();
        let taken = self.now.drain(..count.min(self.now.len()));
        // One that was named twice waits once.
        sites.extend(taken.filter(|&site| self.waiting.remove(site)));
    }

    /// Takes up to `count` sites from where the hand is into `sites`. The file will have all that happened on them
    /// before `known_ns`.
    pub(super) fn take(&mut self, count: usize, known_ns: u64, sites: &mut Vec<u32>) {
        sites.clear();
        while sites.len() < count && self.waiting.len() > 0 {
            let mut hand = self.hand;
            while sites.len() < count
                && let Some(site) = self.waiting.next(hand)
            {
                self.waiting.remove(site);
                sites.push(site);
                hand = site + 1;
            }
            self.pass(hand, known_ns);
            self.pass_up_to_date(known_ns);
        }
        if self.waiting.len() == 0 {
            self.begin_round(known_ns);
        }
    }

    /// The hand goes on to the next site that waits.
    fn pass_up_to_date(&mut self, known_ns: u64) {
        if self.waiting.next(self.hand).is_none() {
            self.pass(u32::MAX, known_ns);
            self.hand = 0;
        }
        if let Some(site) = self.waiting.next(self.hand) {
            self.pass(site, known_ns);
        }
    }

    /// Nothing waits: a round begins at the first site.
    fn begin_round(&mut self, known_ns: u64) {
        self.hand = 0;
        self.passed = VecDeque::from([(0, known_ns)]);
    }

    /// The hand goes on to `end`.
    fn pass(&mut self, end: u32, known_ns: u64) {
        if end == self.hand {
            return;
        }
        let mut before = known_ns;
        while let Some(&(from, known)) = self.passed.front()
            && (self.hand..end).contains(&from)
        {
            before = known;
            self.passed.pop_front();
        }
        let is_next = self.passed.front().is_some_and(|&(from, _)| from == end);
        if !is_next && end < u32::MAX {
            self.passed.push_front((end, before));
        }
        if self
            .passed
            .back()
            .is_none_or(|&(_, known)| known != known_ns)
            || self.hand == 0
        {
            self.passed.push_back((self.hand, known_ns));
        }
        self.hand = end;
    }

    /// How many sites [`Self::take`] has to give in this tick so that none waits until the file lags more than
    /// `longest_ns`: those that the hand comes to first have waited longest. `tick_ns` is the time to the next tick.
    pub(super) fn due(&self, now_ns: u64, longest_ns: u64, tick_ns: u64) -> usize {
        if !self.is_long() {
            return self.waiting.len();
        }
        let ends = self.passed.iter().skip(1).map(|&(from, _)| from);
        let mut waiting = 0;
        let mut due = 0;
        for (&(from, known), end) in self.passed.iter().zip(ends.chain([self.hand])) {
            waiting += match from < end {
                true => self.waiting.len_between(from, end),
                // Past the last site, and on from the first one.
                false => {
                    self.waiting.len_between(from, u32::MAX) + self.waiting.len_between(0, end)
                }
            };
            let ticks = (known + longest_ns).saturating_sub(now_ns) / tick_ns.max(1);
            let ticks = usize::try_from(ticks).unwrap_or(usize::MAX);
            due = due.max(waiting.div_ceil(ticks.max(1)));
        }
        due
    }

    /// Until when the file has all that happened on every site, if it has all from before `known_ns` of those that do
    /// not wait.
    pub(super) fn known_until_ns(&self, known_ns: u64) -> u64 {
        if self.waiting.len() == 0 {
            return known_ns;
        }
        let passed = self.passed.iter().map(|&(_, known)| known);
        passed.min().unwrap_or(0).min(known_ns)
    }

    /// What was taken could not be written: all of it waits again. The file has all that happened before `known_ns`.
    pub(super) fn requeue(&mut self, known_ns: u64, sites: impl IntoIterator<Item = u32>) {
        for site in sites {
            self.waiting.insert(site);
        }
        for (_, known) in &mut self.passed {
            *known = known_ns.min(*known);
        }
    }

    /// The file has the site's figures; are those at the peak others than the live ones?
    pub(super) fn is_written(&mut self, site: u32, is_apart: bool) {
        if is_apart {
            self.apart.insert(site);
        }
    }

    /// There is a new peak: the figures of sites on which nothing happened may have changed by it.
    pub(super) fn add_apart(&mut self) {
        self.waiting.insert_all_of(&self.apart);
        self.apart.clear();
    }

    /// Forgets all, as the tables were emptied. The file has all that happened before `known_ns`.
    pub(super) fn clear(&mut self, known_ns: u64) {
        *self = Self::default();
        self.begin_round(known_ns);
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.waiting.held_bytes()
            + self.apart.held_bytes()
            + self.now.capacity() * size_of::<u32>()
            + self.passed.capacity() * size_of::<(u32, u64)>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const LONGEST: u64 = 1000;
    const TICK: u64 = 100;

    fn of(sites: impl IntoIterator<Item = u32>) -> Backlog {
        let mut backlog = Backlog::default();
        sites.into_iter().for_each(|site| backlog.add(site));
        backlog
    }

    fn taken(backlog: &mut Backlog, count: usize, known_ns: u64) -> Vec<u32> {
        let mut sites = Vec::new();
        backlog.take(count, known_ns, &mut sites);
        sites
    }

    #[test]
    fn few_sites_are_all_due_and_come_in_order() {
        let mut backlog = of([7, 3, 5, 3]);
        assert_eq!(backlog.known_until_ns(50), 0);
        let due = backlog.due(50, LONGEST, TICK);
        assert_eq!(taken(&mut backlog, due, 50), [3, 5, 7]);
        assert_eq!(backlog.known_until_ns(50), 50);
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes too long")]
    fn of_many_sites_those_that_changed_most_can_be_preferred() {
        let mut backlog = of(1..=5_000);
        let listed: Vec<u32> = (1..=5_000).collect();
        backlog.prefer(&listed, |site| u64::from(site % 1_000));
        let mut first = Vec::new();
        backlog.take_preferred(usize::MAX, &mut first);
        assert_eq!(first.len(), MOST);
        assert!(first.iter().all(|site| site % 1_000 > 900), "{first:?}");
        let mut all = taken(&mut backlog, 10_000, 1);
        all.extend(first);
        all.sort_unstable();
        assert_eq!(all, listed);
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes too long")]
    fn sites_are_taken_no_sooner_than_they_have_to() {
        let mut backlog = Backlog::default();
        let mut taken_in_all = 0;
        for tick in 1..=100_u64 {
            (0..10_000).for_each(|site| backlog.add(site));
            let due = backlog.due(tick * TICK, LONGEST, TICK);
            taken_in_all += taken(&mut backlog, due, tick * TICK).len();
        }
        // Each once in the ten ticks that it may wait, but for the beginning.
        assert!((90_000..=112_000).contains(&taken_in_all), "{taken_in_all}");
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes too long")]
    fn a_round_is_spread_over_its_time_and_the_file_lags_no_more_than_that() {
        let mut backlog = Backlog::default();
        let mut largest = 0;
        // All of them change before each tick.
        for tick in 0..60_u64 {
            (0..10_000).for_each(|site| backlog.add(site));
            let now = tick * TICK;
            let due = backlog.due(now, LONGEST, TICK);
            largest = largest.max(due);
            assert!(taken(&mut backlog, due, now).len() <= due);
            let lag = now - backlog.known_until_ns(now);
            assert!(lag <= LONGEST + TICK, "{lag} at {tick}");
        }
        assert!(largest <= 1_500, "{largest}");
    }

    #[test]
    fn a_site_that_changes_again_behind_the_hand_waits_for_the_next_round() {
        let mut backlog = of(0..100);
        assert_eq!(taken(&mut backlog, 50, 10).len(), 50);
        backlog.add(3);
        assert_eq!(taken(&mut backlog, 10, 20), (50..60).collect::<Vec<_>>());
        assert_eq!(backlog.known_until_ns(20), 0, "60 to 99 still wait");
        assert_eq!(taken(&mut backlog, 40, 30).last(), Some(&99));
        assert_eq!(backlog.known_until_ns(30), 10, "3 was told at 10");
        assert_eq!(taken(&mut backlog, 40, 40), [3]);
        assert_eq!(backlog.known_until_ns(40), 40);
    }

    #[test]
    fn what_could_not_be_written_waits_as_if_it_had_not_been_taken() {
        let mut backlog = of(0..100);
        let sites = taken(&mut backlog, 100, 10);
        backlog.requeue(0, sites);
        assert_eq!(backlog.known_until_ns(20), 0);
        assert_eq!(taken(&mut backlog, 1000, 20).len(), 100);
        assert_eq!(backlog.known_until_ns(20), 20);
    }

    #[test]
    fn a_new_peak_asks_for_the_sites_whose_peak_is_not_what_they_have() {
        let mut backlog = Backlog::default();
        backlog.is_written(4, true);
        backlog.is_written(5, false);
        backlog.add_apart();
        assert_eq!(taken(&mut backlog, 9, 1), [4]);
        backlog.add_apart();
        assert_eq!(taken(&mut backlog, 9, 2), []);
    }

    proptest! {
        /// Against a list of when each site became out of date.
        #[test]
        fn the_file_never_lags_more_than_is_told(
            steps in prop::collection::vec((prop::collection::vec(0..40_u32, 0..12), 0..12_usize), 1..80),
        ) {
            let mut backlog = Backlog::default();
            let mut since: BTreeMap<u32, u64> = BTreeMap::new();
            let mut known = 0;
            for (now, (changed, count)) in (1..).zip(steps) {
                for site in changed {
                    backlog.add(site);
                    since.entry(site).or_insert(known);
                }
                known = now;
                let mut sites = Vec::new();
                backlog.take(count, known, &mut sites);
                for site in sites {
                    prop_assert!(since.remove(&site).is_some());
                }
                let truly = since.values().min().copied().unwrap_or(known);
                let told = backlog.known_until_ns(known);
                prop_assert!(told <= truly, "{} told, {} true", told, truly);
                if since.is_empty() {
                    prop_assert_eq!(told, known);
                }
            }
        }
    }
}
