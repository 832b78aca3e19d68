//! What `heapsight run` hands over to the interpreter that it becomes.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use heapsight_capture::Header;
use heapsight_capture::model::Mode;
use serde::{Deserialize, Serialize};

/// Environment variable that carries the [`RunSpec`]. Removed before the program's own code runs.
pub const RUN_VARIABLE: &str = "HEAPSIGHT_RUN";

/// `heapsight.pth` looks at this variable only, so it must be set for [`RUN_VARIABLE`] to be found.
pub const SWITCH_VARIABLE: &str = "PYTHONHEAPSIGHT";

/// What [`SWITCH_VARIABLE`] is set to when the user has not set it. Removed with [`RUN_VARIABLE`].
pub const LOOK: &str = "run";

/// The command's first argument when a recorded process asks for its summary. The capture's path follows, and the
/// settings are in [`RUN_VARIABLE`].
pub const SUMMARIZE: &str = "--summarize";

/// Settings of one recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// The capture to write. It exists already, empty. Relative to the working directory at the start.
    #[serde(with = "path_bytes")]
    pub output: PathBuf,
    /// Most recent frames kept of each call path; `None`: all.
    pub frames: Option<u16>,
    /// Mean distance in bytes between samples; `None`: every block is traced.
    pub sample_bytes: Option<u64>,
    /// Bytes for call paths on which nothing is live; `None`: the default.
    #[serde(default)]
    pub budget_bytes: Option<u64>,
    /// Keep threads apart.
    pub threads: bool,
    /// Trace what goes past Python's allocators. The library for it is in `LD_PRELOAD`.
    #[serde(default)]
    pub native: bool,
    /// Milliseconds between two ticks.
    pub tick_ms: u32,
    /// Entries in the summary at exit; `None`: no summary.
    pub top: Option<usize>,
    /// Whether memory of imported code is in these entries.
    #[serde(default)]
    pub imports: bool,
    /// Whether colours were asked for or ruled out.
    #[serde(default)]
    pub color: Option<bool>,
    /// How the user called heapsight, as a shell reads it: for the command to go on with.
    #[serde(default = "default_command")]
    pub command: String,
    /// Record child processes too, each into a file of its own beside `output`.
    #[serde(default)]
    pub follow: bool,
    /// At the end, combine the captures of all processes.
    #[serde(default)]
    pub merge: bool,
    /// The number that all processes of this run have in common.
    #[serde(default)]
    pub run_id: u64,
    /// This process is such a child: `output` is that of the first process.
    #[serde(default)]
    pub is_child: bool,
    /// Answer for `tracemalloc` as well.
    #[serde(default)]
    pub replace_tracemalloc: bool,
    /// The file that must compile before the program starts; `None` when Python itself says what is wrong.
    #[serde(default, with = "path_bytes::optional")]
    pub script: Option<PathBuf>,
    /// The command that prints the summary.
    #[serde(default, with = "path_bytes::optional")]
    pub summarizer: Option<PathBuf>,
    /// What runs, for people.
    pub program: String,
    /// The program's arguments, for people; the first is the program. Very long ones are cut.
    pub argv: Vec<String>,
}

fn default_command() -> String {
    "heapsight".to_owned()
}

/// The value of [`RUN_VARIABLE`] is not one that this version wrote.
#[derive(Debug, thiserror::Error)]
#[error("{RUN_VARIABLE} is set to something that 'heapsight run' did not write: unset it ({0})")]
pub struct InvalidRunSpec(#[from] serde_json::Error);

impl RunSpec {
    /// Reads what [`Self::to_env_value`] wrote.
    ///
    /// # Errors
    /// When the value is something else.
    pub fn from_env_value(value: &str) -> Result<Self, InvalidRunSpec> {
        Ok(serde_json::from_str(value)?)
    }

    /// The value of [`RUN_VARIABLE`].
    ///
    /// # Errors
    /// None that is known of: every field can be written as JSON.
    pub fn to_env_value(&self) -> Result<String, InvalidRunSpec> {
        Ok(serde_json::to_string(self)?)
    }

    /// What the children of this process are to do; `None` when they are not followed. `output` is the first process's
    /// capture, as an absolute path.
    #[must_use]
    pub fn for_children(&self, output: &Path) -> Option<Self> {
        self.follow.then(|| Self {
            output: output.to_path_buf(),
            is_child: true,
            merge: false,
            top: None,
            script: None,
            ..self.clone()
        })
    }

    /// Makes the empty capture of this child: `run-PID.heapsight` beside `run.heapsight`, with a further number if
    /// there is one (a process that has replaced its image keeps its id).
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create_child_output(&self) -> std::io::Result<PathBuf> {
        let stem = self.output.file_stem().unwrap_or_default();
        let mut number = 1_u32;
        loop {
            let mut name = stem.to_owned();
            name.push(format!("-{}", std::process::id()));
            if number > 1 {
                name.push(format!("-{number}"));
            }
            if let Some(extension) = self.output.extension() {
                name.push(".");
                name.push(extension);
            }
            let path = self.output.with_file_name(name);
            match std::fs::File::create_new(&path) {
                Ok(_) => return Ok(path),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Where the captures of all processes are combined: `run-all.heapsight` beside `run.heapsight`.
    #[must_use]
    pub fn combined(output: &Path) -> PathBuf {
        let mut name = output.file_stem().unwrap_or_default().to_owned();
        name.push("-all");
        if let Some(extension) = output.extension() {
            name.push(".");
            name.push(extension);
        }
        output.with_file_name(name)
    }

    /// How blocks are chosen for tracing.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self.sample_bytes {
            Some(mean_bytes) => Mode::Sampled { mean_bytes },
            None => Mode::Exact {
                frame_limit: self.frames.map(u32::from),
            },
        }
    }

    /// Time between two ticks.
    #[must_use]
    pub fn tick(&self) -> Duration {
        Duration::from_millis(u64::from(self.tick_ms))
    }
}

/// The header of the capture that `spec` asks for, with this process's particulars: to be called in the process that is
/// traced, when tracing begins.
#[must_use]
pub fn header_for_run(spec: &RunSpec, python_version: &str) -> Header {
    let text = |path: std::io::Result<PathBuf>| {
        path.map_or_else(
            |_| String::new(),
            |path| path.to_string_lossy().into_owned(),
        )
    };
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Header {
        program: spec.program.clone(),
        argv: spec.argv.clone(),
        working_directory: text(std::env::current_dir()),
        python_version: python_version.to_owned(),
        executable: text(std::env::current_exe()),
        platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        pid: std::process::id(),
        start_unix_ns: u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX),
        mode: spec.mode(),
        by_thread: spec.threads,
        tick_ms: spec.tick_ms,
        heapsight_version: env!("CARGO_PKG_VERSION").to_owned(),
        run_id: spec.run_id,
        is_child: spec.is_child,
    }
}

/// A number that no other run has. Not 0.
#[must_use]
pub fn new_run_id() -> u64 {
    // The keys that Rust gives its tables at random: enough where nobody gains by guessing.
    RandomState::new().hash_one(std::process::id()).max(1)
}

/// Paths as JSON: text, or a list of bytes where they are not UTF-8.
mod path_bytes {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Spelled {
        Text(String),
        Bytes(Vec<u8>),
    }

    impl From<&Path> for Spelled {
        fn from(path: &Path) -> Self {
            match path.to_str() {
                Some(text) => Self::Text(text.to_owned()),
                None => Self::Bytes(path.as_os_str().as_bytes().to_vec()),
            }
        }
    }

    impl From<Spelled> for PathBuf {
        fn from(spelled: Spelled) -> Self {
            match spelled {
                Spelled::Text(text) => Self::from(text),
                Spelled::Bytes(bytes) => Self::from(OsString::from_vec(bytes)),
            }
        }
    }

    pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        Spelled::from(path).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<PathBuf, D::Error> {
        Spelled::deserialize(deserializer).map(PathBuf::from)
    }

    pub(super) mod optional {
        use std::path::PathBuf;

        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        use super::Spelled;

        pub(crate) fn serialize<S: Serializer>(
            path: &Option<PathBuf>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            path.as_deref().map(Spelled::from).serialize(serializer)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<PathBuf>, D::Error> {
            let spelled = Option::<Spelled>::deserialize(deserializer)?;
            Ok(spelled.map(PathBuf::from))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    fn spec() -> RunSpec {
        RunSpec {
            output: "out.heapsight".into(),
            frames: Some(25),
            sample_bytes: None,
            budget_bytes: Some(8 << 20),
            threads: true,
            native: true,
            tick_ms: 100,
            top: Some(10),
            imports: false,
            color: None,
            command: "heapsight".into(),
            follow: false,
            merge: false,
            run_id: 7,
            is_child: false,
            replace_tracemalloc: false,
            script: Some("app.py".into()),
            summarizer: Some(OsStr::from_bytes(b"/opt/caf\xe9/heapsight").into()),
            program: "app.py".into(),
            argv: vec!["app.py".into(), "\u{fffd}".into()],
        }
    }

    #[test]
    fn settings_survive_the_environment() {
        let not_unicode = OsStr::from_bytes(b"caf\xe9.heapsight");
        for output in [PathBuf::from("ü.heapsight"), PathBuf::from(not_unicode)] {
            let spec = RunSpec { output, ..spec() };
            let value = spec.to_env_value().expect("JSON");
            assert_eq!(RunSpec::from_env_value(&value).expect("JSON"), spec);
        }
    }

    #[test]
    fn a_value_from_elsewhere_is_refused_in_one_line() {
        for value in ["", "1", "{}", "{\"output\":3}"] {
            let error = RunSpec::from_env_value(value)
                .expect_err("no settings")
                .to_string();
            assert!(
                error.starts_with("HEAPSIGHT_RUN is set to something"),
                "{error}"
            );
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn children_get_a_file_each_and_print_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let output = folder.path().join("run.heapsight");
        assert_eq!(spec().for_children(&output), None);
        let following = RunSpec {
            follow: true,
            ..spec()
        };
        let child = following.for_children(&output).expect("it follows");
        assert_eq!(
            (child.top, child.is_child, child.follow),
            (None, true, true)
        );
        let names: Vec<String> = (0..2)
            .map(|_| {
                let path = child.create_child_output().expect("writable");
                let name = path.file_name().expect("a file").to_owned();
                name.into_string().expect("UTF-8")
            })
            .collect();
        let pid = std::process::id();
        let expected = [
            format!("run-{pid}.heapsight"),
            format!("run-{pid}-2.heapsight"),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn the_header_tells_of_this_process() {
        let header = header_for_run(&spec(), "3.13.1");
        assert_eq!(header.pid, std::process::id());
        assert_eq!(
            header.mode,
            Mode::Exact {
                frame_limit: Some(25)
            }
        );
        assert_eq!(
            header.platform,
            format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
        );
        assert!(header.start_unix_ns > 1_700_000_000_000_000_000);
        assert_eq!((header.run_id, header.is_child), (7, false));
        let sampled = RunSpec {
            sample_bytes: Some(4096),
            ..spec()
        };
        assert_eq!(
            header_for_run(&sampled, "").mode,
            Mode::Sampled { mean_bytes: 4096 }
        );
    }
}
