//! What memory is grouped by.

use heapsight_capture::model::{Domain, NodeId, Tables};

use crate::path::frames;

/// A way to group allocation sites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GroupBy {
    /// File and line of the most recent frame.
    #[default]
    Line,
    /// File and qualified name of the most recent function.
    Function,
    /// File of the most recent frame.
    Filename,
    /// The whole call path.
    Traceback,
    /// Allocator domain.
    Domain,
    /// Thread that allocated. Unknown unless threads were kept apart.
    Thread,
}

impl GroupBy {
    /// Every grouping, in the order in which they are listed to people.
    pub const ALL: [Self; 6] = [
        Self::Line,
        Self::Function,
        Self::Filename,
        Self::Traceback,
        Self::Domain,
        Self::Thread,
    ];

    /// The word for it, on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Function => "function",
            Self::Filename => "filename",
            Self::Traceback => "traceback",
            Self::Domain => "domain",
            Self::Thread => "thread",
        }
    }

    /// Whether several keys can be on one call path, so that cumulative figures differ from plain ones.
    #[must_use]
    pub fn can_be_cumulative(self) -> bool {
        matches!(self, Self::Line | Self::Function | Self::Filename)
    }
}

/// One value of a [`GroupBy`]. `None` is what has no frame (or no thread): memory asked for outside Python code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key<'t> {
    /// A file and a line; line 0 is unknown.
    Line(Option<(&'t str, u32)>),
    /// A file and a qualified name.
    Function(Option<(&'t str, &'t str)>),
    /// A file.
    Filename(Option<&'t str>),
    /// A call path; see [`frames`].
    Traceback(NodeId),
    /// An allocator domain.
    Domain(Domain),
    /// A thread's name.
    Thread(Option<&'t str>),
}

impl Key<'_> {
    /// Orders keys of one kind and of the same `tables`: unknown first, then by name and line, paths frame by frame
    /// from the most recent.
    #[must_use]
    pub fn compare(&self, other: &Self, tables: &Tables) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Line(a), Self::Line(b)) => a.cmp(b),
            (Self::Function(a), Self::Function(b)) => a.cmp(b),
            (Self::Filename(a), Self::Filename(b)) | (Self::Thread(a), Self::Thread(b)) => a.cmp(b),
            (Self::Traceback(a), Self::Traceback(b)) => {
                let frames =
                    |node: &NodeId| frames(tables, *node).map(|frame| (frame.filename, frame.line));
                frames(a).cmp(frames(b))
            }
            (Self::Domain(a), Self::Domain(b)) => a.cmp(b),
            _ => std::cmp::Ordering::Equal,
        }
    }
}
