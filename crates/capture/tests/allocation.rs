//! The recorder runs beside the program that it measures: once warm, a tick takes no memory.

mod support;

use heapsight_capture::Writer;
use support::{header, small_recording};

#[test]
fn a_tick_like_the_one_before_allocates_nothing() {
    let steps = small_recording();
    let mut writer = Writer::create(std::io::sink(), &header()).expect("a sink takes everything");
    for step in &steps {
        writer
            .tick(&step.as_tick())
            .expect("a sink takes everything");
    }
    let mut next = steps[2].clone();
    next.changed[0].1.allocated_bytes += 1000;
    let tick = next.as_tick();
    let info = allocation_counter::measure(|| {
        writer.tick(&tick).expect("a sink takes everything");
    });
    assert_eq!(info.count_total, 0, "{info:?}");
}
