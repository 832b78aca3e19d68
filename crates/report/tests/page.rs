//! The data of a page, unpacked again: they add up to what the capture has, however much is left out.

use std::collections::BTreeMap;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use heapsight_analysis::recording::{Half, Recording};
use heapsight_analysis::{ColumnLimits, Columns, EventLog, NO_CALLER};
use heapsight_capture::model::Domain;
use heapsight_capture::{Capture, Header, Writer};
use heapsight_report::{PageOptions, PageSide, page};

/// The sections of a page, unpacked.
struct Page {
    text: String,
    losses: Vec<String>,
}

impl Page {
    fn of(new: PageSide<'_>, old: Option<PageSide<'_>>, options: &PageOptions) -> Self {
        let mut out = Vec::new();
        let losses = page(new, old, options, &mut out).expect("a Vec takes everything");
        let text = String::from_utf8(out).expect("a page is UTF-8");
        Self { text, losses }
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let (_, after) = self
            .text
            .split_once(&format!("id=\"data-{name}\""))
            .unwrap_or_else(|| panic!("there is no section {name}"));
        let (_, after) = after.split_once('>').expect("the tag ends");
        let (packed, _) = after.split_once('<').expect("the section ends");
        let packed = STANDARD.decode(packed).expect("base64");
        let mut bytes = Vec::new();
        let mut whole = ZlibDecoder::new(&packed[..]);
        whole.read_to_end(&mut bytes).expect("zlib");
        bytes
    }

    fn numbers(&self, name: &str) -> Vec<u64> {
        let mut numbers = Vec::new();
        let (mut number, mut shift) = (0, 0);
        for byte in self.bytes(name) {
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                numbers.push(number);
                (number, shift) = (0, 0);
            }
        }
        numbers
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = String::from_utf8(self.bytes(name)).expect("UTF-8");
        text.lines().map(str::to_owned).collect()
    }

    /// Call paths as `a/b/c` of functions, and a figure of each.
    fn paths(&self, figure: &str) -> BTreeMap<String, u64> {
        let strings = self.lines("strings");
        let functions: Vec<u64> = self.numbers("functions");
        let frames = self.numbers("frames");
        let name = |frame: u64| {
            let function = frames[frame as usize * 2];
            strings[functions[function as usize * 3] as usize].clone()
        };
        let mut paths = vec![String::new()];
        let nodes = self
            .numbers("callers")
            .into_iter()
            .zip(self.numbers("node-frames"));
        for (id, (distance, frame)) in (1..).zip(nodes) {
            let caller = &paths[id - distance as usize];
            paths.push(format!("{caller}/{}", name(frame)));
        }
        let mut sums = BTreeMap::new();
        for (path, bytes) in paths.into_iter().zip(self.numbers(figure)) {
            *sums.entry(path).or_default() += bytes;
        }
        sums
    }
}

fn side(capture: &Capture) -> PageSide<'_> {
    PageSide {
        name: "app.heapsight",
        capture,
        columns: None,
        sites: None,
        half: None,
    }
}

/// A program that calls a, b, …: `sizes[n]` bytes live below each, at a tick of its own; the first are freed at last.
fn recorded(sizes: &[u64]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut log = EventLog::new(Writer::create(&mut file, &Header::default()).expect("a Vec"));
    let main = log.code("main", "/srv/app/app.py", 1);
    let main = log.call(NO_CALLER, main, 3);
    for (number, size) in (1..).zip(sizes) {
        let name = char::from(b'a' + number as u8 - 1).to_string();
        let code = log.code(&name, "/srv/app/store.py", 10);
        let node = log.call(main, code, 11);
        let site = log.site(node, Domain::OBJ);
        log.allocate(number * 0x10_0000, *size, site);
        log.tick(number * 100_000_000, 0).expect("a Vec");
    }
    log.free(0x10_0000);
    log.tick((sizes.len() as u64 + 1) * 100_000_000, 0)
        .expect("a Vec");
    log.finish((sizes.len() as u64 + 1) * 100_000_000)
        .expect("a Vec");
    file
}

#[test]
fn paths_and_figures_come_back() {
    let file = recorded(&[100, 2000, 30]);
    let capture = Capture::read(&file[..]).expect("readable");
    let page = Page::of(side(&capture), None, &PageOptions::default());
    let expected = [("/main/a", 100), ("/main/b", 2000), ("/main/c", 30)];
    let paths = page.paths("allocated-bytes");
    for (path, bytes) in expected {
        assert_eq!(paths.get(path), Some(&bytes), "{path}");
    }
    assert_eq!(page.paths("freed-bytes")["/main/a"], 100);
    assert_eq!(page.losses, [""; 0]);
}

#[test]
fn what_is_not_kept_apart_is_added_up_below_its_caller_and_said() {
    let file = recorded(&[100, 2000, 30, 40, 50]);
    let capture = Capture::read(&file[..]).expect("readable");
    let options = PageOptions {
        most_paths: 3,
        ..PageOptions::default()
    };
    let page = Page::of(side(&capture), None, &options);
    let paths = page.paths("allocated-bytes");
    assert_eq!(paths.values().sum::<u64>(), 2220);
    assert_eq!(paths["/main/b"], 2000);
    assert_eq!(paths["/main/smaller call paths"], 190, "{paths:?}");
    let [loss] = &page.losses[..] else {
        panic!("{:?}", page.losses);
    };
    // c, d and e have a block each of the four that live; there is room for the first of these.
    assert!(
        loss.starts_with("3 of 6 call paths, those with the least memory"),
        "{loss}"
    );
}

#[test]
fn of_two_recordings_each_call_path_is_there_once() {
    let (old, new) = (recorded(&[100, 2000]), recorded(&[100, 3000, 7]));
    let old = Capture::read(&old[..]).expect("readable");
    let new = Capture::read(&new[..]).expect("readable");
    let page = Page::of(side(&new), Some(side(&old)), &PageOptions::default());
    let (new, old) = (
        page.paths("allocated-bytes"),
        page.paths("old-allocated-bytes"),
    );
    assert_eq!((new["/main/b"], old["/main/b"]), (3000, 2000));
    assert_eq!((new["/main/c"], old["/main/c"]), (7, 0));
}

#[test]
fn the_changes_of_all_spans_add_up_to_the_end() {
    let sizes: Vec<u64> = (1..=26).map(|number| number * 1000).collect();
    let file = recorded(&sizes);
    let mut columns = Columns::new(ColumnLimits::default(), &[]);
    let (recording, sites) = Recording::follow(&file[..], None, &mut columns).expect("readable");
    let half = Half::read(&recording.capture, sites.as_deref(), || Ok(&file[..]));
    let half = half.expect("readable");
    let new = PageSide {
        columns: Some(&columns),
        sites: sites.as_deref(),
        half: half.as_ref(),
        ..side(&recording.capture)
    };
    let page = Page::of(new, None, &PageOptions::default());
    let mut changes = page.numbers("changes").into_iter();
    let mut sums: BTreeMap<u64, [u64; 6]> = BTreeMap::new();
    for count in page.numbers("span-counts") {
        let mut node = 0;
        for _ in 0..count {
            node += changes.next().expect("a node");
            let there = changes.next().expect("a mask");
            let sum = sums.entry(node).or_default();
            for (at, figure) in sum.iter_mut().enumerate() {
                if there & 1 << at != 0 {
                    *figure += changes.next().expect("a figure");
                }
            }
        }
    }
    for (node, bytes) in (0..).zip(page.numbers("allocated-bytes")) {
        let sum = sums.get(&node).map_or(0, |figures| figures[0]);
        assert_eq!(sum, bytes, "node {node}");
    }
    assert!(
        page.text.contains("of the growth since"),
        "the sentence is about growth"
    );
}

#[test]
fn of_call_paths_that_weigh_the_same_as_many_are_kept_as_there_is_room_for() {
    let file = recorded(&[100; 20]);
    let capture = Capture::read(&file[..]).expect("readable");
    let options = PageOptions {
        most_paths: 11,
        ..PageOptions::default()
    };
    let page = Page::of(side(&capture), None, &options);
    let paths = page.paths("allocated-bytes");
    let apart = paths.keys().filter(|path| path.starts_with("/main/"));
    assert_eq!(apart.count(), 10 + 1, "{paths:?}");
    assert_eq!(paths["/main/smaller call paths"], 1000);
    assert!(
        page.losses[0].starts_with("10 of 21 call paths"),
        "{:?}",
        page.losses
    );
}

#[test]
fn source_comes_without_lines_that_look_like_secrets() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("app.py");
    std::fs::write(
        &path,
        "TOKEN = 'hunter2'\nkept = []\nkept.append(bytes(100))\n",
    )
    .expect("writable");
    let mut file = Vec::new();
    let header = Header {
        working_directory: folder.path().to_string_lossy().into_owned(),
        // The file is older than the recording.
        start_unix_ns: u64::MAX / 2,
        ..Header::default()
    };
    let mut log = EventLog::new(Writer::create(&mut file, &header).expect("a Vec"));
    let main = log.code("<module>", "app.py", 1);
    let main = log.call(NO_CALLER, main, 3);
    let site = log.site(main, Domain::OBJ);
    log.allocate(0x1000, 100, site);
    log.tick(1_000_000, 0).expect("a Vec");
    log.finish(1_000_000).expect("a Vec");
    let capture = Capture::read(&file[..]).expect("readable");
    let with = Page::of(side(&capture), None, &PageOptions::default());
    assert_eq!(
        with.lines("source-lines"),
        ["", "kept = []", "kept.append(bytes(100))"]
    );
    assert!(with.losses[0].contains("app.py:1"), "{:?}", with.losses);
    let options = PageOptions {
        source: false,
        ..PageOptions::default()
    };
    let without = Page::of(side(&capture), None, &options);
    assert!(!without.text.contains("data-source-lines\""));
}
