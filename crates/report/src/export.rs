//! Captures in the formats of other programs.

mod collapsed;
mod csv;
mod firefox;
mod json;
#[cfg(feature = "parquet")]
mod parquet;
mod pprof;
mod rows;
mod speedscope;
mod stacks;

pub(crate) use json::{bounds as bounds_json, header as header_json, missing as missing_json};

use std::io::{self, Write};

use heapsight_analysis::{GroupBy, Metric};
use heapsight_capture::Capture;

/// A format that other programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Gzipped protobuf of `go tool pprof`; also read by Pyroscope, Parca, Perfetto, speedscope and others.
    Pprof,
    /// One line for each stack, as `flamegraph.pl`, inferno and many others read it.
    Collapsed,
    /// JSON of <https://www.speedscope.app>.
    Speedscope,
    /// JSON of <https://profiler.firefox.com>.
    Firefox,
    /// Columns for DuckDB, Polars, pandas, Spark.
    Parquet,
    /// A table as text.
    Csv,
    /// Everything that is known, for programs of one's own.
    Json,
}

impl Format {
    /// Every format, in the order in which they are listed to people.
    pub const ALL: [Self; 7] = [
        Self::Pprof,
        Self::Collapsed,
        Self::Speedscope,
        Self::Firefox,
        Self::Parquet,
        Self::Csv,
        Self::Json,
    ];

    /// The word for it on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pprof => "pprof",
            Self::Collapsed => "collapsed",
            Self::Speedscope => "speedscope",
            Self::Firefox => "firefox",
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    /// Whether such a file has a figure for each metric, whichever was asked for.
    #[must_use]
    pub fn tells_all_metrics(self) -> bool {
        match self {
            Self::Pprof | Self::Parquet | Self::Csv | Self::Json => true,
            Self::Collapsed | Self::Speedscope | Self::Firefox => false,
        }
    }

    /// How names of such files end.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Pprof => "pb.gz",
            Self::Collapsed => "collapsed.txt",
            Self::Speedscope => "speedscope.json",
            Self::Firefox => "firefox.json",
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    /// How to look at such a file, given its name as a shell takes it.
    #[must_use]
    pub fn how_to_open(self, file: &str) -> String {
        match self {
            Self::Pprof => format!("go tool pprof -http=: {file}"),
            Self::Collapsed => format!("flamegraph.pl --countname bytes {file} > flame.svg"),
            Self::Speedscope => format!("npx speedscope {file}"),
            Self::Firefox => "load it at https://profiler.firefox.com".to_owned(),
            Self::Parquet | Self::Csv => format!("duckdb -c \"FROM '{file}'\""),
            Self::Json => format!("jq .totals {file}"),
        }
    }
}

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportOptions {
    /// Which memory a stack's weight is. Formats with room for several have the others too.
    pub metric: Metric,
    /// Stack formats: what a frame shows (file and line, function or file), or domain or thread instead of frames.
    /// Tables: one row for each such key. `None`: everything there is.
    pub group_by: Option<GroupBy>,
}

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// This heapsight was built without the format.
    #[error(
        "this heapsight was built without {0} export: install a published wheel, or build it with 'make wheel'"
    )]
    NotBuilt(&'static str),
}

/// How many bytes the file will have, roughly, if its format spells out every stack frame by frame: the only thing that
/// makes a large file of a small capture. `None` for other formats.
#[must_use]
pub fn expected_bytes(capture: &Capture, format: Format, options: &ExportOptions) -> Option<u64> {
    match format {
        Format::Collapsed => Some(collapsed::expected_bytes(capture, options)),
        Format::Speedscope => Some(speedscope::expected_bytes(capture, options)),
        Format::Pprof | Format::Firefox | Format::Parquet | Format::Csv | Format::Json => None,
    }
}

/// Writes `capture` to `out`, which should be buffered.
///
/// # Errors
/// When `out` fails, or when support for the format was left out of the build.
pub fn export(
    capture: &Capture,
    format: Format,
    options: &ExportOptions,
    out: &mut (dyn Write + Send),
) -> Result<(), ExportError> {
    match format {
        Format::Pprof => pprof::write(capture, options, out)?,
        Format::Collapsed => collapsed::write(capture, options, out)?,
        Format::Speedscope => speedscope::write(capture, options, out)?,
        Format::Firefox => firefox::write(capture, options, out)?,
        Format::Csv => csv::write(capture, options, out)?,
        Format::Json => json::write(capture, out)?,
        #[cfg(feature = "parquet")]
        Format::Parquet => parquet::write(capture, options, out)?,
        #[cfg(not(feature = "parquet"))]
        Format::Parquet => return Err(ExportError::NotBuilt("parquet")),
    }
    Ok(())
}
