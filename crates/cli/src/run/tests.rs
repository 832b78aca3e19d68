use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::Interpreter;
use crate::args::{Arguments, Command as Chosen};

fn interpreter() -> Result<Interpreter, String> {
    Ok(Interpreter {
        executable: "/usr/bin/python3".into(),
        flags: vec!["-X".into(), "dev".into()],
        preload: "libheapsight_preload.so".into(),
    })
}

/// Prepares `heapsight run WORDS` and gives the command line that the process would become.
fn prepared(words: &[&str]) -> Result<Command, Failure> {
    let context = Context {
        command: vec!["heapsight".into()],
        interpreter: &interpreter,
        python_version: &|| None,
    };
    let argv: Vec<OsString> = ["run"].iter().chain(words).map(OsString::from).collect();
    let arguments =
        Arguments::parse(&argv, &|| None, 100).unwrap_or_else(|error| panic!("{argv:?}: {error}"));
    let Chosen::Run(options) = arguments.command else {
        panic!("{arguments:?}");
    };
    prepare(&context, &options).map(|prepared| prepared.command)
}

fn words(command: &Command) -> Vec<&str> {
    command
        .get_args()
        .map(|word| word.to_str().expect("UTF-8"))
        .collect()
}

fn spec(command: &Command) -> RunSpec {
    let value = command
        .get_envs()
        .find_map(|(name, value)| (name == RUN_VARIABLE).then_some(value).flatten())
        .and_then(OsStr::to_str)
        .expect("the settings are in the environment");
    RunSpec::from_env_value(value).expect("valid")
}

/// A folder with a script and the words that name the output in it.
struct Folder {
    folder: tempfile::TempDir,
    script: String,
    output: String,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
        let (script, output) = (path("app.py"), path("out.heapsight"));
        fs::write(&script, "pass\n").expect("writable");
        Self {
            folder,
            script,
            output,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder
            .path()
            .join(name)
            .to_str()
            .expect("UTF-8")
            .to_owned()
    }
}

#[test]
fn what_follows_the_program_is_the_programs() {
    let folder = Folder::new();
    let (script, output) = (folder.script.as_str(), folder.output.as_str());
    let tail = [
        "-h",
        "--",
        "-m",
        "x",
        "--frames",
        "0",
        "-o",
        "",
        "--help",
        "--version",
    ];
    let starts: [(&[&str], &[&str]); 7] = [
        (&[script], &[script]),
        (&["--", script], &[script]),
        (&["-m", "pkg.mod"], &["-m", "pkg.mod"]),
        (&["-c", "print()"], &["-c", "print()"]),
        (&["-mpkg.mod"], &["-m", "pkg.mod"]),
        (&["-cprint()"], &["-c", "print()"]),
        (&["-"], &["-"]),
    ];
    for (given, expected) in starts {
        let line: Vec<&str> = ["--force", "-o", output]
            .iter()
            .chain(given)
            .chain(&tail)
            .copied()
            .collect();
        let command = prepared(&line).unwrap_or_else(|failure| panic!("{line:?}: {failure}"));
        let expected: Vec<&str> = ["-X", "dev"]
            .iter()
            .chain(expected)
            .chain(&tail)
            .copied()
            .collect();
        assert_eq!(words(&command), expected);
        assert_eq!(command.get_program(), "/usr/bin/python3");
    }
}

#[test]
fn a_script_whose_name_starts_like_an_option_can_be_run() {
    assert_eq!(
        Program::Script(Path::new("-odd.py")).words(),
        [OsStr::new("--"), OsStr::new("-odd.py")]
    );
}

#[test]
fn options_reach_the_recorder() {
    let folder = Folder::new();
    let run = |options: &[&str]| {
        let output = ["--force", "-o", &folder.output];
        let line: Vec<&str> = output
            .iter()
            .chain(options)
            .copied()
            .chain([&*folder.script, "arg"])
            .collect();
        let mut spec = spec(&prepared(&line).expect("valid"));
        assert_ne!(std::mem::take(&mut spec.run_id), 0);
        assert!(spec.summarizer.take().is_some_and(|path| path.is_file()));
        spec
    };
    let default = RunSpec {
        output: (&folder.output).into(),
        frames: None,
        sample_bytes: None,
        budget_bytes: None,
        threads: false,
        native: false,
        tick_ms: 100,
        top: Some(10),
        imports: false,
        color: None,
        command: "heapsight".into(),
        follow: false,
        merge: false,
        run_id: 0,
        replace_tracemalloc: false,
        is_child: false,
        script: Some((&folder.script).into()),
        summarizer: None,
        program: folder.script.clone(),
        argv: vec![folder.script.clone(), "arg".into()],
    };
    assert_eq!(run(&[]), default);
    assert_eq!(
        run(&["--frames", "25"]),
        RunSpec {
            frames: Some(25),
            ..default.clone()
        }
    );
    assert_eq!(run(&["--frames=all"]), default);
    assert_eq!(
        run(&["--sample"]),
        RunSpec {
            sample_bytes: Some(512 << 10),
            ..default.clone()
        }
    );
    assert_eq!(
        run(&["--sample=64K"]),
        RunSpec {
            sample_bytes: Some(64 << 10),
            ..default.clone()
        }
    );
    assert_eq!(
        run(&["--threads"]),
        RunSpec {
            threads: true,
            native: false,
            ..default.clone()
        }
    );
    assert_eq!(
        run(&["--replace-tracemalloc"]),
        RunSpec {
            replace_tracemalloc: true,
            ..default.clone()
        }
    );
    assert_eq!(
        run(&["--follow", "--merge"]),
        RunSpec {
            follow: true,
            merge: true,
            ..default.clone()
        }
    );
    assert_eq!(
        run(&["--tick", "20"]),
        RunSpec {
            tick_ms: 20,
            ..default.clone()
        }
    );
    assert_eq!(
        run(&["--top", "3"]),
        RunSpec {
            top: Some(3),
            ..default.clone()
        }
    );
    assert_eq!(
        run(&["--quiet"]),
        RunSpec {
            top: None,
            ..default
        }
    );
}

#[test]
fn the_capture_is_created_before_the_program_starts() {
    let folder = Folder::new();
    prepared(&["-o", &folder.output, &folder.script]).expect("valid");
    assert!(Path::new(&folder.output).is_file());
    let refusal = prepared(&["-o", &folder.output, &folder.script]).expect_err("exists");
    assert_eq!(refusal.status(), 2);
}

#[test]
fn scripts_that_cannot_run_are_refused_and_nothing_is_created() {
    let folder = Folder::new();
    fs::create_dir(folder.path("empty")).expect("writable");
    let cases = [
        (
            folder.path("none.py"),
            format!("no such script: {}", folder.path("none.py")),
        ),
        (
            folder.path("app.py/x.py"),
            format!("no such script: {}", folder.path("app.py/x.py")),
        ),
        (
            folder.path("empty"),
            format!(
                "{} is a directory without a __main__.py: name the script to run",
                folder.path("empty")
            ),
        ),
    ];
    for (script, message) in cases {
        let failure = prepared(&["-o", &folder.output, &script]).expect_err("cannot run");
        assert_eq!((failure.status(), failure.to_string()), (2, message));
        assert!(!Path::new(&folder.output).exists());
    }
}

#[test]
fn a_script_is_to_compile_and_of_a_directory_its_main_module() {
    let folder = Folder::new();
    let directory = folder.path("app");
    fs::create_dir(&directory).expect("writable");
    fs::write(folder.path("app/__main__.py"), "pass").expect("writable");
    let command = prepared(&["-o", &folder.output, &directory]).expect("valid");
    assert_eq!(words(&command), ["-X", "dev", &directory]);
    assert_eq!(
        spec(&command).script,
        Some(folder.path("app/__main__.py").into())
    );
    let command = prepared(&["--force", "-o", &folder.output, &folder.script]).expect("valid");
    assert_eq!(spec(&command).script, Some((&folder.script).into()));
}

#[test]
fn a_pipe_and_code_are_left_for_python_to_read() {
    let folder = Folder::new();
    for program in [&["/dev/null"][..], &["-"], &["-c", "x ="], &["-m", "x"]] {
        let words = [&["--force", "-o", &folder.output], program].concat();
        let command = prepared(&words).expect("valid");
        assert_eq!(spec(&command).script, None);
    }
}

#[test]
fn tracing_that_could_not_start_stops_before_anything_is_created() {
    let folder = Folder::new();
    let argv = ["run", "-o", &folder.output, &folder.script].map(OsString::from);
    let arguments = Arguments::parse(&argv, &|| None, 100).expect("valid");
    let Chosen::Run(options) = arguments.command else {
        panic!("{arguments:?}");
    };
    let context = Context {
        command: vec!["heapsight".into()],
        interpreter: &|| Err("started with -S".to_owned()),
        python_version: &|| None,
    };
    let failure = prepare(&context, &options).expect_err("cannot start");
    assert_eq!(
        (failure.status(), failure.to_string()),
        (1, "started with -S".to_owned())
    );
    assert!(!Path::new(&folder.output).exists());
}

#[test]
fn an_interpreter_that_cannot_be_started_leaves_no_capture_behind() {
    let folder = Folder::new();
    let missing = Interpreter {
        executable: folder.path("no-python").into(),
        flags: Vec::new(),
        preload: "libheapsight_preload.so".into(),
    };
    let context = Context {
        command: vec!["heapsight".into()],
        interpreter: &|| Ok(missing.clone()),
        python_version: &|| None,
    };
    let argv = ["run", "-o", &folder.output, &folder.script].map(OsString::from);
    assert_eq!(crate::main(&context, &argv), 1);
    assert!(!Path::new(&folder.output).exists());
}

#[test]
fn default_names_are_safe_and_short() {
    let name = |program: Program<'_>| program.file_name();
    assert_eq!(
        name(Program::Module(OsStr::new("http.server"))),
        "http.server"
    );
    assert_eq!(name(Program::Code(OsStr::new("print()"))), "code");
    assert_eq!(name(Program::Script(Path::new("-"))), "stdin");
    assert_eq!(
        name(Program::Script(Path::new("no/such/my app;.py"))),
        "my_app_"
    );
    assert_eq!(name(Program::Script(Path::new(&"x".repeat(99)))).len(), 40);
}

#[test]
fn endless_arguments_are_cut_in_the_header_only() {
    let folder = Folder::new();
    let long = "x".repeat(10_000);
    let line = ["-o", &folder.output, &folder.script, &long, &long, "last"];
    let command = prepared(&line).expect("valid");
    assert_eq!(words(&command).len(), 2 + 4);
    assert_eq!(spec(&command).argv[1..], [long, "…".to_owned()]);
}
