//! Statistics of a snapshot and differences between two: tables of the engine until somebody reads them as Python
//! objects.

use std::sync::Arc;

use heapsight_analysis::{
    self as analysis, AddressChange, AddressJoin, Amount, BiggestChanges, Difference, GroupBy, Key,
    Query, is_import_key,
};
use heapsight_capture::Block;
use heapsight_capture::model::Tables;
use heapsight_edge::or_memory_error;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::api::blocks::BlockTable;
use crate::api::keys::{KeyCache, grouping_of};
use crate::api::trace::TraceStats;
use crate::room;

/// What a snapshot's memory is grouped by, with the snapshot's tables: sums are made when somebody asks.
#[pyclass(frozen, module = "heapsight._heapsight", skip_from_py_object)]
#[derive(Debug)]
pub(crate) struct Grouped(pub(crate) Source);

#[derive(Clone, Debug)]
pub(crate) enum Source {
    Paths(Arc<Tables>, Query),
    Blocks(BlockTable),
}

impl Grouped {
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
impl Grouped {
    /// Every group with memory: key to TraceStats, the largest first.
    #[or_memory_error]
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        match &self.0 {
            Source::Paths(tables, query) => {
                room::for_paths(tables)?;
                let dict = PyDict::new(py);
                let mut keys = KeyCache::new(py, tables);
                for row in analysis::group(tables, *query).rows {
                    add(&dict, keys.key(&row.key)?, row.amount)?;
                }
                Ok(dict)
            }
            Source::Blocks(blocks) => {
                let dict = PyDict::new(py);
                for Block { address, size, .. } in blocks.iter() {
                    dict.set_item(address, TraceStats { size, count: 1 })?;
                }
                Ok(dict)
            }
        }
    }

    /// How it differs from `old`; from itself, so not at all, when there is none. None when the two are not grouped
    /// alike.
    #[pyo3(signature = (old = None))]
    #[or_memory_error]
    fn compare(
        &self,
        py: Python<'_>,
        old: Option<&Bound<'_, Self>>,
    ) -> PyResult<Option<Differences>> {
        let old = old.map_or(&self.0, |old| &old.get().0);
        if let (Source::Paths(new, _), Source::Paths(old, _)) = (&self.0, old) {
            room::for_paths(new)?;
            room::for_paths(old)?;
        }
        Ok(py.detach(|| match (&self.0, old) {
            (Source::Paths(new, query), Source::Paths(old, old_query)) if query == old_query => {
                Some(Differences(Compared::Paths(Box::new(Difference::new(
                    old, new, *query,
                )))))
            }
            (Source::Blocks(new), Source::Blocks(old)) => {
                let (old, new) = (old.clone(), new.clone());
                Some(Differences(Compared::Addresses { old, new }))
            }
            _ => None,
        }))
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
    Paths(Box<Difference>),
    /// Gone through when somebody asks.
    Addresses {
        old: BlockTable,
        new: BlockTable,
    },
}

/// An [`AddressChange`] in a list that grows, and the row made of it.
const BYTES_PER_CHANGE: u64 = 160;

/// (size difference, size, count difference, count).
type Figures = (i64, u64, i64, u64);

/// What `Differences.head` gives.
type Head<'py> = (Bound<'py, PyList>, usize, Figures, Option<Figures>, Figures);

#[pymethods]
impl Differences {
    /// All of them, as tuples of size difference, size, count difference, count and key.
    #[or_memory_error]
    fn to_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        match &self.0 {
            Compared::Paths(difference) => Ok(paths_head(py, difference, usize::MAX, false)?.0),
            Compared::Addresses { old, new } => {
                room::for_bytes((old.len() + new.len()) as u64 * BYTES_PER_CHANGE)?;
                let mut changes: Vec<AddressChange> = join(old, new).collect();
                py.detach(|| changes.sort_unstable_by(|a, b| b.cmp(a)));
                rows(py, &changes)
            }
        }
    }

    /// The first `count`; how many there are besides and their sums; the sums of those of imports, if these are to be
    /// no rows and there are any; the sums of all memory, each block counted once.
    #[or_memory_error]
    fn head<'py>(&self, py: Python<'py>, count: usize, imports_apart: bool) -> PyResult<Head<'py>> {
        match &self.0 {
            Compared::Paths(difference) => paths_head(py, difference, count, imports_apart),
            Compared::Addresses { old, new } => {
                addresses_head(py, &py.detach(|| join(old, new).biggest(count)))
            }
        }
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        match &self.0 {
            Compared::Paths(difference) => difference.changes().len(),
            Compared::Addresses { old, new } => py.detach(|| join(old, new).count()),
        }
    }
}

fn join<'a>(
    old: &'a BlockTable,
    new: &'a BlockTable,
) -> AddressJoin<impl Iterator<Item = (u64, u64)> + 'a> {
    let sizes = |blocks: &'a BlockTable| blocks.iter().map(|block| (block.address, block.size));
    AddressJoin::new(sizes(old), sizes(new))
}

fn paths_head<'py>(
    py: Python<'py>,
    difference: &Difference,
    count: usize,
    imports_apart: bool,
) -> PyResult<Head<'py>> {
    let head = PyList::empty(py);
    let nothing = (Amount::default(), Amount::default());
    let (mut others, mut rest, mut imports) = (0, nothing, nothing);
    let mut keys = KeyCache::new(py, difference.tables());
    for change in difference.changes() {
        if imports_apart && is_import_key(&change.key, difference.tables()) {
            imports.0 += change.old;
            imports.1 += change.new;
        } else if head.len() < count {
            let (size_change, size, count_change, count) = figures(change.old, change.new);
            let key = keys.key(&change.key)?;
            head.append((size_change, size, count_change, count, key))?;
        } else {
            others += 1;
            rest.0 += change.old;
            rest.1 += change.new;
        }
    }
    let (old, new) = difference.totals();
    let imports = (imports != nothing).then(|| figures(imports.0, imports.1));
    Ok((
        head,
        others,
        figures(rest.0, rest.1),
        imports,
        figures(old, new),
    ))
}

fn addresses_head<'py>(py: Python<'py>, biggest: &BiggestChanges) -> PyResult<Head<'py>> {
    let shown = |side: fn(&AddressChange) -> Amount| biggest.changes.iter().map(side).sum();
    let without = |all: Amount, part: Amount| Amount {
        bytes: all.bytes.saturating_sub(part.bytes),
        blocks: all.blocks.saturating_sub(part.blocks),
    };
    let rest = figures(
        without(biggest.old, shown(|change| change.amounts().0)),
        without(biggest.new, shown(|change| change.amounts().1)),
    );
    let others = biggest.count - biggest.changes.len();
    let total = figures(biggest.old, biggest.new);
    Ok((rows(py, &biggest.changes)?, others, rest, None, total))
}

fn rows<'py>(py: Python<'py>, changes: &[AddressChange]) -> PyResult<Bound<'py, PyList>> {
    let rows = changes.iter().map(|change| {
        let (old, new) = change.amounts();
        let (size_change, size, count_change, count) = figures(old, new);
        (size_change, size, count_change, count, change.address)
    });
    PyList::new(py, rows.collect::<Vec<_>>())
}

fn figures(old: Amount, new: Amount) -> Figures {
    let (bytes, blocks) = new.change_from(old);
    (bytes, new.bytes, blocks, new.blocks)
}

/// Adds what one group holds under its key. Groups may have the same: what has no file name is None, be it a path
/// without frames or one of those that were folded.
fn add<'py>(dict: &Bound<'py, PyDict>, key: Bound<'py, PyAny>, amount: Amount) -> PyResult<()> {
    let mut sum = stats(amount);
    if let Some(known) = dict.get_item(&key)? {
        let known = known.cast_into::<TraceStats>()?;
        sum.size += known.get().size;
        sum.count += known.get().count;
    }
    dict.set_item(key, sum)
}

/// File name to line to statistics, by the most recent frame.
pub(crate) fn by_file_and_line<'py>(
    py: Python<'py>,
    tables: &Tables,
) -> PyResult<Bound<'py, PyDict>> {
    room::for_paths(tables)?;
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
        add(&lines, line, row.amount)?;
    }
    Ok(files)
}

/// The names that `group_by` takes.
#[pyfunction]
#[or_memory_error]
fn group_by_choices(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
    PyTuple::new(py, crate::api::keys::CHOICES)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(group_by_choices, module)?)?;
    module.add_class::<Grouped>()?;
    module.add_class::<Differences>()
}
