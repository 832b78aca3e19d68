//! Keys of statistics as Python objects, and the names of the groupings.

use std::collections::HashMap;

use heapsight_analysis::{GroupBy, Key};
use heapsight_capture::model::{NodeId, Tables};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::api::frame::Frame;

/// What `group_by` may be.
pub(crate) const CHOICES: [&str; 8] = [
    "filename",
    "filename_lineno",
    "line",
    "address",
    "traceback",
    "function",
    "domain",
    "thread",
];

/// The grouping of this name, for all but `address`.
///
/// # Errors
/// `ValueError` listing the choices.
pub(crate) fn grouping_of(name: &str) -> PyResult<GroupBy> {
    Ok(match name {
        "filename" => GroupBy::Filename,
        "filename_lineno" | "line" => GroupBy::Line,
        "traceback" => GroupBy::Traceback,
        "function" => GroupBy::Function,
        "domain" => GroupBy::Domain,
        "thread" => GroupBy::Thread,
        _ => {
            let choices = CHOICES.map(|choice| format!("'{choice}'")).join(", ");
            return Err(PyValueError::new_err(format!(
                "group_by must be one of {choices}, not {name:?}"
            )));
        }
    })
}

/// Makes Python objects of keys, each name once.
pub(crate) struct KeyCache<'py, 't> {
    py: Python<'py>,
    tables: &'t Tables,
    /// By the address of the text, which stays where it is while the tables are borrowed.
    names: HashMap<(*const u8, usize), Bound<'py, PyString>>,
    frames: HashMap<(u32, u32), Bound<'py, Frame>>,
}

impl<'py, 't> KeyCache<'py, 't> {
    pub(crate) fn new(py: Python<'py>, tables: &'t Tables) -> Self {
        Self {
            py,
            tables,
            names: HashMap::new(),
            frames: HashMap::new(),
        }
    }

    /// The key as Python has it; what is unknown is None.
    pub(crate) fn key(&mut self, key: &Key<'t>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match *key {
            Key::Filename(name) | Key::Thread(name) => {
                self.name(name).into_pyobject(self.py)?.into_any()
            }
            Key::Line(place) => self.place(place)?.into_any(),
            Key::Function(known) => {
                let (filename, name) = known.unzip();
                (self.name(filename), self.name(name))
                    .into_pyobject(self.py)?
                    .into_any()
            }
            Key::Traceback(node) => self.path(node)?.into_any(),
            Key::Domain(domain) => domain.name().into_pyobject(self.py)?.into_any(),
        })
    }

    /// (file name, line).
    pub(crate) fn place(&mut self, place: Option<(&'t str, u32)>) -> PyResult<Bound<'py, PyTuple>> {
        let (filename, line) = place.unzip();
        (self.name(filename), line.filter(|line| *line > 0)).into_pyobject(self.py)
    }

    fn name(&mut self, name: Option<&'t str>) -> Option<Bound<'py, PyString>> {
        let name = name.filter(|name| !name.is_empty())?;
        let known = self.names.entry((name.as_ptr(), name.len()));
        Some(
            known
                .or_insert_with(|| PyString::new(self.py, name))
                .clone(),
        )
    }

    fn path(&mut self, node: NodeId) -> PyResult<Bound<'py, PyTuple>> {
        let mut frames = Vec::new();
        let mut at = node;
        while at != heapsight_capture::model::ROOT {
            let entry = self.tables.nodes[at as usize];
            if let Some(frame) = heapsight_analysis::path::frame(self.tables, at) {
                let known = match self.frames.get(&(entry.code, entry.line)) {
                    Some(known) => known.clone(),
                    None => {
                        let made = Bound::new(self.py, Frame::of(&frame))?;
                        self.frames.insert((entry.code, entry.line), made.clone());
                        made
                    }
                };
                frames.push(known);
            }
            at = entry.parent;
        }
        PyTuple::new(self.py, frames)
    }
}
