//! The data: live blocks, code objects, call paths, sites with their counters, and the totals with the exact peak.
//!
//! Hooks change the tables; the read-out and the recorder read them. Nothing here walks frames or calls CPython. A
//! change on a known call path takes no lock; an insertion takes the one lock of `memory::lock`.

pub(crate) mod arenas;
pub(crate) mod budget;
pub(crate) mod changed;
pub(crate) mod codes;
pub(crate) mod epochs;
pub(crate) mod history;
pub(crate) mod live_map;
pub(crate) mod mappings;
pub(crate) mod path_filter;
pub(crate) mod recorded;
pub(crate) mod recycle;
pub(crate) mod sampled_blocks;
pub(crate) mod shared_total;
pub(crate) mod side_table;
pub(crate) mod sites;
pub(crate) mod totals;
pub(crate) mod tree;
pub(crate) mod watch;
