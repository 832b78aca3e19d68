//! The Firefox Profiler's processed profile: the stacks as a thread whose samples weigh bytes, and traced memory over
//! time as a counter.

use std::io::{self, Write};
use std::time::Duration;

use fxprof_processed_profile::{
    CategoryHandle, CpuDelta, Frame, FrameFlags, FrameHandle, FrameInfo, ProcessHandle, Profile,
    ReferenceTimestamp, SamplingInterval, StackHandle, Timestamp, WeightType,
};
use heapsight_analysis::Metric;
use heapsight_capture::Capture;

use super::ExportOptions;
use super::stacks::{Stacks, Threads};

/// One sample weighs no more than this: more is split into several.
const HEAVIEST: u64 = i32::MAX as u64;

/// Samples that one stack is split into at most: 2 TiB. More is no memory of a program, but a figure in a damaged file.
const MOST_SAMPLES: u64 = 1024;

pub(super) fn write(
    capture: &Capture,
    options: &ExportOptions,
    out: &mut dyn Write,
) -> io::Result<()> {
    let header = &capture.header;
    let start = Duration::from_nanos(header.start_unix_ns);
    let mut profile = Profile::new(
        &header.program,
        ReferenceTimestamp::from_duration_since_unix_epoch(start),
        SamplingInterval::from_millis(u64::from(header.tick_ms.max(1))),
    );
    profile.set_symbolicated(true);
    let beginning = Timestamp::from_nanos_since_reference(0);
    let process = profile.add_process(&header.program, header.pid, beginning);
    let last = capture.timeline.last().copied().unwrap_or_default();
    let ending = Timestamp::from_nanos_since_reference(last.elapsed_ns);
    profile.set_process_end_time(process, ending);
    add_memory_track(&mut profile, process, capture);

    let stacks = Stacks::new(&capture.tables, options.group_by, Threads::Frames);
    // The viewer opens with the chosen metric.
    let others = Metric::ALL
        .into_iter()
        .filter(|metric| *metric != options.metric);
    for (tid, metric) in (header.pid..).zip([options.metric].into_iter().chain(others)) {
        let is_chosen = metric == options.metric;
        let thread = profile.add_thread(process, tid, beginning, false);
        profile.set_thread_name(thread, &format!("{} bytes", metric.name()));
        profile.set_thread_end_time(thread, ending);
        profile.set_thread_samples_weight_type(thread, WeightType::Bytes);
        if is_chosen {
            profile.add_initial_visible_thread(thread);
            profile.add_initial_selected_thread(thread);
        }
        let frames: Vec<FrameHandle> = stacks
            .labels
            .iter()
            .map(|label| {
                let text = profile.intern_string(&label.text());
                let frame = FrameInfo {
                    frame: Frame::Label(text),
                    category_pair: CategoryHandle::OTHER.into(),
                    flags: FrameFlags::empty(),
                };
                profile.intern_frame(thread, frame)
            })
            .collect();
        let mut handles: Vec<StackHandle> = Vec::with_capacity(stacks.stacks.len());
        for stack in &stacks.stacks {
            let parent = stack.parent().map(|parent| handles[parent]);
            handles.push(profile.intern_stack(thread, parent, frames[stack.label()]));
        }
        for sample in &stacks.samples {
            let bytes = metric.of(&sample.counters).bytes;
            let mut bytes = bytes.min(HEAVIEST * MOST_SAMPLES);
            while bytes > 0 {
                let weight = bytes.min(HEAVIEST);
                let stack = Some(handles[sample.stack]);
                profile.add_sample(thread, ending, stack, CpuDelta::ZERO, weight as i32);
                bytes -= weight;
            }
        }
    }
    serde_json::to_writer(&mut *out, &profile)?;
    out.write_all(b"\n")
}

fn add_memory_track(profile: &mut Profile, process: ProcessHandle, capture: &Capture) {
    let track = profile.add_counter(process, "Traced memory", "Memory", "Live traced bytes");
    let (mut bytes, mut blocks) = (0_u64, 0_u64);
    for point in &capture.timeline {
        let time = Timestamp::from_nanos_since_reference(point.elapsed_ns);
        let change = point.live_bytes as f64 - bytes as f64;
        let operations = point.allocated_blocks.saturating_sub(blocks);
        let operations = u32::try_from(operations).unwrap_or(u32::MAX);
        profile.add_counter_sample(track, time, change, operations);
        (bytes, blocks) = (point.live_bytes, point.allocated_blocks);
    }
}
