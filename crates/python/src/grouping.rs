//! Statistics of a snapshot and differences between two: tables of the engine until somebody reads them as Python objects.

use std::sync::Arc;

use heapsight_analysis::{self as analysis, Amount, Comparison, GroupBy, Key, Query};
use heapsight_capture::model::Tables;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::address_changes::{self, AddressChange};
use crate::blocks::BlockTable;
use crate::keys::{KeyCache, grouping_of};
use crate::trace::TraceStats;

/// What a snapshot's memory is grouped by, with the snapshot's tables: sums are made when somebody asks.
#[pyclass(frozen, module = "heapsight._heapsight", skip_from_py_object)]
#[derive(Debug)]
pub(crate) struct Grouping(pub(crate) Source);

#[derive(Clone, Debug)]
pub(crate) enum Source {
    Paths(Arc<Tables>, Query),
    Blocks(BlockTable),
}

impl Grouping {
    /// Groups by a name of seed vocabulary; `address` needs the blocks.
    pub(crate) fn new(
        tables: &Arc<Tables>,
        blocks: Option<&BlockTable>,
        group_by: &str,
        cumulative: bool,
    ) -> PyResult<Self> {
        if group_by == "address" {
            let blocks = blocks.ok_or_else(|| {
                PyValueError::new_err(
                    "grouping by 'address' needs the traces: take the snapshot with Snapshot.create(with_traces=True)",
                )
            })?;
            return Ok(Self(Source::Blocks(blocks.clone())));
        }
        let query = Query {
            group_by: grouping_of(group_by)?,
            cumulative,
            ..Query::default()
        };
        Ok(Self(Source::Paths(Arc::clone(tables), query)))
    }
}

#[pymethods]
impl Grouping {
    /// Every group with memory: key to TraceStats, the largest first.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        match &self.0 {
            Source::Paths(tables, query) => {
                let mut keys = KeyCache::new(py, tables);
                for row in analysis::group(tables, *query).rows {
                    dict.set_item(keys.key(&row.key)?, stats(row.amount))?;
                }
            }
            Source::Blocks(blocks) => {
                for block in blocks.iter() {
                    dict.set_item(
                        block.address,
                        TraceStats {
                            size: block.size,
                            count: 1,
                        },
                    )?;
                }
            }
        }
        Ok(dict)
    }

    /// How it differs from `old`; from itself, so not at all, when there is none. None when the two are not grouped alike.
    #[pyo3(signature = (old = None))]
    fn compare(&self, py: Python<'_>, old: Option<&Bound<'_, Self>>) -> Option<Differences> {
        let old = old.map_or(&self.0, |old| &old.get().0);
        py.detach(|| match (&self.0, old) {
            (Source::Paths(new, query), Source::Paths(old, old_query)) if query == old_query => {
                Some(Differences(Compared::Paths(Box::new(Comparison::new(
                    old, new, *query,
                )))))
            }
            (Source::Blocks(new), Source::Blocks(old)) => Some(Differences(Compared::Addresses(
                address_changes::compare(&old.by_address(), &new.by_address()),
            ))),
            _ => None,
        })
    }
}

fn stats(amount: Amount) -> TraceStats {
    TraceStats {
        size: amount.bytes,
        count: amount.blocks,
    }
}

/// Differences between two groupings, in order: the biggest change first.
#[pyclass(frozen, module = "heapsight._heapsight", skip_from_py_object)]
#[derive(Debug)]
pub(crate) struct Differences(Compared);

#[derive(Debug)]
enum Compared {
    Paths(Box<Comparison>),
    Addresses(Vec<AddressChange>),
}

/// (size difference, size, count difference, count): sums over differences.
type Sums = (i64, u64, i64, u64);

fn add(sums: &mut Sums, other: Sums) {
    sums.0 = sums.0.saturating_add(other.0);
    sums.1 = sums.1.saturating_add(other.1);
    sums.2 = sums.2.saturating_add(other.2);
    sums.3 = sums.3.saturating_add(other.3);
}

#[pymethods]
impl Differences {
    /// All of them, as tuples of size difference, size, count difference, count and key.
    fn to_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        Ok(self.head(py, usize::MAX)?.0)
    }

    /// The first `count`; how many there are besides and their sums; the sums of all memory, each block counted once.
    fn head<'py>(
        &self,
        py: Python<'py>,
        count: usize,
    ) -> PyResult<(Bound<'py, PyList>, usize, Sums, Sums)> {
        let head = PyList::empty(py);
        let (mut others, mut rest) = (0, Sums::default());
        let mut add_row =
            |index: usize, figures: Sums, key: &mut dyn FnMut() -> PyResult<Bound<'py, PyAny>>| {
                if index < count {
                    let (size_change, size, count_change, count) = figures;
                    head.append((size_change, size, count_change, count, key()?))?;
                } else {
                    others += 1;
                    add(&mut rest, figures);
                }
                PyResult::Ok(())
            };
        let total = match &self.0 {
            Compared::Paths(comparison) => {
                let mut keys = KeyCache::new(py, comparison.tables());
                for (index, change) in comparison.changes().iter().enumerate() {
                    add_row(index, figures(change.old, change.new), &mut || {
                        keys.key(&change.key)
                    })?;
                }
                let (old, new) = comparison.totals();
                figures(old, new)
            }
            Compared::Addresses(changes) => {
                let mut total = Sums::default();
                for (index, change) in changes.iter().enumerate() {
                    add(&mut total, change.figures());
                    add_row(index, change.figures(), &mut || {
                        Ok(change.address.into_pyobject(py)?.into_any())
                    })?;
                }
                total
            }
        };
        Ok((head, others, rest, total))
    }

    fn __len__(&self) -> usize {
        match &self.0 {
            Compared::Paths(comparison) => comparison.changes().len(),
            Compared::Addresses(changes) => changes.len(),
        }
    }
}

fn figures(old: Amount, new: Amount) -> Sums {
    let (bytes, blocks) = new.change_from(old);
    (bytes, new.bytes, blocks, new.blocks)
}

/// File name to line to statistics, by the most recent frame.
pub(crate) fn by_file_and_line<'py>(
    py: Python<'py>,
    tables: &Tables,
) -> PyResult<Bound<'py, PyDict>> {
    let files = PyDict::new(py);
    let mut keys = KeyCache::new(py, tables);
    let query = Query {
        group_by: GroupBy::Line,
        ..Query::default()
    };
    for row in analysis::group(tables, query).rows {
        let Key::Line(place) = row.key else { continue };
        let key = keys.place(place)?;
        let (file, line) = (key.get_item(0)?, key.get_item(1)?);
        let lines = match files.get_item(&file)? {
            Some(lines) => lines.cast_into::<PyDict>()?,
            None => {
                let lines = PyDict::new(py);
                files.set_item(&file, &lines)?;
                lines
            }
        };
        lines.set_item(line, stats(row.amount))?;
    }
    Ok(files)
}

/// The names that `group_by` takes.
#[pyfunction]
fn group_by_choices(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
    PyTuple::new(py, crate::keys::CHOICES)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(group_by_choices, module)?)?;
    module.add_class::<Grouping>()?;
    module.add_class::<Differences>()
}
