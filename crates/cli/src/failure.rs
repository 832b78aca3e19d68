//! Why a command was not carried out, in one line, and the exit status that goes with it.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use heapsight_analysis::tracemalloc_snapshot::PickleError;
use heapsight_capture::ReadError;
use heapsight_terminal::TerminalError;

/// Status when a file is not what it should be, or tracing cannot start.
const STATUS_FAILED: i32 = 1;
/// Status when the command cannot be carried out as given. Python's own for a missing script.
const STATUS_REFUSED: i32 = 2;
/// Status when input or output failed: `EX_IOERR` of `sysexits.h`.
const STATUS_IO: i32 = 74;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    BadValue(String),
    #[error("no such script: {}", .0.display())]
    NoScript(PathBuf),
    #[error("{} is a directory without a __main__.py: name the script to run", .0.display())]
    NoMain(PathBuf),
    #[error("cannot read the script {}: {source}", path.display())]
    UnreadableScript { path: PathBuf, source: io::Error },
    #[error("{} is neither a file nor a device: give another name with -o", .0.display())]
    OutputIsSpecial(PathBuf),
    #[error("cannot write {}: {source}", path.display())]
    CannotWrite { path: PathBuf, source: io::Error },
    #[error("{0}")]
    HandOver(String),
    #[error("cannot start {}: {source}", path.display())]
    Exec { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Unreadable { path: PathBuf, source: ReadError },
    #[error("no such file: {}", .0.display())]
    NoFile(PathBuf),
    #[error("no such file or command: {}; see 'heapsight --help'", .0.display())]
    NeitherCommandNorFile(PathBuf),
    #[error(
        "no such file: {file}, and {moment} is no moment: give peak, end, or a time such as 12.5, 300ms, 2m or 1h \
         after the @",
        file = .0.display(),
        moment = .1
    )]
    NoFileNorMoment(PathBuf, String),
    #[error("{} exists: give another name with -o, or --force to overwrite it", .0.display())]
    FileExists(PathBuf),
    #[error("{}: {source}", path.display())]
    BadPickle { path: PathBuf, source: PickleError },
    #[error("{} is a recording of memray, but cannot be read: {reason}", path.display())]
    OfMemray {
        path: PathBuf,
        reason: heapsight_memray::ReadError,
    },
    #[error(
        "{} was recorded with memray's --aggregate and tells only what was live at the end and at the peak: \
         {unknown} is not known",
        path.display()
    )]
    EndsOnly {
        path: PathBuf,
        unknown: &'static str,
    },
    #[error(
        "{files} of another run, whose first process is not among these files: leave {pronoun} out",
        files = is_or_are(.files),
        pronoun = if .files.len() == 1 { "it" } else { "them" }
    )]
    OfAnotherRun { files: Vec<PathBuf> },
    #[error(
        "{files} of another run than {newest}: leave {pronoun} out, or name only the first process of each run",
        files = is_or_are(.files),
        newest = .newest.display(),
        pronoun = if .files.len() == 1 { "it" } else { "them" }
    )]
    OfOtherRuns {
        files: Vec<PathBuf>,
        newest: PathBuf,
    },
    #[error(
        "{} has no table of blocks, which {option} needs: \
         record it with traces, as Snapshot.create(with_traces=True) does",
        path.display()
    )]
    NoBlocks { path: PathBuf, option: &'static str },
    #[error("{}: the snapshot is incomplete, only a part was read: {what}", path.display())]
    Incomplete { path: PathBuf, what: String },
    #[error("{0}: {1}")]
    NoView(TerminalError, &'static str),
    #[error("cannot write the report: {0}")]
    Report(#[from] io::Error),
}

impl Failure {
    /// The exit status.
    pub(crate) fn status(&self) -> i32 {
        match self {
            Self::HandOver(_)
            | Self::Exec { .. }
            | Self::BadPickle { .. }
            | Self::OfMemray { .. }
            | Self::EndsOnly { .. }
            | Self::Incomplete { .. }
            | Self::NoBlocks { .. } => STATUS_FAILED,
            Self::Unreadable { source, .. } => match source {
                ReadError::Io(error) if is_about_the_name(error) => STATUS_REFUSED,
                ReadError::Io(_) => STATUS_IO,
                _ => STATUS_FAILED,
            },
            Self::Usage(_)
            | Self::BadValue(_)
            | Self::NoScript(_)
            | Self::NoFile(_)
            | Self::NoFileNorMoment(..)
            | Self::NoMain(_)
            | Self::UnreadableScript { .. }
            | Self::FileExists(_)
            | Self::OfAnotherRun { .. }
            | Self::OfOtherRuns { .. }
            | Self::NoView(..)
            | Self::OutputIsSpecial(_)
            | Self::NeitherCommandNorFile(_) => STATUS_REFUSED,
            Self::CannotWrite { source, .. } if is_about_the_name(source) => STATUS_REFUSED,
            Self::CannotWrite { .. } | Self::Report(_) => STATUS_IO,
        }
    }
}

/// Names of files, as the subject of a sentence.
fn is_or_are(files: &[PathBuf]) -> String {
    let names: Vec<String> = files
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    match &names[..] {
        [name] => format!("{name} is"),
        names => format!("{} are", names.join(", ")),
    }
}

/// Whether another name would help, rather than another disk.
fn is_about_the_name(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::AlreadyExists
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::InvalidFilename
            | ErrorKind::InvalidInput
    )
}
