//! Where the resident memory of this process is.

use heapsight_analysis::Meaning;
use heapsight_capture::account::Part;
use heapsight_report::{Look, account_sentence, account_table};
use pyo3::prelude::*;

/// Figures of an account: parts and what else is known, by their keys.
type Figures = Vec<(&'static str, u64)>;

/// Parts, other figures, what they mean in one word and in one sentence, and a table of them.
#[pyfunction]
fn process_account() -> PyResult<(Figures, Figures, &'static str, String, String)> {
    let account = heapsight_tracer::account()?;
    let parts = Part::ALL.map(|part| (part.key(), account.part(part)));
    let others = vec![
        ("resident", account.resident_bytes),
        ("private", account.private_bytes),
        ("copy_on_write", account.copy_on_write_bytes),
        ("huge", account.huge_bytes),
        ("swapped", account.swapped_bytes),
    ];
    let (meaning, _) = Meaning::of(&account);
    Ok((
        parts.to_vec(),
        others,
        meaning.key(),
        account_sentence(&account),
        account_table(&account, &Look::plain(100)),
    ))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(process_account, module)?)
}
