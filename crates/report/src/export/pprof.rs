//! pprof's profile: gzipped protobuf, with the sample types of Go's heap profiles in Go's order.
//!
//! The messages are those of <https://github.com/google/pprof/blob/main/proto/profile.proto>, written down here by
//! field number, with only the fields that are used. The samples, of which there may be gigabytes before compression,
//! are written one by one: a message is the concatenation of its fields, in any order.

use std::borrow::Cow;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use foldhash::HashMap;
use heapsight_analysis::Metric;
use heapsight_capture::Capture;
use heapsight_capture::model::Mode;
use prost::Message;
use prost::encoding::message;

use super::ExportOptions;
use super::stacks::{Label, Stacks, Threads};

/// The field of a [`Profile`] that holds its samples.
const SAMPLE: u32 = 2;

/// `perftools.profiles.Profile`, without its samples.
#[derive(Clone, PartialEq, Message)]
struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "3")]
    mapping: Vec<Mapping>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
    #[prost(int64, repeated, tag = "13")]
    comment: Vec<i64>,
    #[prost(int64, tag = "14")]
    default_sample_type: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    r#type: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    /// Most recent first.
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    label: Vec<SampleLabel>,
}

#[derive(Clone, PartialEq, Message)]
struct SampleLabel {
    #[prost(int64, tag = "1")]
    key: i64,
    #[prost(int64, tag = "2")]
    str: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Mapping {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "5")]
    filename: i64,
    #[prost(bool, tag = "7")]
    has_functions: bool,
    #[prost(bool, tag = "8")]
    has_filenames: bool,
    #[prost(bool, tag = "9")]
    has_line_numbers: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
    #[prost(int64, tag = "5")]
    start_line: i64,
}

/// Go's four sample types: (name, of blocks or bytes, metric).
const SAMPLE_TYPES: [(&str, Unit, Metric); 4] = [
    ("alloc_objects", Unit::Count, Metric::Allocated),
    ("alloc_space", Unit::Bytes, Metric::Allocated),
    ("inuse_objects", Unit::Count, Metric::Live),
    ("inuse_space", Unit::Bytes, Metric::Live),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Count,
    Bytes,
}

pub(super) fn write(
    capture: &Capture,
    options: &ExportOptions,
    out: &mut dyn Write,
) -> io::Result<()> {
    let stacks = Stacks::new(&capture.tables, options.group_by, Threads::OfSamples);
    let mut strings = Strings::default();
    strings.id("");
    let places = places(&stacks, &mut strings);
    let mut gzip = GzEncoder::new(out, Compression::default());
    write_samples(capture, options, &stacks, &mut strings, &mut gzip)?;
    let profile = profile(capture, options, places, strings);
    gzip.write_all(&profile.encode_to_vec())?;
    gzip.finish()?;
    Ok(())
}

fn write_samples(
    capture: &Capture,
    options: &ExportOptions,
    stacks: &Stacks,
    strings: &mut Strings,
    out: &mut dyn Write,
) -> io::Result<()> {
    let types = sample_types(options.metric);
    let (domain_key, thread_key) = (strings.id("domain"), strings.id("thread"));
    let mut buffer = Vec::new();
    for sample in &stacks.samples {
        let labels = stacks.labels_of(sample.stack).into_iter().rev();
        let values = types.iter().map(|(_, unit, metric)| {
            let amount = metric.of(&sample.counters);
            signed(match unit {
                Unit::Count => amount.blocks,
                Unit::Bytes => amount.bytes,
            })
        });
        let mut label = vec![SampleLabel {
            key: domain_key,
            str: strings.id(&sample.domain.name()),
        }];
        if let Some(thread) = sample.thread {
            label.push(SampleLabel {
                key: thread_key,
                str: strings.id(&capture.tables.strings[thread as usize]),
            });
        }
        let sample = Sample {
            location_id: labels.map(|label| label as u64 + 1).collect(),
            value: values.collect(),
            label,
        };
        buffer.clear();
        message::encode(SAMPLE, &sample, &mut buffer);
        out.write_all(&buffer)?;
    }
    Ok(())
}

fn profile(
    capture: &Capture,
    options: &ExportOptions,
    (functions, locations): (Vec<Function>, Vec<Location>),
    mut strings: Strings,
) -> Profile {
    let types = sample_types(options.metric);
    let header = &capture.header;
    let last = capture.timeline.last().copied().unwrap_or_default();
    let default = types
        .iter()
        .find(|(_, unit, metric)| *unit == Unit::Bytes && *metric == options.metric);
    let comments = [
        format!("Python {}", header.python_version),
        format!("heapsight {}", header.heapsight_version),
    ];
    Profile {
        sample_type: types
            .iter()
            .map(|(name, unit, _)| value_type(name, *unit, &mut strings))
            .collect(),
        mapping: vec![Mapping {
            id: 1,
            filename: strings.id(&header.program),
            has_functions: true,
            has_filenames: true,
            has_line_numbers: true,
        }],
        location: locations,
        function: functions,
        time_nanos: signed(header.start_unix_ns.saturating_add(last.elapsed_ns)),
        duration_nanos: signed(last.elapsed_ns),
        period_type: Some(value_type("space", Unit::Bytes, &mut strings)),
        period: match header.mode {
            Mode::Exact { .. } => 1,
            Mode::Sampled { mean_bytes } => signed(mean_bytes),
        },
        comment: comments.iter().map(|text| strings.id(text)).collect(),
        default_sample_type: default.map_or(0, |(name, ..)| strings.id(name)),
        string_table: strings.texts,
    }
}

/// Go's, and the chosen metric where it is none of those.
fn sample_types(metric: Metric) -> Vec<(&'static str, Unit, Metric)> {
    let mut types = SAMPLE_TYPES.to_vec();
    let more = match metric {
        Metric::Live | Metric::Allocated => None,
        Metric::Freed => Some(("freed_objects", "freed_space")),
        Metric::Peak => Some(("peak_objects", "peak_space")),
        Metric::Temporary => Some(("temporary_objects", "temporary_space")),
    };
    if let Some((objects, space)) = more {
        types.push((objects, Unit::Count, metric));
        types.push((space, Unit::Bytes, metric));
    }
    types
}

fn value_type(name: &str, unit: Unit, strings: &mut Strings) -> ValueType {
    ValueType {
        r#type: strings.id(name),
        unit: strings.id(match unit {
            Unit::Count => "count",
            Unit::Bytes => "bytes",
        }),
    }
}

/// A location for each label (with the label's index + 1 as id), and the functions that they are in.
fn places(stacks: &Stacks, strings: &mut Strings) -> (Vec<Function>, Vec<Location>) {
    let mut functions: Vec<Function> = Vec::new();
    let mut ids: HashMap<(String, String, u32), u64> = HashMap::default();
    let locations = stacks
        .labels
        .iter()
        .zip(1..)
        .map(|(label, id)| {
            let Label {
                name,
                filename,
                line,
                first_line,
            } = label;
            let key = (name.clone(), filename.clone(), *first_line);
            let function_id = *ids.entry(key).or_insert_with(|| {
                let id = functions.len() as u64 + 1;
                functions.push(Function {
                    id,
                    name: strings.id(&shown_name(name, filename)),
                    // That it differs keeps pprof from taking `<…>` out of the name, as it does with C++ templates.
                    system_name: strings.id(&name.replace(['<', '>'], "")),
                    filename: strings.id(filename),
                    start_line: i64::from(*first_line),
                });
                id
            });
            Location {
                id,
                mapping_id: 1,
                line: vec![Line {
                    function_id,
                    line: i64::from(*line),
                }],
            }
        })
        .collect();
    (functions, locations)
}

/// The name of a function. All modules have code of the same name, `<module>`: which one it is stands in the file's
/// name only.
fn shown_name<'l>(name: &'l str, filename: &str) -> Cow<'l, str> {
    if name != "<module>" {
        return name.into();
    }
    let path = filename.trim_matches(['<', '>']);
    let path = path.strip_prefix("frozen ").unwrap_or(path);
    let mut parts = path.rsplit('/');
    let last = parts.next().unwrap_or(path);
    let stem = last.strip_suffix(".py").unwrap_or(last);
    match (stem, parts.next()) {
        ("__init__", Some(package)) if !package.is_empty() => format!("module {package}"),
        ("__main__", Some(package)) if !package.is_empty() => format!("module {package}.__main__"),
        _ => format!("module {stem}"),
    }
    .into()
}

/// Texts by number; 0 is the empty one.
#[derive(Default)]
struct Strings {
    texts: Vec<String>,
    ids: HashMap<String, i64>,
}

impl Strings {
    fn id(&mut self, text: &str) -> i64 {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = self.texts.len() as i64;
        self.texts.push(text.to_owned());
        self.ids.insert(text.to_owned(), id);
        id
    }
}

fn signed(figure: u64) -> i64 {
    i64::try_from(figure).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_module_is_named_after_it() {
        for (filename, shown) in [
            ("/srv/shop/s09_django.py", "module s09_django"),
            ("s09_django.py", "module s09_django"),
            ("/srv/django/db/__init__.py", "module db"),
            ("/srv/tool/__main__.py", "module tool.__main__"),
            ("__init__.py", "module __init__"),
            ("/__main__.py", "module __main__"),
            (
                "<frozen importlib._bootstrap>",
                "module importlib._bootstrap",
            ),
            ("<string>", "module string"),
            ("/srv/run", "module run"),
            ("", "module "),
        ] {
            assert_eq!(shown_name("<module>", filename), shown, "{filename}");
        }
        assert_eq!(
            shown_name("f.<locals>.<lambda>", "a.py"),
            "f.<locals>.<lambda>"
        );
    }
}
