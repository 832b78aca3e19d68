//! What the tables of a capture say: statistics, differences, filters and shorter call paths.
//!
//! Everything here is a pure function of [`Tables`](heapsight_capture::model::Tables), and costs time in proportion to
//! the number of distinct call paths, never to the number of blocks; only `AddressJoin` is about single blocks.
//!
//! All functions expect tables whose ids are in range, as those of a [`Capture`](heapsight_capture::Capture) are, and
//! panic otherwise.
//!
//! # Example
//!
//! ```
//! use heapsight_analysis::{GroupBy, Key, Query, group};
//!
//! # use heapsight_analysis::{EventLog, NO_CALLER};
//! # use heapsight_capture::{Capture, Header, Writer, model::Domain};
//! # let header = Header::default();
//! # let mut file = Vec::new();
//! # let mut log = EventLog::new(Writer::create(&mut file, &header)?);
//! # let main = log.code("main", "app.py", 1);
//! # let main = log.call(NO_CALLER, main, 3);
//! # let site = log.site(main, Domain::OBJ);
//! # log.allocate(0x1000, 512, site);
//! # log.allocate(0x2000, 512, site);
//! # log.tick(1_000_000_000, 0)?;
//! # log.finish(1_000_000_000)?;
//! # let capture = Capture::read(&file[..])?;
//! // `capture` is of a program that holds two blocks of 512 bytes, from line 3 of app.py.
//! let grouped = group(&capture.tables, Query { group_by: GroupBy::Line, ..Query::default() });
//! assert_eq!(grouped.rows[0].key, Key::Line(Some(("app.py", 3))));
//! assert_eq!((grouped.total.bytes, grouped.total.blocks), (1024, 2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod account;
mod addresses;
mod amount;
mod builder;
pub mod call_tree;
mod columns;
mod cumulative;
mod difference;
mod event_log;
mod filter;
mod group;
mod heaviest;
mod imports;
mod index;
mod key;
mod merge;
mod moment;
mod names;
pub mod path;
pub mod recording;
mod resident;
mod sampling;
mod sum;
mod threads;
pub mod tracemalloc_snapshot;
pub mod traces;
mod truncate;

pub use account::Meaning;
pub use addresses::{AddressChange, AddressJoin, BiggestChanges};
pub use amount::{Amount, Metric, add_counters};
pub use columns::{ColumnLimits, Columns, SiteChange};
pub use difference::{Change, Difference};
pub use event_log::{EventLog, NO_CALLER};
pub use filter::{Filter, apply_filters, apply_shown_filters, keep};
pub use group::{Grouped, Others, Query, Row, group, group_counters};
pub use heaviest::{Heaviest, heaviest_path};
pub use imports::{
    ImportSum, Imports, import_sites, is_import_key, is_import_path, is_import_system, is_own_code,
};
pub use key::{GroupBy, Key};
pub use merge::{Changes, Merge};
pub use moment::live_at_peak;
pub use names::{ShortName, library_path, short_name};
pub use resident::{HighestResident, MergedResident, Resident, highest_resident};
pub use sampling::{margin_bytes, standard_error_bytes};
pub use threads::name_threads;
pub use truncate::{apply_frame_limit, truncate, truncate_with_sites};
