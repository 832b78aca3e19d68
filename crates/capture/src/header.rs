//! What a capture says about the program that it was made from.
//!
//! Stored as fields of (tag, length, value): a reader skips tags that it does not know.

use crate::model::Mode;
use crate::varint::{Input, Malformed, put, put_bytes};

/// What was traced, where, when and how. The first frame of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What ran: the script's path as it was given, `-m module` or `-c`.
    pub program: String,
    /// `sys.argv`.
    pub argv: Vec<String>,
    /// Working directory when the program started; relative file names start from it.
    pub working_directory: String,
    /// For example `3.13.1`.
    pub python_version: String,
    /// Path of the interpreter.
    pub executable: String,
    /// For example `linux-x86_64`.
    pub platform: String,
    /// Process id.
    pub pid: u32,
    /// When tracing began: nanoseconds since 1970-01-01 UTC.
    pub start_unix_ns: u64,
    /// How blocks were chosen.
    pub mode: Mode,
    /// Whether threads are kept apart (the outermost element of each call path is a thread).
    pub by_thread: bool,
    /// Nominal time between two ticks, in milliseconds; 0 when the capture is a single snapshot.
    pub tick_ms: u32,
    /// Version of heapsight that wrote the file.
    pub heapsight_version: String,
    /// The same number in the captures of all processes of one run, and in no other; 0 when it is unknown.
    pub run_id: u64,
    /// Whether this is a child process of the run's first one.
    pub is_child: bool,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            program: String::new(),
            argv: Vec::new(),
            working_directory: String::new(),
            python_version: String::new(),
            executable: String::new(),
            platform: String::new(),
            pid: 0,
            start_unix_ns: 0,
            mode: Mode::Exact { frame_limit: None },
            by_thread: false,
            tick_ms: 0,
            heapsight_version: String::new(),
            run_id: 0,
            is_child: false,
        }
    }
}

mod tag {
    pub const PROGRAM: u64 = 1;
    /// Once for each argument.
    pub const ARGUMENT: u64 = 2;
    pub const WORKING_DIRECTORY: u64 = 3;
    pub const PYTHON_VERSION: u64 = 4;
    pub const EXECUTABLE: u64 = 5;
    pub const PLATFORM: u64 = 6;
    pub const PID: u64 = 7;
    pub const START_UNIX_NS: u64 = 8;
    /// Exact with a limit on frames; exact without a limit is the default.
    pub const FRAME_LIMIT: u64 = 9;
    pub const SAMPLED_MEAN_BYTES: u64 = 10;
    pub const BY_THREAD: u64 = 11;
    pub const TICK_MS: u64 = 12;
    pub const HEAPSIGHT_VERSION: u64 = 13;
    pub const RUN_ID: u64 = 14;
    pub const IS_CHILD: u64 = 15;
}

impl Header {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut text = |tag: u64, value: &str| {
            put(out, tag);
            put_bytes(out, value.as_bytes());
        };
        text(tag::PROGRAM, &self.program);
        for argument in &self.argv {
            text(tag::ARGUMENT, argument);
        }
        text(tag::WORKING_DIRECTORY, &self.working_directory);
        text(tag::PYTHON_VERSION, &self.python_version);
        text(tag::EXECUTABLE, &self.executable);
        text(tag::PLATFORM, &self.platform);
        text(tag::HEAPSIGHT_VERSION, &self.heapsight_version);

        let mut number = |tag: u64, value: u64| {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            put(out, tag);
            put_bytes(out, &bytes);
        };
        number(tag::PID, u64::from(self.pid));
        number(tag::START_UNIX_NS, self.start_unix_ns);
        match self.mode {
            Mode::Exact { frame_limit: None } => {}
            Mode::Exact {
                frame_limit: Some(limit),
            } => number(tag::FRAME_LIMIT, u64::from(limit)),
            Mode::Sampled { mean_bytes } => number(tag::SAMPLED_MEAN_BYTES, mean_bytes),
        }
        number(tag::BY_THREAD, u64::from(self.by_thread));
        number(tag::TICK_MS, u64::from(self.tick_ms));
        if self.run_id != 0 {
            number(tag::RUN_ID, self.run_id);
        }
        if self.is_child {
            number(tag::IS_CHILD, 1);
        }
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut header = Self::default();
        let mut input = Input::new(payload);
        while !input.is_empty() {
            let tag = input.varint()?;
            let value = input.length_and_bytes()?;
            let text = || {
                String::from_utf8(value.to_vec()).map_err(|_| "a text of the header is not UTF-8")
            };
            let number = || Input::new(value).varint();
            let number32 = || Input::new(value).varint32();
            match tag {
                tag::PROGRAM => header.program = text()?,
                tag::ARGUMENT => header.argv.push(text()?),
                tag::WORKING_DIRECTORY => header.working_directory = text()?,
                tag::PYTHON_VERSION => header.python_version = text()?,
                tag::EXECUTABLE => header.executable = text()?,
                tag::PLATFORM => header.platform = text()?,
                tag::PID => header.pid = number32()?,
                tag::START_UNIX_NS => header.start_unix_ns = number()?,
                tag::FRAME_LIMIT => {
                    header.mode = Mode::Exact {
                        frame_limit: Some(number32()?),
                    };
                }
                tag::SAMPLED_MEAN_BYTES => {
                    header.mode = Mode::Sampled {
                        mean_bytes: number()?,
                    };
                }
                tag::BY_THREAD => header.by_thread = number()? != 0,
                tag::TICK_MS => header.tick_ms = number32()?,
                tag::HEAPSIGHT_VERSION => header.heapsight_version = text()?,
                tag::RUN_ID => header.run_id = number()?,
                tag::IS_CHILD => header.is_child = number()? != 0,
                _ => {}
            }
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Header {
        Header {
            program: "app.py".into(),
            argv: vec!["app.py".into(), String::new(), "-h".into()],
            working_directory: "/home/ann".into(),
            python_version: "3.13.1".into(),
            executable: "/usr/bin/python3".into(),
            platform: "linux-x86_64".into(),
            pid: 4711,
            start_unix_ns: 1_790_000_000_000_000_000,
            mode: Mode::Exact {
                frame_limit: Some(25),
            },
            by_thread: true,
            tick_ms: 100,
            heapsight_version: "0.1.0".into(),
            run_id: u64::MAX,
            is_child: true,
        }
    }

    #[test]
    fn every_field_and_mode_comes_back() {
        for mode in [
            Mode::Exact { frame_limit: None },
            Mode::Exact {
                frame_limit: Some(1),
            },
            Mode::Sampled {
                mean_bytes: 524_288,
            },
        ] {
            let header = Header { mode, ..full() };
            let mut payload = Vec::new();
            header.encode(&mut payload);
            assert_eq!(Header::decode(&payload), Ok(header));
        }
    }

    #[test]
    fn a_field_from_a_later_version_is_skipped() {
        let mut payload = Vec::new();
        put(&mut payload, 9999);
        put_bytes(&mut payload, b"\xff\xfe");
        full().encode(&mut payload);
        assert_eq!(Header::decode(&payload), Ok(full()));
    }
}
