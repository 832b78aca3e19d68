//! Who called: the user, or `python -m heapsight`, which says what it knows.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use heapsight_cli::Interpreter;

use crate::installation;

/// The first argument when `heapsight/_cli.py` calls. What follows, up to `--`, are words like `flag=-I`.
const FROM_PYTHON: &str = "--from-python";

/// Who called, and what that says of the interpreter.
#[derive(Debug)]
pub(crate) enum Caller {
    /// The executable was called by its name.
    User(OsString),
    /// `python -m heapsight`.
    Python {
        /// `sys.executable` and the options that it was started with.
        interpreter: Interpreter,
        /// How the user called it.
        command: Vec<OsString>,
        /// `platform.python_version()`.
        version: Option<String>,
        /// Why a new interpreter could not start tracing.
        problem: Option<String>,
    },
}

impl Caller {
    /// Tells who called, and gives the arguments that are the user's.
    pub(crate) fn of(program: OsString, mut argv: Vec<OsString>) -> (Self, Vec<OsString>) {
        let is_python = argv.first().is_some_and(|word| word == FROM_PYTHON);
        let end = argv.iter().position(|word| word == "--");
        let (true, Some(end)) = (is_python, end) else {
            return (Self::User(program), argv);
        };
        let rest = argv.split_off(end + 1);
        let of = |name: &str| -> Vec<OsString> {
            let words = argv[1..end].iter();
            words.filter_map(|word| value(word, name)).collect()
        };
        let text = |name| {
            let found = of(name).pop();
            found.map(|text| text.to_string_lossy().into_owned())
        };
        let caller = Self::Python {
            interpreter: Interpreter {
                executable: of("executable").pop().unwrap_or_default().into(),
                flags: of("flag"),
                preload: of("preload").pop().unwrap_or_default().into(),
            },
            command: of("command"),
            version: text("version"),
            problem: text("problem"),
        };
        (caller, rest)
    }

    /// The words that the user called heapsight with.
    pub(crate) fn command(&self) -> Vec<OsString> {
        match self {
            Self::User(program) => vec![program.clone()],
            Self::Python { command, .. } => command.clone(),
        }
    }

    /// The interpreter to run a program with. Where only Python can tell whether the interpreter that is found here
    /// starts tracing, `python -m heapsight` takes this process's place; `argv` is for that.
    pub(crate) fn interpreter(&self, argv: &[OsString]) -> Result<Interpreter, String> {
        match self {
            Self::Python {
                problem: Some(problem),
                ..
            } => Err(problem.clone()),
            Self::Python { interpreter, .. } => Ok(interpreter.clone()),
            Self::User(_) => {
                let (interpreter, is_sure) = installation::interpreter()?;
                if is_sure {
                    return Ok(interpreter);
                }
                let mut command = Command::new(&interpreter.executable);
                let error = command.args(["-m", "heapsight"]).args(argv).exec();
                let name = interpreter.executable.display();
                Err(format!("cannot start {name}: {error}"))
            }
        }
    }

    /// The interpreter's version.
    pub(crate) fn python_version(&self) -> Option<String> {
        let Self::User(_) = self else {
            let Self::Python { version, .. } = self else {
                return None;
            };
            return version.clone();
        };
        let (interpreter, _) = installation::interpreter().ok()?;
        let said = Command::new(interpreter.executable).arg("-V").output();
        let said = String::from_utf8(said.ok()?.stdout).ok()?;
        said.trim().strip_prefix("Python ").map(str::to_owned)
    }
}

/// What follows `name=`.
fn value(word: &OsStr, name: &str) -> Option<OsString> {
    let rest = word.as_bytes().strip_prefix(name.as_bytes())?;
    Some(OsString::from_vec(rest.strip_prefix(b"=")?.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> (Caller, Vec<OsString>) {
        Caller::of(
            "heapsight".into(),
            words.iter().map(OsString::from).collect(),
        )
    }

    #[test]
    fn the_users_arguments_are_left_alone() {
        let words = ["run", "app.py", "--", "--from-python", "flag=-I"];
        let (caller, argv) = of(&words);
        assert_eq!(caller.command(), ["heapsight"]);
        assert_eq!(argv, words);
    }

    #[test]
    fn python_says_how_it_was_called_and_what_it_is() {
        let (caller, argv) = of(&[
            "--from-python",
            "executable=/usr/bin/python3",
            "version=3.13.1",
            "command=python3",
            "command=-m",
            "flag=-I",
            "flag=-Xa=b",
            "--",
            "top",
            "--",
            "a=b",
        ]);
        assert_eq!(argv, ["top", "--", "a=b"]);
        assert_eq!(caller.command(), ["python3", "-m"]);
        assert_eq!(caller.python_version(), Some("3.13.1".to_owned()));
        let interpreter = caller.interpreter(&argv).expect("Python knows");
        assert_eq!(interpreter.executable.as_os_str(), "/usr/bin/python3");
        assert_eq!(interpreter.flags, ["-I", "-Xa=b"]);
    }

    #[test]
    fn an_interpreter_that_cannot_start_tracing_says_why() {
        let (caller, argv) = of(&["--from-python", "problem=leave -S out", "--", "run"]);
        assert_eq!(caller.interpreter(&argv), Err("leave -S out".to_owned()));
    }

    #[test]
    fn bytes_that_are_no_text_come_through() {
        let word = OsString::from_vec(b"command=caf\xe9".to_vec());
        let words = vec![FROM_PYTHON.into(), word, "--".into()];
        let (caller, _) = Caller::of("heapsight".into(), words);
        assert_eq!(caller.command(), [OsString::from_vec(b"caf\xe9".to_vec())]);
    }
}
