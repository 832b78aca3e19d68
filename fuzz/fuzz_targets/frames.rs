//! Payloads of any content in envelopes that are in order, and everything that can be made of the result.
#![no_main]

use heapsight_analysis::{
    Merge, Difference, GroupBy, Imports, Metric, Query, group, live_at_peak, truncate,
};
use heapsight_analysis::recording::Reached;
use heapsight_capture::{Capture, Header, Replay, Writer};
use heapsight_report::{
    ExportOptions, Format, Look, Selection, Statistics, export, summary,
};
use libfuzzer_sys::fuzz_target;

/// (kind, payload) of each frame.
type Frames = Vec<(u8, Vec<u8>)>;

fuzz_target!(|frames: Frames| {
    let file = file(&frames);
    let Ok(mut capture) = Capture::read(&file[..]) else {
        return;
    };
    let mut replay = Replay::open(&file[..]).expect("it was readable");
    let mut combination = Merge::new(1);
    while replay.advance().expect("memory does not fail") {
        combination.add(0, &replay.capture().tables, replay.changed());
        combination.take_changes();
    }
    // What depth costs is bounded by the file, but square where every path is spelled out.
    if capture.tables.nodes.len() > 200 {
        return;
    }
    for group_by in GroupBy::ALL {
        for metric in Metric::ALL {
            let query = Query {
                metric,
                group_by,
                cumulative: true,
                imports: Imports::for_people(capture.header.mode, false),
            };
            let _ = group(&capture.tables, query);
            let _ = Difference::new(combination.tables(), &capture.tables, query).changes();
        }
    }
    let _ = truncate(&capture.tables, 3);
    let _ = summary(&capture, &Selection::default(), &Look::plain(80));
    let statistics = Statistics::new(&capture, file.len() as u64, Reached::End, false);
    let _ = statistics.json(&capture);
    live_at_peak(&mut capture.tables);
    for format in Format::ALL {
        let options = ExportOptions {
            metric: Metric::Peak,
            group_by: None,
        };
        let _ = export(&capture, format, &options, &mut Vec::new());
    }
});

/// A header, then the frames, each with the right lengths and checksum.
fn file(frames: &Frames) -> Vec<u8> {
    let writer = Writer::create(Vec::new(), &Header::default()).expect("a Vec takes everything");
    let length = writer.bytes_written() as usize;
    let mut file = writer
        .finish(&Default::default())
        .expect("a Vec takes everything");
    file.truncate(length);
    for (kind, payload) in frames {
        let packed = zstd::bulk::compress(payload, 1).expect("compresses");
        let mut frame = vec![kind % 7, 0, 0, 0];
        frame.extend((packed.len() as u32).to_le_bytes());
        frame.extend((payload.len() as u32).to_le_bytes());
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&frame);
        hasher.update(&packed);
        frame.extend(hasher.finalize().to_le_bytes());
        frame.extend(packed);
        file.extend(frame);
    }
    file
}
