//! Events played back, against a model that keeps everything.

use std::collections::BTreeMap;

use heapsight_analysis::{EventLog, Lifetime, Moments, NO_CALLER, Span};
use heapsight_capture::model::{Counters, Domain, SiteId};
use heapsight_capture::{Capture, Header, Writer};
use proptest::collection::vec;
use proptest::prelude::*;

/// Addresses and pages are few, so that events meet.
const PAGES: u64 = 8;
const SITES: u32 = 3;

#[derive(Clone, Copy, Debug)]
enum Event {
    Allocate { address: u64, bytes: u64, site: u32 },
    Free { address: u64 },
    Map { page: u64, pages: u64, site: u32 },
    Unmap { page: u64, pages: u64 },
}

fn event() -> impl Strategy<Value = Event> {
    let run = || (0..PAGES).prop_flat_map(|page| (Just(page), 1..=PAGES - page));
    prop_oneof![
        (0..5_u64, 0..100_u64, 0..SITES).prop_map(|(address, bytes, site)| Event::Allocate {
            address,
            bytes,
            site
        }),
        (0..5_u64).prop_map(|address| Event::Free { address }),
        (run(), 0..SITES).prop_map(|((page, pages), site)| Event::Map { page, pages, site }),
        run().prop_map(|(page, pages)| Event::Unmap { page, pages }),
    ]
}

const PAGE_BYTES: u64 = 64;

/// Everything that is live, block by block and page by page.
#[derive(Clone, Debug, Default)]
struct Model {
    blocks: BTreeMap<u64, (u64, u32)>,
    /// Mapping and site of each page.
    pages: [Option<(usize, u32)>; PAGES as usize],
    mappings: usize,
    counters: [Counters; SITES as usize],
    peak_bytes: u64,
    /// A block's address, or a mapping's number and pages.
    newest: Option<Result<u64, (usize, usize)>>,
}

impl Model {
    fn live(&self) -> Vec<(u64, u64)> {
        let counters = self.counters.iter();
        counters
            .map(|of| (of.live_bytes(), of.live_blocks()))
            .collect()
    }

    fn allocated(&mut self, bytes: u64, site: u32) {
        let counters = &mut self.counters[site as usize];
        counters.allocated_bytes += bytes;
        counters.allocated_blocks += 1;
        let live = self.live();
        let total = live.iter().map(|(bytes, _)| bytes).sum();
        if total >= self.peak_bytes {
            self.peak_bytes = total;
            for (counters, (bytes, blocks)) in self.counters.iter_mut().zip(live) {
                (counters.peak_bytes, counters.peak_blocks) = (bytes, blocks);
            }
        }
    }

    fn freed(&mut self, bytes: u64, blocks: u64, site: u32, temporary: bool) {
        let counters = &mut self.counters[site as usize];
        counters.freed_bytes += bytes;
        counters.freed_blocks += blocks;
        if temporary {
            counters.temporary_bytes += bytes;
            counters.temporary_blocks += blocks;
        }
    }

    fn free(&mut self, address: u64) {
        if let Some((bytes, site)) = self.blocks.remove(&address) {
            self.freed(bytes, 1, site, self.newest == Some(Ok(address)));
        }
    }

    fn unmap(&mut self, page: u64, pages: u64) {
        let mut gone: BTreeMap<usize, (u32, usize)> = BTreeMap::new();
        for page in &mut self.pages[page as usize..(page + pages) as usize] {
            if let Some((mapping, site)) = page.take() {
                gone.entry(mapping).or_insert((site, 0)).1 += 1;
            }
        }
        for (mapping, (site, count)) in gone {
            let is_left = self.pages.iter().flatten().any(|(of, _)| *of == mapping);
            let temporary = self.newest == Some(Err((mapping, count)));
            let bytes = count as u64 * PAGE_BYTES;
            self.freed(bytes, u64::from(!is_left), site, temporary);
        }
    }

    fn play(&mut self, event: Event) {
        match event {
            Event::Allocate {
                address,
                bytes,
                site,
            } => {
                self.newest = None;
                self.free(address);
                self.blocks.insert(address, (bytes, site));
                self.allocated(bytes, site);
                self.newest = Some(Ok(address));
            }
            Event::Free { address } => self.free(address),
            Event::Map { page, pages, site } => {
                self.newest = None;
                self.unmap(page, pages);
                self.mappings += 1;
                for page in &mut self.pages[page as usize..(page + pages) as usize] {
                    *page = Some((self.mappings, site));
                }
                self.allocated(pages * PAGE_BYTES, site);
                self.newest = Some(Err((self.mappings, pages as usize)));
            }
            Event::Unmap { page, pages } => self.unmap(page, pages),
        }
    }
}

/// A log with so many sites, one function each.
fn log() -> (EventLog, Vec<SiteId>) {
    let mut log = EventLog::new();
    let domain = Domain::of_memray(6).expect("malloc");
    let sites = (0..SITES).map(|site| {
        let main = log.call(NO_CALLER, "main", "a.py", 1);
        let node = log.call(main, &format!("f{site}"), "a.py", site);
        log.site(node, domain)
    });
    let sites = sites.collect();
    (log, sites)
}

fn written(log: EventLog, moments: &Moments) -> Vec<u8> {
    let mut file = Vec::new();
    let writer = Writer::create(&mut file, &Header::default()).expect("a Vec");
    log.write(writer, moments, &[], true).expect("a Vec");
    file
}

proptest! {
    #[test]
    fn events_count_as_if_everything_were_kept(events in vec(event(), 0..60)) {
        let (mut log, sites) = log();
        let mut model = Model::default();
        for event in events {
            model.play(event);
            match event {
                Event::Allocate { address, bytes, site } => log.allocate(address, bytes, sites[site as usize]),
                Event::Free { address } => log.free(address),
                Event::Map { page, pages, site } => {
                    log.map(page * PAGE_BYTES, pages * PAGE_BYTES, sites[site as usize]);
                }
                Event::Unmap { page, pages } => log.unmap(page * PAGE_BYTES, pages * PAGE_BYTES),
            }
        }
        let file = written(log, &Moments::default());
        let capture = Capture::read(&file[..]).expect("readable");
        prop_assert_eq!(&capture.tables.counters[..], &model.counters[..]);
        prop_assert_eq!(capture.tables.totals.peak_bytes, model.peak_bytes);
        let live: u64 = model.live().iter().map(|(bytes, _)| bytes).sum();
        prop_assert_eq!(capture.tables.totals.live_bytes, live);
    }
}

#[test]
fn moments_have_what_is_known_of_them() {
    let (mut log, sites) = log();
    let [first, second, _] = sites[..] else {
        panic!("three sites");
    };
    // One block of 10 bytes from before moment 0 to the end, one of 30 between moments 0 and 2, and one of 50 that no moment saw.
    log.allocate(1, 10, first);
    log.allocate(2, 30, second);
    log.allocate(3, 50, second);
    log.free(3);
    log.free(2);
    let lifetime = |first, end, bytes| Lifetime {
        first,
        end,
        blocks: 1,
        bytes,
    };
    log.live(first, lifetime(0, None, 10));
    log.live(second, lifetime(1, Some(2), 30));
    log.at_highest(first, lifetime(0, None, 10));
    log.at_highest(second, lifetime(1, Some(2), 30));
    log.at_highest(second, lifetime(2, Some(3), 80));
    let span = |second: u64, highest_bytes| Span {
        elapsed_ns: second,
        rss_bytes: 1000 * second,
        live_bytes: 7,
        highest_bytes,
    };
    let moments = Moments {
        spans: vec![span(1, 10), span(2, 40), span(3, 90)],
        end_ns: 9,
    };
    let file = written(log, &moments);
    let at = |elapsed_ns| Capture::read_until(&file[..], elapsed_ns).expect("readable");
    let live = |elapsed_ns| {
        let tables = at(elapsed_ns).tables;
        let of = |site: SiteId| tables.counters[site as usize].live_bytes();
        (of(first), of(second), tables.totals.live_bytes)
    };
    assert_eq!(live(1), (10, 0, 10));
    assert_eq!(live(2), (10, 30, 40));
    assert_eq!(live(3), (10, 0, 10));
    let peak = |elapsed_ns| {
        let tables = at(elapsed_ns).tables;
        let of = |site: SiteId| tables.counters[site as usize].peak_bytes;
        (of(first), of(second), tables.totals.peak_bytes)
    };
    assert_eq!(peak(1), (10, 0, 10));
    assert_eq!(peak(2), (10, 30, 40));
    assert_eq!(peak(3), (10, 80, 90));
    let whole = at(u64::MAX);
    assert_eq!(whole.peak(), Some((3, 90)));
    let second = &whole.tables.counters[second as usize];
    assert_eq!((second.allocated_bytes, second.freed_bytes), (80, 80));
    assert_eq!(second.temporary_bytes, 50);
    assert_eq!(whole.timeline.len(), 4);
    assert!(whole.end.is_some());
}

#[test]
fn sums_without_events_are_what_was_held() {
    let (mut log, sites) = log();
    log.hold(sites[0], 10, 1);
    log.hold(sites[1], 20, 2);
    log.hold_at_peak(sites[1], 70, 7);
    log.hold_at_peak(sites[2], 5, 1);
    let moments = Moments {
        spans: vec![Span {
            elapsed_ns: 1,
            rss_bytes: 500,
            live_bytes: 60,
            highest_bytes: 60,
        }],
        end_ns: 2,
    };
    let file = written(log, &moments);
    let capture = Capture::read(&file[..]).expect("readable");
    let figures = capture.tables.counters.iter().map(|of| {
        let live = (of.live_bytes(), of.live_blocks());
        (live, (of.peak_bytes, of.peak_blocks))
    });
    let expected = [((10, 1), (0, 0)), ((20, 2), (70, 7)), ((0, 0), (5, 1))];
    assert_eq!(figures.collect::<Vec<_>>(), expected);
    let totals = capture.tables.totals;
    assert_eq!((totals.live_bytes, totals.peak_bytes), (30, 75));
    assert_eq!(capture.timeline[0].live_bytes, 60);
}
