//! Snapshots of the standard module, from their pickles: read by a parser that can only build data.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::time::{SystemTime, UNIX_EPOCH};

use heapsight_analysis::standard_snapshot::{self, PickleError};
use heapsight_capture::Header;
use heapsight_capture::model::{Mode, Tables};

/// The first byte of every pickle since protocol 2.
const PROTO: u8 = 0x80;

/// Whether the file begins as a pickle does. Leaves it at its beginning.
pub(crate) fn looks_like_one(mut file: &File) -> io::Result<bool> {
    let mut first = [0];
    let count = file.read(&mut first)?;
    file.rewind()?;
    Ok(count == 1 && first[0] == PROTO)
}

/// Why a pickle gives no snapshot.
#[derive(Debug)]
pub(crate) enum Failure {
    Io(io::Error),
    Pickle(PickleError),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Pickle(error) => error.fmt(f),
        }
    }
}

/// Reads all of `file`. The time of the snapshot is not in it: `modified`, that of the file, comes closest.
pub(crate) fn read(file: File, modified: Option<SystemTime>) -> Result<(Header, Tables), Failure> {
    let mut bytes = Vec::new();
    BufReader::new(file)
        .read_to_end(&mut bytes)
        .map_err(Failure::Io)?;
    let snapshot = standard_snapshot::read(&bytes).map_err(Failure::Pickle)?;
    let since_1970 = modified
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default();
    let header = Header {
        start_unix_ns: u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX),
        mode: Mode::Exact {
            frame_limit: Some(snapshot.traceback_limit),
        },
        ..Header::default()
    };
    Ok((header, snapshot.tables))
}
