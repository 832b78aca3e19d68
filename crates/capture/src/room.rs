//! Memory for what a file says that it holds: where there is none, reading fails, and the process goes on.

use crate::varint::Malformed;

/// Stands for want of memory among the things that can be wrong with a payload. It is no damage:
/// reading fails with an error of the source.
pub(crate) const NO_MEMORY: Malformed = "there is no memory for it";

/// Makes room for `count` more elements.
///
/// # Errors
/// [`NO_MEMORY`].
pub(crate) fn reserve<T>(elements: &mut Vec<T>, count: usize) -> Result<(), Malformed> {
    elements.try_reserve(count).map_err(|_| NO_MEMORY)
}

/// An empty vector with room for `count` elements.
///
/// # Errors
/// [`NO_MEMORY`].
pub(crate) fn with_capacity<T>(count: usize) -> Result<Vec<T>, Malformed> {
    let mut elements = Vec::new();
    reserve(&mut elements, count)?;
    Ok(elements)
}
