//! Memory of imported code: what stays because modules were imported, and says little of what the program does.
//!
//! A call path is one of an import when, looking from the most recent frame to its callers, a frame of the import
//! system comes before any frame of the program's own code. So it holds what the import system keeps (code, names,
//! module objects), what the module-level code of libraries allocates, and what that calls. The module-level code of
//! the program's own files, and what it calls, does not count: a table that `settings.py` builds is a finding.
//!
//! Own code is in files that are neither in the standard library nor installed. Names in angle brackets (`<string>`,
//! `<frozen runpy>`) do not tell whose code it is, so their callers decide.

use std::collections::HashSet;

use heapsight_capture::model::{Mode, NodeId, ROOT, Site, Tables};

use crate::amount::Amount;
use crate::key::Key;
use crate::names::library_path;
use crate::path::{Frame, ancestors, frame, frames};

/// Files of the import system begin like one of these.
const IMPORT_SYSTEM: [&str; 2] = ["<frozen importlib", "<frozen zipimport"];

/// The name of module-level code.
const MODULE: &str = "<module>";

/// Whether memory of imported code is grouped with everything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Imports {
    /// As any other memory.
    #[default]
    Whole,
    /// It is one sum of its own and in no group.
    Apart {
        /// Whether call paths may lack their outermost frames. Then a path that ends at the module-level code of a
        /// library is one of an import.
        paths_are_cut: bool,
    },
}

impl Imports {
    /// What people are shown of a recording made in this mode: imports apart, unless they asked for all of them.
    #[must_use]
    pub fn for_people(mode: Mode, asked_for: bool) -> Self {
        if asked_for {
            return Self::Whole;
        }
        Self::Apart {
            paths_are_cut: matches!(
                mode,
                Mode::Exact {
                    frame_limit: Some(_)
                }
            ),
        }
    }
}

/// The memory of imported code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportSum {
    /// Its sum.
    pub amount: Amount,
    /// Modules whose code ran on the call paths that have memory; 0 where paths are too short to tell.
    pub modules: usize,
}

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    ImportSystem,
    Program,
    /// A library, or nobody in particular.
    Other,
}

fn owner(filename: &str) -> Owner {
    if IMPORT_SYSTEM
        .iter()
        .any(|start| filename.starts_with(start))
    {
        Owner::ImportSystem
    } else if filename.is_empty() || filename.starts_with('<') || library_path(filename).is_some() {
        Owner::Other
    } else {
        Owner::Program
    }
}

/// Whether this is a file of the import system itself.
#[must_use]
pub fn is_import_system(filename: &str) -> bool {
    owner(filename) == Owner::ImportSystem
}

/// Whether this is a file of the program itself: neither installed nor in the standard library.
#[must_use]
pub fn is_own_code(filename: &str) -> bool {
    owner(filename) == Owner::Program
}

/// Whether a call path is one of an import, given the file of each frame (most recent first) and the function's name,
/// where it is known.
pub fn is_import_path<'f>(frames: impl IntoIterator<Item = (&'f str, Option<&'f str>)>) -> bool {
    let mut last = None;
    for (filename, name) in frames {
        match owner(filename) {
            Owner::ImportSystem => return true,
            Owner::Program => return false,
            Owner::Other => last = Some((filename, name)),
        }
    }
    last.is_some_and(|(filename, name)| is_module_of_library(filename, name))
}

/// Whether a group is one of imports as far as its key tells: a frame of the import system, or a call path of an
/// import.
#[must_use]
pub fn is_import_key(key: &Key<'_>, tables: &Tables) -> bool {
    match *key {
        Key::Line(Some((filename, _))) | Key::Filename(Some(filename)) => {
            is_import_system(filename)
        }
        Key::Function(Some((filename, name))) => is_import_path([(filename, Some(name))]),
        Key::Traceback(node) => {
            is_import_path(frames(tables, node).map(|frame| (frame.filename, Some(frame.name))))
        }
        _ => false,
    }
}

fn is_module_of_library(filename: &str, name: Option<&str>) -> bool {
    name == Some(MODULE) && library_path(filename).is_some()
}

/// For each call path, whether it is one of an import. Linear in names and call paths.
fn import_nodes(tables: &Tables, paths_are_cut: bool) -> Vec<bool> {
    let owners: Vec<Owner> = tables.strings.iter().map(|name| owner(name)).collect();
    let mut is_import: Vec<bool> = Vec::with_capacity(tables.nodes.len());
    for (id, node) in (0..).zip(&tables.nodes) {
        let sites_kept = match frame(tables, id) {
            None => false,
            Some(of) => match owners[tables.codes[node.code as usize].filename as usize] {
                Owner::ImportSystem => true,
                Owner::Program => false,
                Owner::Other => {
                    let is_outermost = frame(tables, node.parent).is_none();
                    is_import[node.parent as usize]
                        || (paths_are_cut
                            && is_outermost
                            && is_module_of_library(of.filename, Some(of.name)))
                }
            },
        };
        is_import.push(sites_kept);
    }
    is_import
}

/// Tells memory of imported code from other memory.
#[derive(Debug)]
pub(crate) struct Separator {
    is_import: Vec<bool>,
}

impl Separator {
    /// Of the call paths of `tables`; `None` when imports are as any other memory.
    pub(crate) fn new(tables: &Tables, imports: Imports) -> Option<Self> {
        match imports {
            Imports::Whole => None,
            Imports::Apart { paths_are_cut } => Some(Self {
                is_import: import_nodes(tables, paths_are_cut),
            }),
        }
    }

    /// Takes the memory of imported code out of `amounts`, which has one entry for each site.
    pub(crate) fn take(&self, tables: &Tables, amounts: &mut [Amount]) -> ImportSum {
        let mut sum = ImportSum {
            amount: Amount::default(),
            modules: self.modules(tables, amounts),
        };
        for (site, amount) in tables.sites.iter().zip(amounts) {
            if self.is_import[site.node as usize] {
                sum.amount += std::mem::take(amount);
            }
        }
        sum
    }

    /// How many modules ran on the call paths with memory.
    fn modules(&self, tables: &Tables, amounts: &[Amount]) -> usize {
        let mut is_seen = vec![false; tables.nodes.len()];
        let mut modules: HashSet<&str> = HashSet::new();
        let with_memory = |(_, amount): &(&Site, &Amount)| !amount.is_zero();
        for (site, _) in tables.sites.iter().zip(amounts).filter(with_memory) {
            for node in ancestors(tables, site.node) {
                if std::mem::replace(&mut is_seen[node as usize], true) {
                    break;
                }
                let of = frame(tables, node);
                if let Some(of) = of.filter(|of| self.is_imported_module(tables, node, of)) {
                    modules.insert(of.filename);
                }
            }
        }
        modules.len()
    }

    fn is_imported_module(&self, tables: &Tables, node: NodeId, of: &Frame<'_>) -> bool {
        let is_called_by_import = || {
            let caller = tables.nodes[node as usize].parent;
            caller != ROOT && frame(tables, caller).is_some_and(|of| is_import_system(of.filename))
        };
        of.name == MODULE && (self.is_import[node as usize] || is_called_by_import())
    }
}

/// The sites of imported code: true for each one of `tables` that is. All false when imports are as any other memory.
#[must_use]
pub fn import_sites(tables: &Tables, imports: Imports) -> Vec<bool> {
    match Separator::new(tables, imports) {
        None => vec![false; tables.sites.len()],
        Some(separator) => {
            let of_site = |site: &Site| separator.is_import[site.node as usize];
            tables.sites.iter().map(of_site).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::Builder;
    use crate::{GroupBy, Query, group};
    use heapsight_capture::model::{Code, CodeKind, Counters, Domain, Node};

    const LOAD: (&str, &str) = ("<frozen importlib._bootstrap_external>", "exec_module");
    const FIND: (&str, &str) = ("<frozen importlib._bootstrap>", "_find_and_load");
    const UNMARSHAL: (&str, &str) = (
        "<frozen importlib._bootstrap_external>",
        "_compile_bytecode",
    );
    const MAIN: (&str, &str) = ("/srv/app/main.py", "<module>");
    const OWN_MODULE: (&str, &str) = ("/srv/app/settings.py", "<module>");
    const OWN_FUNCTION: (&str, &str) = ("/srv/app/settings.py", "build");
    const LIBRARY_MODULE: (&str, &str) = (
        "/v/lib/python3.13/site-packages/django/__init__.py",
        "<module>",
    );
    const LIBRARY: (&str, &str) = ("/usr/lib/python3.13/json/decoder.py", "decode");
    const RUNPY: (&str, &str) = ("<frozen runpy>", "_run_code");
    const STRING: (&str, &str) = ("<string>", "<lambda>");

    /// Tables with one site of one block for each call path, given from the outermost frame on; sizes are 1, 10, 100, …
    fn tables(paths: &[&[(&str, &str)]]) -> Tables {
        let mut builder = Builder::new();
        let mut bytes = 1;
        for path in paths {
            let mut parent = ROOT;
            for (filename, name) in *path {
                let (filename, name) = (builder.string(filename), builder.string(name));
                let code = builder.code(Code {
                    kind: CodeKind::Python,
                    filename,
                    name,
                    first_line: 1,
                });
                parent = builder.node(Node {
                    parent,
                    code,
                    line: 1,
                });
            }
            let site = builder.site(Site {
                node: parent,
                domain: Domain::OBJ,
            });
            let counters = Counters {
                allocated_bytes: bytes,
                allocated_blocks: 1,
                ..Counters::default()
            };
            builder.add(site, &counters);
            bytes *= 10;
        }
        builder.finish()
    }

    fn sum(paths: &[&[(&str, &str)]], paths_are_cut: bool) -> (u64, usize) {
        let tables = tables(paths);
        let imports = Imports::Apart { paths_are_cut };
        let query = Query {
            imports,
            ..Query::default()
        };
        let grouped = group(&tables, query);
        let apart = grouped.imports.expect("asked for");
        let rows: Amount = grouped.rows.iter().map(|row| row.amount).sum();
        assert_eq!(
            rows.bytes + apart.amount.bytes,
            grouped.total.bytes,
            "nothing is lost"
        );
        let by_path: Vec<bool> = paths
            .iter()
            .map(|path| is_import_path(path.iter().rev().map(|(file, name)| (*file, Some(*name)))))
            .collect();
        if !paths_are_cut {
            let by_site = import_sites(&tables, imports);
            for (path, (by_path, by_site)) in paths.iter().zip(by_path.iter().zip(by_site)) {
                let is_cut = path
                    .first()
                    .is_some_and(|(file, name)| is_module_of_library(file, Some(name)));
                assert!(is_cut || *by_path == by_site, "{path:?}");
            }
        }
        (apart.amount.bytes, apart.modules)
    }

    #[test]
    fn what_the_import_system_and_the_modules_of_libraries_keep_is_of_imports() {
        let paths: [&[(&str, &str)]; 4] = [
            &[MAIN, FIND, UNMARSHAL],
            &[MAIN, FIND, LOAD, LIBRARY_MODULE],
            &[MAIN, FIND, LOAD, LIBRARY_MODULE, LIBRARY],
            &[MAIN, FIND, LOAD, LIBRARY_MODULE, LIBRARY, STRING],
        ];
        assert_eq!(sum(&paths, false), (1111, 1));
    }

    #[test]
    fn what_the_programs_own_modules_do_while_they_are_imported_is_not() {
        let paths: [&[(&str, &str)]; 3] = [
            &[MAIN, FIND, LOAD, OWN_MODULE],
            &[MAIN, FIND, LOAD, OWN_MODULE, OWN_FUNCTION, LIBRARY],
            &[MAIN, FIND, LOAD, OWN_MODULE, LIBRARY],
        ];
        assert_eq!(
            sum(&paths, false),
            (0, 1),
            "their module is one of those imported"
        );
        let lazy: [&[(&str, &str)]; 1] =
            [&[MAIN, OWN_FUNCTION, LIBRARY, FIND, LOAD, LIBRARY_MODULE]];
        assert_eq!(sum(&lazy, false), (1, 1));
    }

    #[test]
    fn a_library_that_runs_as_the_program_is_no_import() {
        let paths: [&[(&str, &str)]; 3] = [
            &[RUNPY, LIBRARY_MODULE, LIBRARY],
            &[STRING, LIBRARY],
            &[LIBRARY_MODULE, LIBRARY],
        ];
        assert_eq!(sum(&paths, false), (0, 0));
        assert_eq!(sum(&[], false), (0, 0));
        assert_eq!(sum(&[&[]], false), (0, 0));
    }

    #[test]
    fn of_a_path_that_is_cut_the_module_level_code_of_a_library_tells() {
        let paths: [&[(&str, &str)]; 4] =
            [&[LIBRARY_MODULE], &[UNMARSHAL], &[LIBRARY], &[OWN_MODULE]];
        assert_eq!(sum(&paths, true), (11, 1));
        assert_eq!(sum(&paths, false), (10, 0));
    }

    #[test]
    fn imports_are_in_their_groups_unless_they_are_asked_apart() {
        let tables = tables(&[&[MAIN, FIND, UNMARSHAL], &[MAIN]]);
        let whole = group(&tables, Query::default());
        assert_eq!((whole.rows.len(), whole.imports), (2, None));
        let apart = Imports::Apart {
            paths_are_cut: false,
        };
        for group_by in GroupBy::ALL {
            for cumulative in [false, true] {
                let query = Query {
                    group_by,
                    cumulative,
                    imports: apart,
                    ..Query::default()
                };
                let grouped = group(&tables, query);
                assert_eq!(grouped.imports.expect("apart").amount.bytes, 1);
                assert_eq!(grouped.rows.len(), 1, "{query:?}");
                assert_eq!(grouped.rows[0].amount.bytes, 10);
                assert_eq!(grouped.total.bytes, 11);
            }
        }
    }

    #[test]
    fn what_looks_for_modules_in_archives_is_the_import_system_too() {
        let zipimport = ("<frozen zipimport>", "_read_directory");
        assert_eq!(
            sum(&[&[zipimport], &[RUNPY, zipimport], &[MAIN]], false).0,
            11
        );
    }
}
