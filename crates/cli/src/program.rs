//! What to run, and whether it can be run at all.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::args::RunOptions;
use crate::failure::Failure;

/// Longest part of the default file name that names the program, in characters.
const LONGEST_NAME: usize = 40;

/// How Python is told what to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program<'a> {
    /// A file, or a directory or archive with a `__main__`; `-` is standard input.
    Script(&'a Path),
    /// `-m`.
    Module(&'a OsStr),
    /// `-c`.
    Code(&'a OsStr),
}

impl<'a> Program<'a> {
    /// What `options` asks for, and the arguments that follow.
    pub(crate) fn of(options: &'a RunOptions) -> Result<(Self, &'a [OsString]), Failure> {
        let split = |words: &'a [OsString]| words.split_first();
        let given = |words: &'a Option<Vec<OsString>>| words.as_deref().and_then(split);
        if let Some((module, arguments)) = given(&options.module) {
            Ok((Self::Module(module), arguments))
        } else if let Some((code, arguments)) = given(&options.code) {
            Ok((Self::Code(code), arguments))
        } else if let Some((script, arguments)) = split(&options.script) {
            Ok((Self::Script(Path::new(script)), arguments))
        } else {
            Err(Failure::Usage(
                "give a script to run, -m MODULE or -c CODE".to_owned(),
            ))
        }
    }

    /// The words of the interpreter's command line that name the program.
    pub(crate) fn words(&self) -> Vec<&'a OsStr> {
        match self {
            Self::Script(path)
                if path.as_os_str().as_encoded_bytes().starts_with(b"-") && !self.is_stdin() =>
            {
                vec![OsStr::new("--"), path.as_os_str()]
            }
            Self::Script(path) => vec![path.as_os_str()],
            Self::Module(module) => vec![OsStr::new("-m"), module],
            Self::Code(code) => vec![OsStr::new("-c"), code],
        }
    }

    /// What reports call it.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Script(path) => path.to_string_lossy().into_owned(),
            Self::Module(module) => format!("-m {}", module.to_string_lossy()),
            Self::Code(_) => "-c".to_owned(),
        }
    }

    /// What the default capture file is called after it: letters, digits, `.`, `_` and `-` only.
    pub(crate) fn file_name(&self) -> String {
        let name = match self {
            Self::Script(_) if self.is_stdin() => "stdin".into(),
            Self::Script(path) => {
                // `.` and `..` have no name of their own.
                let resolved = match path.file_stem() {
                    Some(_) => path.to_path_buf(),
                    None => path.canonicalize().unwrap_or_default(),
                };
                let stem = resolved.file_stem().unwrap_or_default();
                stem.to_string_lossy().into_owned().into()
            }
            Self::Module(module) => module.to_string_lossy(),
            Self::Code(_) => "code".into(),
        };
        let safe = name
            .chars()
            .take(LONGEST_NAME)
            .map(|character| match character {
                '.' | '_' | '-' => character,
                _ if character.is_alphanumeric() => character,
                _ => '_',
            });
        safe.collect()
    }

    /// Finds what Python would find wrong before it runs anything, but for the syntax: gives the file of which that is
    /// to be looked at, by the interpreter that is to run it. Modules and code are left to Python itself, whose message
    /// is as good.
    pub(crate) fn check(&self) -> Result<Option<PathBuf>, Failure> {
        let Self::Script(path) = self else {
            return Ok(None);
        };
        if self.is_stdin() {
            return Ok(None);
        }
        let unreadable = |source| Failure::UnreadableScript {
            path: path.to_path_buf(),
            source,
        };
        let metadata = fs::metadata(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Failure::NoScript(path.to_path_buf()),
            _ => unreadable(error),
        })?;
        let source = if metadata.is_dir() {
            let source = path.join("__main__.py");
            if !source.exists() {
                let compiled = path.join("__main__.pyc").exists();
                return if compiled {
                    Ok(None)
                } else {
                    Err(Failure::NoMain(path.to_path_buf()))
                };
            }
            source
        } else if metadata.is_file() {
            path.to_path_buf()
        } else {
            // Reading a pipe would take the program away from Python.
            return Ok(None);
        };
        fs::File::open(&source).map_err(unreadable)?;
        Ok(Some(source))
    }

    fn is_stdin(&self) -> bool {
        matches!(self, Self::Script(path) if path.as_os_str() == "-")
    }
}
