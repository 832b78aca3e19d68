//! Events played back, against a model that keeps everything.

use std::collections::BTreeMap;

use heapsight_analysis::{EventLog, NO_CALLER};
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
        self.see_peak();
    }

    fn see_peak(&mut self) {
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
        if bytes == 0 {
            self.see_peak();
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

/// A log that writes to `file`, with so many sites, one function each.
fn log(file: &mut Vec<u8>) -> (EventLog<&mut Vec<u8>>, Vec<SiteId>) {
    let mut log = EventLog::new(Writer::create(file, &Header::default()).expect("a Vec"));
    let domain = Domain::of_memray(6).expect("malloc");
    let main = log.code("main", "a.py", 1);
    let main = log.call(NO_CALLER, main, 1);
    let sites = (0..SITES).map(|site| {
        let code = log.code(&format!("f{site}"), "a.py", 10 * site);
        let node = log.call(main, code, 10 * site + 1);
        log.site(node, domain)
    });
    let sites = sites.collect();
    (log, sites)
}

fn play(log: &mut EventLog<&mut Vec<u8>>, sites: &[SiteId], event: Event) {
    match event {
        Event::Allocate {
            address,
            bytes,
            site,
        } => log.allocate(address, bytes, sites[site as usize]),
        Event::Free { address } => log.free(address),
        Event::Map { page, pages, site } => {
            log.map(page * PAGE_BYTES, pages * PAGE_BYTES, sites[site as usize]);
        }
        Event::Unmap { page, pages } => log.unmap(page * PAGE_BYTES, pages * PAGE_BYTES),
    }
}

proptest! {
    /// Every tick has what a model that keeps everything has at that moment: what came, went, is live, and was at the
    /// peak so far.
    #[test]
    fn at_every_tick_events_count_as_if_everything_were_kept(
        spans in vec(vec(event(), 0..20), 1..6),
    ) {
        let mut file = Vec::new();
        let (mut log, sites) = log(&mut file);
        let mut model = Model::default();
        let mut at_ticks = Vec::new();
        for (elapsed_ns, events) in (1..).zip(spans) {
            for event in events {
                model.play(event);
                play(&mut log, &sites, event);
            }
            log.tick(elapsed_ns, 1000 * elapsed_ns).expect("a Vec");
            at_ticks.push(model.clone());
        }
        log.finish(at_ticks.len() as u64).expect("a Vec");
        for (elapsed_ns, model) in (1..).zip(&at_ticks) {
            let capture = Capture::read_until(&file[..], elapsed_ns).expect("readable");
            prop_assert_eq!(&capture.tables.counters[..], &model.counters[..], "{}", elapsed_ns);
            let totals = capture.tables.totals;
            prop_assert_eq!(totals.peak_bytes, model.peak_bytes);
            let live: u64 = model.live().iter().map(|(bytes, _)| bytes).sum();
            prop_assert_eq!(totals.live_bytes, live);
            let point = capture.timeline.last().expect("a tick");
            prop_assert_eq!(point.rss_bytes, 1000 * elapsed_ns);
        }
        prop_assert!(Capture::read(&file[..]).expect("readable").end.is_some());
    }
}

#[test]
fn a_recording_without_an_end_is_readable_up_to_its_last_tick() {
    let mut file = Vec::new();
    let (mut log, sites) = log(&mut file);
    log.allocate(1, 10, sites[0]);
    log.tick(5, 0).expect("a Vec");
    log.allocate(2, 10, sites[0]);
    drop(log);
    let capture = Capture::read(&file[..]).expect("readable");
    assert_eq!(capture.tables.totals.live_bytes, 10);
    assert!(capture.end.is_none());
}

#[test]
fn sums_without_events_are_what_was_held() {
    let mut file = Vec::new();
    let (mut log, sites) = log(&mut file);
    log.hold(sites[0], 10, 1);
    log.hold(sites[1], 20, 2);
    log.hold_at_peak(sites[1], 70, 7);
    log.hold_at_peak(sites[2], 5, 1);
    log.tick_of_total(1, 500, 60, 60).expect("a Vec");
    log.tick_of_sums(2, 500).expect("a Vec");
    log.finish(2).expect("a Vec");
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

/// A file may say that a block is of any size: sums end at the largest number there is.
#[test]
fn sizes_that_no_machine_has_do_no_harm() {
    let mut file = Vec::new();
    let (mut log, sites) = log(&mut file);
    for address in 0..4 {
        log.allocate(address, u64::MAX - address, sites[0]);
        log.map(u64::MAX - address, u64::MAX, sites[1]);
    }
    for address in 0..4 {
        log.free(address);
        log.unmap(0, u64::MAX);
    }
    log.hold(sites[2], u64::MAX, u64::MAX);
    log.hold(sites[2], u64::MAX, u64::MAX);
    log.hold_at_peak(sites[2], u64::MAX, u64::MAX);
    log.tick(1, u64::MAX).expect("a Vec");
    log.tick_of_sums(2, 0).expect("a Vec");
    log.finish(2).expect("a Vec");
    assert!(Capture::read(&file[..]).expect("readable").end.is_some());
}
