//! What frames are called, and whose code they are: each name once.

use foldhash::{HashMap, HashMapExt};
use heapsight_analysis::{is_import_system, library_path, short_name};
use heapsight_capture::model::{CodeId, CodeKind, Tables};

use crate::text::printable;

/// What stands for call paths that were added up.
const SMALLER_PATHS: &str = "smaller call paths";

/// Longer names than this say nothing that anybody reads.
const LONGEST_NAME: usize = 2000;

/// Whose code a file is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Owner {
    Program = 0,
    Installed = 1,
    StandardLibrary = 2,
    ImportSystem = 3,
    /// No file, so nobody's in particular.
    Other = 4,
}

/// What a frame stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum FunctionKind {
    Python = 0,
    Thread = 1,
    Folded = 2,
    SmallerPaths = 3,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Module {
    pub name: u32,
    pub kind: Owner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub path: u32,
    pub short: u32,
    pub module: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Function {
    pub name: u32,
    pub file: u32,
    pub kind: FunctionKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PageFrame {
    pub function: u32,
    pub line: u32,
}

/// Numbers what is equal alike.
#[derive(Debug)]
struct Numbered<T> {
    numbers: HashMap<T, u32>,
}

impl<T: std::hash::Hash + Eq> Numbered<T> {
    fn new() -> Self {
        Self {
            numbers: HashMap::new(),
        }
    }

    fn number(&mut self, of: T, make: impl FnOnce()) -> u32 {
        let next = self.numbers.len() as u32;
        *self.numbers.entry(of).or_insert_with(|| {
            make();
            next
        })
    }
}

/// Every name of a page.
#[derive(Debug)]
pub(crate) struct Names {
    working_directory: String,
    strings: Vec<String>,
    known_strings: HashMap<String, u32>,
    pub modules: Vec<Module>,
    known_modules: Numbered<Module>,
    pub files: Vec<File>,
    /// As the recordings name them: what is shown has no control characters.
    pub file_names: Vec<String>,
    known_files: HashMap<String, u32>,
    pub functions: Vec<Function>,
    known_functions: Numbered<Function>,
    pub frames: Vec<PageFrame>,
    known_frames: Numbered<PageFrame>,
}

impl Names {
    pub(super) fn new(working_directory: &str) -> Self {
        Self {
            working_directory: working_directory.to_owned(),
            strings: Vec::new(),
            known_strings: HashMap::new(),
            modules: Vec::new(),
            known_modules: Numbered::new(),
            files: Vec::new(),
            file_names: Vec::new(),
            known_files: HashMap::new(),
            functions: Vec::new(),
            known_functions: Numbered::new(),
            frames: Vec::new(),
            known_frames: Numbered::new(),
        }
    }

    pub(crate) fn strings(&self) -> impl ExactSizeIterator<Item = &str> {
        self.strings.iter().map(String::as_str)
    }

    /// For the ids of one recording.
    pub(super) fn of(&self, tables: &Tables) -> NamesOf {
        NamesOf {
            functions: vec![None; tables.codes.len()],
        }
    }

    fn string(&mut self, text: &str) -> u32 {
        let end = text.char_indices().nth(LONGEST_NAME).map(|(at, _)| at);
        let mut safe = printable(&text[..end.unwrap_or(text.len())], true);
        if end.is_some() {
            safe.push('…');
        }
        if let Some(id) = self.known_strings.get(&safe) {
            return *id;
        }
        let id = self.strings.len() as u32;
        self.strings.push(safe.clone());
        self.known_strings.insert(safe, id);
        id
    }

    fn module(&mut self, filename: &str) -> u32 {
        let short = short_name(filename, &self.working_directory).text;
        let first = short.split('/').find(|part| !part.is_empty());
        let (kind, name) = if is_import_system(filename) {
            (Owner::ImportSystem, "import machinery")
        } else if let Some(inside) = library_path(filename) {
            let is_installed = filename.contains("-packages/");
            let first = inside.split('/').next().unwrap_or(inside);
            let kind = if is_installed {
                Owner::Installed
            } else {
                Owner::StandardLibrary
            };
            (kind, first.strip_suffix(".py").unwrap_or(first))
        } else if let Some(frozen) = filename.strip_prefix("<frozen ") {
            let name = frozen.split(['.', '>']).next().unwrap_or(frozen);
            (Owner::StandardLibrary, name)
        } else if filename.is_empty() {
            (Owner::Other, "no Python frame")
        } else if filename.starts_with('<') {
            (Owner::Other, filename)
        } else {
            (Owner::Program, first.unwrap_or(filename))
        };
        let module = Module {
            name: self.string(name),
            kind,
        };
        let modules = &mut self.modules;
        self.known_modules.number(module, || modules.push(module))
    }

    fn file(&mut self, filename: &str) -> u32 {
        if let Some(id) = self.known_files.get(filename) {
            return *id;
        }
        let short = short_name(filename, &self.working_directory)
            .text
            .to_owned();
        let file = File {
            path: self.string(filename),
            short: self.string(&short),
            module: self.module(filename),
        };
        let id = self.files.len() as u32;
        self.files.push(file);
        self.file_names.push(filename.to_owned());
        self.known_files.insert(filename.to_owned(), id);
        id
    }

    fn function(&mut self, filename: &str, name: &str, kind: FunctionKind) -> u32 {
        let function = Function {
            name: self.string(name),
            file: self.file(filename),
            kind,
        };
        let functions = &mut self.functions;
        self.known_functions
            .number(function, || functions.push(function))
    }

    fn frame(&mut self, function: u32, line: u32) -> u32 {
        let frame = PageFrame { function, line };
        let frames = &mut self.frames;
        self.known_frames.number(frame, || frames.push(frame))
    }
}

/// The names of one recording, as far as they were asked for.
pub(super) struct NamesOf {
    functions: Vec<Option<u32>>,
}

impl NamesOf {
    pub(super) fn frame(
        &mut self,
        names: &mut Names,
        tables: &Tables,
        code: CodeId,
        line: u32,
    ) -> u32 {
        let function = *self.functions[code as usize].get_or_insert_with(|| {
            let code = &tables.codes[code as usize];
            let text = |id: u32| tables.strings[id as usize].as_str();
            let (filename, kind) = match code.kind {
                CodeKind::Python => (text(code.filename), FunctionKind::Python),
                CodeKind::Thread => ("", FunctionKind::Thread),
                CodeKind::Folded => ("", FunctionKind::Folded),
            };
            names.function(filename, text(code.name), kind)
        });
        names.frame(function, line)
    }

    /// The frame that stands for call paths that were added up.
    pub(super) fn smaller_paths(&self, names: &mut Names) -> u32 {
        let function = names.function("", SMALLER_PATHS, FunctionKind::SmallerPaths);
        names.frame(function, 0)
    }
}
