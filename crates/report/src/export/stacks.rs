//! Call paths as a tree of labels: what every format of stacks is made from.

use foldhash::HashMap;
use heapsight_analysis::path::is_frame;
use heapsight_analysis::{GroupBy, Key, Metric, group_counters};
use heapsight_capture::model::{CodeKind, Counters, Domain, ROOT, StringId, Tables};

use super::rows::threads;

/// What stands for memory that was asked for outside Python code.
pub(super) const NO_FRAME: &str = "<no Python frame>";

/// Frames that are spelled out of one stack, in formats that are no tree: the most recent ones. Where a deep recursion
/// allocates at every depth, an export would otherwise grow with the square of the depth.
pub(super) const MOST_FRAMES: usize = 1000;

/// What stands for the frames beyond those.
pub(super) const LEFT_OUT: &str = "<outer frames left out>";

/// What becomes of threads that were kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Threads {
    /// Each is a frame that its outermost function is called from.
    Frames,
    /// Each is a property of its samples.
    OfSamples,
    /// They are added up.
    LeftOut,
}

/// What a frame shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Label {
    /// Function, or whatever names the frame.
    pub name: String,
    /// Empty when the frame is no place in a file.
    pub filename: String,
    /// 0 when unknown or not shown.
    pub line: u32,
    /// Where the function begins; 0 when unknown or not shown.
    pub first_line: u32,
}

impl Label {
    fn of_name(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// `function (file:line)`, with what is known.
    pub(super) fn text(&self) -> String {
        match (self.filename.as_str(), self.line) {
            ("", _) => self.name.clone(),
            (filename, _) if filename == self.name => self.name.clone(),
            (filename, 0) => format!("{} ({filename})", self.name),
            (filename, line) => format!("{} ({filename}:{line})", self.name),
        }
    }
}

/// A stack: a label under its caller's stack. Small, for a recording may have millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stack {
    parent: u32,
    label: u32,
}

/// The parent of an outermost frame.
const NO_PARENT: u32 = u32::MAX;

impl Stack {
    fn new(parent: Option<usize>, label: usize) -> Self {
        Self {
            parent: parent.map_or(NO_PARENT, |parent| parent as u32),
            label: label as u32,
        }
    }

    /// Index of the caller's stack, always lower than one's own; `None` for the outermost frame.
    pub(super) fn parent(self) -> Option<usize> {
        (self.parent != NO_PARENT).then_some(self.parent as usize)
    }

    /// Index of the label.
    pub(super) fn label(self) -> usize {
        self.label as usize
    }
}

/// Memory of one stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// Index of the stack.
    pub stack: usize,
    /// The allocator domain.
    pub domain: Domain,
    /// The name of the thread, if that is a property of samples.
    pub thread: Option<StringId>,
    /// Sums over all sites that look like this.
    pub counters: Counters,
}

/// Distinct labels, stacks, and memory of each stack and domain.
#[derive(Debug, Default)]
pub(super) struct Stacks {
    pub labels: Vec<Label>,
    pub stacks: Vec<Stack>,
    pub samples: Vec<Sample>,
    /// Index of the label [`LEFT_OUT`], if a stack needs it.
    left_out: Option<usize>,
}

impl Stacks {
    /// Linear in the number of call paths.
    pub(super) fn new(tables: &Tables, group_by: Option<GroupBy>, threads: Threads) -> Self {
        match group_by.unwrap_or_default() {
            by @ (GroupBy::Domain | GroupBy::Thread) => Self::flat(tables, by),
            by => {
                let mut maker = Maker::default();
                let mut samples = Samples::default();
                maker.stacks_of(tables, by, threads, |stack, domain, thread, counters| {
                    samples.add(stack, domain, thread, counters);
                });
                maker.made.samples = samples.made;
                maker.made.with_left_out()
            }
        }
    }

    /// Stacks without samples, and how many bytes of a metric each has, threads added up: a fraction of the memory
    /// that samples take.
    pub(super) fn weighed(
        tables: &Tables,
        group_by: Option<GroupBy>,
        metric: Metric,
    ) -> (Self, Vec<u64>) {
        let mut weights: Vec<u64> = Vec::new();
        let mut weigh = |stack: usize, counters: &Counters| {
            if weights.len() <= stack {
                weights.resize(stack + 1, 0);
            }
            weights[stack] = weights[stack].saturating_add(metric.of(counters).bytes);
        };
        let stacks = match group_by.unwrap_or_default() {
            by @ (GroupBy::Domain | GroupBy::Thread) => {
                let flat = Self::flat(tables, by);
                for sample in &flat.samples {
                    weigh(sample.stack, &sample.counters);
                }
                flat
            }
            by => {
                let mut maker = Maker::default();
                maker.stacks_of(tables, by, Threads::LeftOut, |stack, _, _, counters| {
                    weigh(stack, counters);
                });
                maker.made.with_left_out()
            }
        };
        (stacks, weights)
    }

    /// The labels of a stack, outermost first: at most [`MOST_FRAMES`], and [`LEFT_OUT`].
    pub(super) fn labels_of(&self, stack: usize) -> Vec<usize> {
        let mut next = Some(stack);
        let mut labels = Vec::new();
        while let Some(stack) = next.filter(|_| labels.len() < MOST_FRAMES) {
            labels.push(self.stacks[stack].label());
            next = self.stacks[stack].parent();
        }
        labels.extend(self.left_out.filter(|_| next.is_some()));
        labels.reverse();
        labels
    }

    /// How many bytes it takes to spell out `stacks`, given how many each label takes. Exact up to [`MOST_FRAMES`]
    /// frames.
    pub(super) fn spelled_bytes(
        &self,
        label_bytes: &[u64],
        stacks: impl Iterator<Item = usize>,
    ) -> u64 {
        let mut of_stacks: Vec<(u64, u64)> = Vec::with_capacity(self.stacks.len());
        for stack in &self.stacks {
            let (depth, bytes) = stack.parent().map_or((0, 0), |parent| of_stacks[parent]);
            of_stacks.push((depth + 1, bytes.saturating_add(label_bytes[stack.label()])));
        }
        let most = MOST_FRAMES as u64;
        let spelled = stacks.map(|stack| match of_stacks[stack] {
            (depth, bytes) if depth <= most => bytes,
            (depth, bytes) => bytes / depth * most,
        });
        spelled.fold(0, u64::saturating_add)
    }

    /// Adds the label for frames that are left out if there are such.
    fn with_left_out(mut self) -> Self {
        let mut depths: Vec<usize> = Vec::with_capacity(self.stacks.len());
        for stack in &self.stacks {
            depths.push(1 + stack.parent().map_or(0, |parent| depths[parent]));
        }
        if depths.into_iter().max().unwrap_or(0) > MOST_FRAMES {
            self.left_out = Some(self.labels.len());
            self.labels.push(Label::of_name(LEFT_OUT));
        }
        self
    }

    /// One frame for each key.
    fn flat(tables: &Tables, by: GroupBy) -> Self {
        let mut made = Self::default();
        for (key, counters) in group_counters(tables, by) {
            let (name, domain) = match key {
                Key::Domain(domain) => (domain.name(), domain),
                Key::Thread(Some(name)) => (name.to_owned(), Domain::OBJ),
                _ => ("<threads were not kept apart>".to_owned(), Domain::OBJ),
            };
            let stack = made.stacks.len();
            made.labels.push(Label::of_name(name));
            made.stacks.push(Stack::new(None, stack));
            made.samples.push(Sample {
                stack,
                domain,
                thread: None,
                counters,
            });
        }
        made
    }
}

/// Numbers what is equal alike.
#[derive(Default)]
struct Maker {
    made: Stacks,
    labels: HashMap<Label, usize>,
    stacks: HashMap<Stack, u32>,
}

impl Maker {
    /// Adds the call paths, frame by frame, and tells the stack, domain, thread and counters of every site.
    fn stacks_of(
        &mut self,
        tables: &Tables,
        by: GroupBy,
        kept: Threads,
        mut tell: impl FnMut(usize, Domain, Option<StringId>, &Counters),
    ) {
        // The stack of each call path; `None` where it has no frame at all.
        let mut stacks: Vec<Option<usize>> = Vec::with_capacity(tables.nodes.len());
        for (id, node) in (0..).zip(&tables.nodes) {
            let is_thread = |code: u32| tables.codes[code as usize].kind == CodeKind::Thread;
            let stack = if id == ROOT || (kept != Threads::Frames && is_thread(node.code)) {
                None
            } else {
                let caller = stacks[node.parent as usize];
                let code = &tables.codes[node.code as usize];
                let text = |id: u32| tables.strings[id as usize].as_str();
                let label = match (code.kind, by) {
                    (CodeKind::Thread, _) => Label::of_name(format!("thread {}", text(code.name))),
                    (_, GroupBy::Filename) => Label {
                        name: text(code.filename).to_owned(),
                        filename: text(code.filename).to_owned(),
                        ..Label::default()
                    },
                    (_, GroupBy::Function) => Label {
                        name: text(code.name).to_owned(),
                        filename: text(code.filename).to_owned(),
                        line: 0,
                        first_line: code.first_line,
                    },
                    _ => Label {
                        name: text(code.name).to_owned(),
                        filename: text(code.filename).to_owned(),
                        line: node.line,
                        first_line: code.first_line,
                    },
                };
                let label = self.label(label);
                // A file that calls itself is one step for somebody who looks at files.
                let repeats = by == GroupBy::Filename
                    && caller.is_some_and(|caller| self.made.stacks[caller].label() == label);
                if repeats {
                    caller
                } else {
                    Some(self.stack(Stack::new(caller, label)))
                }
            };
            stacks.push(stack);
        }
        let threads = match kept {
            Threads::OfSamples => threads(tables),
            Threads::Frames | Threads::LeftOut => Vec::new(),
        };
        for (site, counters) in tables.sites.iter().zip(&tables.counters) {
            let known = stacks.get(site.node as usize).copied().flatten();
            let stack = match known {
                Some(stack) if is_frame(tables, site.node) => stack,
                parent => {
                    let label = self.label(Label::of_name(NO_FRAME));
                    self.stack(Stack::new(parent, label))
                }
            };
            let thread = threads.get(site.node as usize).copied().flatten();
            tell(stack, site.domain, thread, counters);
        }
    }

    fn label(&mut self, label: Label) -> usize {
        if let Some(index) = self.labels.get(&label) {
            return *index;
        }
        let index = self.made.labels.len();
        self.made.labels.push(label.clone());
        self.labels.insert(label, index);
        index
    }

    fn stack(&mut self, stack: Stack) -> usize {
        let made = &mut self.made.stacks;
        let index = *self.stacks.entry(stack).or_insert_with(|| {
            made.push(stack);
            (made.len() - 1) as u32
        });
        index as usize
    }
}

/// Sums of what looks alike.
#[derive(Default)]
struct Samples {
    made: Vec<Sample>,
    numbers: HashMap<(usize, Domain, Option<StringId>), usize>,
}

impl Samples {
    fn add(&mut self, stack: usize, domain: Domain, thread: Option<StringId>, counters: &Counters) {
        let made = &mut self.made;
        let key = (stack, domain, thread);
        let index = *self.numbers.entry(key).or_insert_with(|| {
            made.push(Sample {
                stack,
                domain,
                thread,
                counters: Counters::default(),
            });
            made.len() - 1
        });
        heapsight_analysis::add_counters(&mut made[index].counters, counters);
    }
}
