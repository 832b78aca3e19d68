//! Which interpreter this executable was installed for: the one whose packages are beside it.
//!
//! pip puts the executable into `PREFIX/bin` and the package into `PREFIX/lib/pythonX.Y/site-packages`. If the
//! interpreter is in `PREFIX/bin` too, as in every virtual environment, these are its own packages, and it reads the
//! file there that starts tracing. Elsewhere (`pip install --user`, `--prefix`, a distribution's own folders) only the
//! interpreter itself can tell.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use heapsight_cli::Interpreter;

/// Where packages may be, below `lib/pythonX.Y`.
const PACKAGE_FOLDERS: [&str; 2] = ["site-packages", "dist-packages"];

/// What `--native` has the loader load, in the package's folder.
const PRELOADED: &str = "libheapsight_preload.so";

/// The interpreter, and whether it is sure to start tracing.
///
/// # Errors
/// One line when no interpreter, or more than one, has this executable's package.
pub(crate) fn interpreter() -> Result<(Interpreter, bool), String> {
    let own = std::env::current_exe().map_err(|error| format!("cannot find itself: {error}"))?;
    interpreter_of(&own, &std::env::var_os("PATH").unwrap_or_default())
}

fn interpreter_of(own: &Path, search_path: &OsString) -> Result<(Interpreter, bool), String> {
    let folder = own.parent().unwrap_or(Path::new("/"));
    let prefix = folder.parent().unwrap_or(Path::new("/"));
    let installed = installed_for(prefix);
    let [(name, starts_tracing, package)] = &installed[..] else {
        let names: Vec<&str> = installed.iter().map(|(name, ..)| name.as_str()).collect();
        return Err(match names[..] {
            [] => format!(
                "no Python that {} belongs to: run it as python3 -m heapsight",
                own.display()
            ),
            _ => format!(
                "installed for {}: say which, as in {} -m heapsight",
                names.join(", "),
                names[0]
            ),
        });
    };
    // What environments are made for is to be called python, as pip does in the scripts that it writes there.
    let is_environment = prefix.join("pyvenv.cfg").is_file();
    let names = [is_environment.then_some("python"), Some(name.as_str())];
    let beside = names.into_iter().flatten().map(|name| folder.join(name));
    let beside = beside.into_iter().find(|path| path.is_file());
    let is_beside = beside.is_some();
    let executable = if is_beside {
        beside
    } else {
        let mut found = std::env::split_paths(search_path).map(|folder| folder.join(name));
        found.find(|path| path.is_file())
    };
    let executable = executable.ok_or_else(|| {
        format!("{name} was not found: put it on PATH, or run its own -m heapsight")
    })?;
    let interpreter = Interpreter {
        executable,
        flags: Vec::new(),
        preload: package.join(PRELOADED),
    };
    Ok((interpreter, is_beside && *starts_tracing))
}

/// Names of the interpreters (`python3.13`) that have the package below `prefix`, whether the file that starts tracing
/// is beside it, and the package's folder.
fn installed_for(prefix: &Path) -> Vec<(String, bool, PathBuf)> {
    let mut found: Vec<(String, bool, PathBuf)> = Vec::new();
    for library in ["lib", "lib64"] {
        for version in fs::read_dir(prefix.join(library)).into_iter().flatten() {
            let Ok(version) = version else { continue };
            let Ok(name) = version.file_name().into_string() else {
                continue;
            };
            let known = found.iter().any(|(known, ..)| *known == name); // lib64 is often a link to lib
            if !name.starts_with("python3.") || known {
                continue;
            }
            let folders = PACKAGE_FOLDERS.map(|folder| version.path().join(folder));
            let has = |name: &str| folders.iter().any(|folder| folder.join(name).is_file());
            let mut packages = folders.iter().map(|folder| folder.join("heapsight"));
            if let Some(package) = packages.find(|package| package.join("__init__.py").is_file()) {
                found.push((name, has("heapsight.pth"), package));
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A prefix with files in it.
    fn prefix(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in files {
            let path: PathBuf = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
            fs::write(path, "").expect("writable");
        }
        folder
    }

    fn found(prefix: &Path, search_path: &Path) -> Result<(PathBuf, bool), String> {
        let own = prefix.join("bin/heapsight");
        let found = interpreter_of(&own, &search_path.as_os_str().to_owned());
        found.map(|(interpreter, is_sure)| (interpreter.executable, is_sure))
    }

    const PACKAGE: [&str; 2] = [
        "lib/python3.11/site-packages/heapsight/__init__.py",
        "lib/python3.11/site-packages/heapsight.pth",
    ];

    #[test]
    fn the_interpreter_beside_the_executable_is_meant() {
        let plain = prefix(&[PACKAGE[0], PACKAGE[1], "bin/python3.11", "bin/python"]);
        let expected = (plain.path().join("bin/python3.11"), true);
        assert_eq!(found(plain.path(), Path::new("")), Ok(expected));
    }

    #[test]
    fn an_environment_has_one_interpreter_and_it_is_called_python() {
        let environment = prefix(&[PACKAGE[0], PACKAGE[1], "bin/python", "pyvenv.cfg"]);
        let expected = (environment.path().join("bin/python"), true);
        assert_eq!(found(environment.path(), Path::new("")), Ok(expected));
    }

    #[test]
    fn an_interpreter_elsewhere_is_to_be_asked() {
        let user = prefix(&PACKAGE);
        let system = prefix(&["python3.11"]);
        let expected = (system.path().join("python3.11"), false);
        assert_eq!(found(user.path(), system.path()), Ok(expected));
    }

    #[test]
    fn a_package_without_what_starts_tracing_is_to_be_asked_about() {
        let environment = prefix(&[PACKAGE[0], "bin/python3.11"]);
        let (_, is_sure) = found(environment.path(), Path::new("")).expect("there is one");
        assert!(!is_sure);
    }

    #[test]
    fn two_interpreters_with_the_package_are_named() {
        let both = prefix(&[
            PACKAGE[0],
            "lib64/python3.12/dist-packages/heapsight/__init__.py",
            "bin/python3.11",
        ]);
        let expected =
            "installed for python3.11, python3.12: say which, as in python3.11 -m heapsight";
        assert_eq!(found(both.path(), Path::new("")), Err(expected.to_owned()));
    }

    #[test]
    fn no_package_is_one_line() {
        let empty = prefix(&["lib/python3.11/site-packages/other/__init__.py"]);
        let line = found(empty.path(), Path::new("")).expect_err("nothing is installed");
        assert!(line.ends_with("run it as python3 -m heapsight"), "{line}");
    }
}
