//! The lines of `DisplayTop`, from figures and keys that Python hands over.

use std::sync::Arc;

use heapsight_analysis::is_import_path;
use heapsight_edge::or_memory_error;
use heapsight_report::{
    DisplayFigures, DisplayFrame, DisplayKey, DisplayMetric, DisplayOptions, DisplayTop,
    MetricFormat, display_top, grouping_title,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::api::frame::Frame;
use crate::api::keys::grouping_of;
use crate::arguments;

/// (size difference, size, count difference, count).
type Figures = (Change, Sum, Change, Sum);

/// A sum that Python has made. One beyond what can be shown is shown as the most that can be.
struct Sum(u64);

/// The difference of two sums, likewise.
struct Change(i64);

impl FromPyObject<'_, '_> for Sum {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let number = arguments::integer(&value, "sizes and counts must be integers")?;
        let otherwise = if number.lt(0)? { 0 } else { u64::MAX };
        Ok(Self(number.extract().unwrap_or(otherwise)))
    }
}

impl FromPyObject<'_, '_> for Change {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let number = arguments::integer(&value, "differences must be integers")?;
        let otherwise = if number.lt(0)? { i64::MIN } else { i64::MAX };
        Ok(Self(number.extract().unwrap_or(otherwise)))
    }
}

/// How lines look: colour, parts of a file name, then what is shown of size, count and average.
type Options = (bool, usize, bool, bool, bool);

/// What the first line says: time, whether and with which time it is compared, grouping, cumulative or not.
type Title = (Option<String>, bool, Option<String>, String, bool);

/// A metric: name, value, old value, format.
type Metric = (String, f64, Option<f64>, String);

/// What is said after the figures of imports.
const IMPORTS_NOTE: &str = "; display_top_stats shows them";

/// The text of a top list. `rows` are differences as `StatsDiff` has them.
#[pyfunction]
#[or_memory_error]
fn render_top(
    options: Options,
    title: Title,
    rows: Vec<(Change, Sum, Change, Sum, Bound<'_, PyAny>)>,
    others: (usize, Figures),
    imports: Option<Figures>,
    total: Figures,
    metrics: Vec<Metric>,
) -> PyResult<String> {
    let (color, filename_parts, show_size, show_count, show_average) = options;
    let (timestamp, is_compared, compared_to, group_by, cumulative) = title;
    let rows = rows
        .into_iter()
        .map(|(size_change, size, count_change, count, key)| {
            Ok((
                key_of(&key, &group_by)?,
                figures((size_change, size, count_change, count)),
            ))
        })
        .collect::<PyResult<Vec<_>>>()?;
    let metrics = metrics
        .into_iter()
        .map(|(name, value, old, format)| {
            let format = MetricFormat::from_name(&format).ok_or_else(|| {
                PyValueError::new_err(format!(
                    "a metric's format is 'int', 'size' or 'percent', not {format:?}"
                ))
            })?;
            Ok(DisplayMetric {
                name,
                value,
                old,
                format,
            })
        })
        .collect::<PyResult<Vec<_>>>()?;
    let top = DisplayTop {
        timestamp,
        compared_to: is_compared.then_some(compared_to),
        grouping: if group_by == "address" {
            "address"
        } else {
            grouping_title(grouping_of(&group_by)?)
        }
        .to_owned(),
        cumulative,
        rows,
        others: (others.0, figures(others.1)),
        imports: imports.map(|imports| (figures(imports), IMPORTS_NOTE.to_owned())),
        total: figures(total),
        metrics,
    };
    let options = DisplayOptions {
        color,
        filename_parts,
        show_size,
        show_count,
        show_average,
        ..DisplayOptions::default()
    };
    Ok(display_top(&top, &options))
}

/// Whether a key is one of imports as far as it tells.
#[pyfunction]
#[or_memory_error]
fn is_import_key(key: &Bound<'_, PyAny>, group_by: &str) -> PyResult<bool> {
    let frames: Vec<(Option<String>, Option<String>)> = match group_by {
        "filename" => vec![(key.extract()?, None)],
        "filename_lineno" | "line" => {
            let (filename, _): (Option<String>, Option<i64>) = key.extract()?;
            vec![(filename, None)]
        }
        "function" => vec![key.extract()?],
        "traceback" => {
            let frames = key.cast::<PyTuple>()?.iter().map(|frame| {
                let frame = frame.cast::<Frame>()?.get();
                let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
                Ok((text(&frame.filename), text(&frame.name)))
            });
            frames.collect::<PyResult<_>>()?
        }
        _ => return Ok(false),
    };
    let frames = frames.iter().map(|(filename, name)| {
        let filename = filename.as_deref().unwrap_or_default();
        (filename, name.as_deref())
    });
    Ok(is_import_path(frames))
}

fn figures((size_change, size, count_change, count): Figures) -> DisplayFigures {
    DisplayFigures {
        size_bytes: size.0,
        size_change_bytes: size_change.0,
        count: count.0,
        count_change: count_change.0,
    }
}

fn key_of(key: &Bound<'_, PyAny>, group_by: &str) -> PyResult<DisplayKey> {
    known_key(key, group_by).map_err(|_| {
        let kind = match group_by {
            "filename" => "a file name or None",
            "address" => "an address",
            "function" => "(file name, function name)",
            "domain" | "thread" => "a name or None",
            "traceback" => "a tuple of Frame",
            _ => "(file name, line number)",
        };
        let rule = format!("a key of statistics grouped by '{group_by}' must be {kind}");
        arguments::wrong_type(key, &rule)
    })
}

fn known_key(key: &Bound<'_, PyAny>, group_by: &str) -> PyResult<DisplayKey> {
    Ok(match group_by {
        "filename" => DisplayKey::Filename(key.extract()?),
        "address" => DisplayKey::Address(key.extract()?),
        "function" => {
            let (filename, name) = key.extract()?;
            DisplayKey::Function(filename, name)
        }
        "domain" | "thread" => DisplayKey::Name(key.extract()?),
        "traceback" => {
            let frames = key.cast::<PyTuple>()?.iter().map(|frame| {
                let frame = frame.cast::<Frame>()?.get();
                Ok(place(frame.filename.as_deref(), frame.lineno))
            });
            DisplayKey::Traceback(frames.collect::<PyResult<Vec<DisplayFrame>>>()?)
        }
        _ => {
            let (filename, line): (Option<String>, Option<i64>) = key.extract()?;
            DisplayKey::Line(place(filename.as_deref(), line))
        }
    })
}

fn place(filename: Option<&str>, line: Option<i64>) -> DisplayFrame {
    (
        filename.map(str::to_owned),
        line.and_then(|line| u32::try_from(line).ok())
            .filter(|line| *line > 0),
    )
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(is_import_key, module)?)?;
    module.add_function(wrap_pyfunction!(render_top, module)?)
}
