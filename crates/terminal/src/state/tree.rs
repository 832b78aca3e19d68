//! The call tree as somebody looks at it: what is open, selected and looked for, and of which moment it is.

mod moments;
mod rows;
mod search;

use std::collections::HashSet;
use std::path::Path;

use heapsight_analysis::call_tree::{CallTree, Direction, Element, TreeQuery};
use heapsight_analysis::recording::{Reached, SeekTarget};
use heapsight_analysis::{Amount, Imports, Metric};
use heapsight_capture::Capture;
use heapsight_report::{Look, Places, Source};

pub(crate) use moments::{Position, Step};
pub(crate) use rows::Row;
pub(crate) use search::{Search, expression};

use crate::input::tree::Action;

/// A capture brought to a moment.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The capture.
    pub capture: Capture,
    /// The moment that its tables are of.
    pub moment: Reached,
}

/// How branches beside one another are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sort {
    /// By all memory, the largest first.
    #[default]
    Size,
    /// By their own memory, the largest first.
    Own,
    /// By file, line and function.
    Name,
}

impl Sort {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Own => "own",
            Self::Name => "name",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Size => Self::Own,
            Self::Own => Self::Name,
            Self::Name => Self::Size,
        }
    }
}

/// What the view begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeSettings {
    /// Which memory.
    pub metric: Metric,
    /// Whether blocks are counted rather than bytes.
    pub by_blocks: bool,
    /// Which way the tree grows.
    pub direction: Direction,
    /// Whether the lines of a function are one branch.
    pub by_function: bool,
    /// Whether memory of imported code is in the branches.
    pub imports: bool,
}

/// Metrics in the order in which a key goes through them.
pub(crate) const METRICS: [Metric; 4] = [
    Metric::Live,
    Metric::Peak,
    Metric::Allocated,
    Metric::Temporary,
];

/// Branches that are opened at once when one follows the other without a fork.
const LONGEST_CHAIN: usize = 1000;

/// Branches that are opened at once at most.
const MOST_OPENED: usize = 5000;

/// The whole state of the view.
pub(crate) struct TreeState {
    pub capture: Capture,
    pub moment: Reached,
    pub settings: TreeSettings,
    pub sort: Sort,
    pub tree: CallTree,
    pub places: Places,
    pub look: Look,
    /// What the file is called.
    pub name: String,
    pub rows: Vec<Row>,
    pub selected: usize,
    /// The first row on the screen.
    pub top: usize,
    /// Rows on the screen.
    pub page: usize,
    pub position: Position,
    /// The moment that is to be read when there is nothing else to do.
    pub wanted: Option<SeekTarget>,
    pub search: Search,
    pub shows_source: bool,
    pub shows_help: bool,
    /// Something to say on the last line but one.
    pub message: Option<String>,
    pub is_over: bool,
    pub source: Source,
    open: HashSet<u64>,
}

impl TreeState {
    pub(crate) fn new(opened: Opened, settings: TreeSettings, path: &Path, look: Look) -> Self {
        let Opened { capture, moment } = opened;
        let tree = CallTree::new(&capture.tables, query(&capture, settings));
        let mut state = Self {
            position: Position::of(moment, &capture),
            source: Source::of(&capture),
            places: places(&capture, look),
            name: path
                .file_name()
                .unwrap_or(path.as_os_str())
                .to_string_lossy()
                .into_owned(),
            capture,
            moment,
            settings,
            sort: Sort::default(),
            tree,
            look,
            rows: Vec::new(),
            selected: 0,
            top: 0,
            page: 1,
            wanted: None,
            search: Search::default(),
            shows_source: true,
            shows_help: false,
            message: None,
            is_over: false,
            open: HashSet::new(),
        };
        state.list();
        state.open_first();
        state
    }

    /// Carries out what somebody asked for.
    pub(crate) fn apply(&mut self, action: Action) {
        self.message = None;
        match action {
            Action::Up(rows) => self.select(self.selected.saturating_sub(rows)),
            Action::Down(rows) => self.select(self.selected + rows),
            Action::PageUp => self.select(self.selected.saturating_sub(self.page)),
            Action::PageDown => self.select(self.selected + self.page),
            Action::First => self.select(0),
            Action::Last => self.select(usize::MAX),
            Action::Select(row) => self.select(row),
            Action::Scroll(rows) => self.scroll(rows),
            Action::Open => self.open_selected(),
            Action::Close => self.close_selected(),
            Action::Toggle => match self.rows.get(self.selected) {
                Some(row) if row.is_open => self.close_selected(),
                _ => self.open_selected(),
            },
            Action::OpenBelow => self.open_below(),
            Action::CloseAll => {
                self.open.clear();
                self.list();
                self.open_first();
            }
            Action::NextMetric => self.turn_metric(1),
            Action::PreviousMetric => self.turn_metric(METRICS.len() - 1),
            Action::Unit => {
                self.settings.by_blocks = !self.settings.by_blocks;
                self.list();
            }
            Action::Direction => {
                self.settings.direction = match self.settings.direction {
                    Direction::Callees => Direction::Callers,
                    Direction::Callers => Direction::Callees,
                };
                self.selected = 0;
                self.grow();
            }
            Action::Functions => {
                self.settings.by_function = !self.settings.by_function;
                self.grow();
            }
            Action::Imports => {
                self.settings.imports = !self.settings.imports;
                self.grow();
            }
            Action::Sort => {
                self.sort = self.sort.next();
                self.list();
            }
            Action::Moment(step) => self.move_to(step),
            Action::Search => self.begin_search(),
            Action::Type(character) => self.type_into_search(character),
            Action::Erase => self.erase_in_search(),
            Action::Accept => self.accept_search(),
            Action::Cancel => self.cancel(),
            Action::NextHit => self.go_to_hit(true),
            Action::PreviousHit => self.go_to_hit(false),
            Action::Source => self.shows_source = !self.shows_source,
            Action::Help => self.shows_help = !self.shows_help,
            Action::Quit => self.is_over = true,
        }
    }

    /// Takes the tables of another moment.
    pub(crate) fn arrive(&mut self, opened: Opened) {
        self.capture = opened.capture;
        self.moment = opened.moment;
        self.places = places(&self.capture, self.look);
        self.grow();
    }

    /// Memory that shares are parts of.
    pub(crate) fn total(&self) -> Amount {
        self.tree.total()
    }

    /// The part of an amount that is shown.
    pub(crate) fn shown(&self, amount: Amount) -> u64 {
        match self.settings.by_blocks {
            true => amount.blocks,
            false => amount.bytes,
        }
    }

    /// The frame of the selected row.
    pub(crate) fn selected_element(&self) -> Option<Element<'_>> {
        let row = self.rows.get(self.selected)?;
        Some(self.tree.element(&self.capture.tables, row.branch))
    }

    fn turn_metric(&mut self, steps: usize) {
        let at = METRICS
            .iter()
            .position(|metric| *metric == self.settings.metric);
        let next = METRICS[(at.unwrap_or(0) + steps) % METRICS.len()];
        let is_known = matches!(next, Metric::Live | Metric::Peak);
        self.settings.metric = match self.capture.knows_ends_only() && !is_known {
            true => Metric::Live,
            false => next,
        };
        self.grow();
    }

    /// Makes the tree anew, with the same branches open.
    fn grow(&mut self) {
        let selected = self.rows.get(self.selected).map(|row| row.way);
        self.tree = CallTree::new(&self.capture.tables, query(&self.capture, self.settings));
        self.find_again();
        self.list();
        if !self.rows.iter().any(|row| row.is_open) {
            self.open_first();
        }
        let again = selected.and_then(|way| self.rows.iter().position(|row| row.way == way));
        self.select(again.unwrap_or(self.selected));
    }
}

fn query(capture: &Capture, settings: TreeSettings) -> TreeQuery {
    TreeQuery {
        metric: settings.metric,
        direction: settings.direction,
        by_function: settings.by_function,
        imports: Imports::for_people(capture.header.mode, settings.imports),
    }
}

/// Every file that may be named, so that short names are unambiguous.
fn places(capture: &Capture, look: Look) -> Places {
    let mut places = Places::new(&capture.header.working_directory, look.ellipsis());
    let mut is_added = vec![false; capture.tables.strings.len()];
    for code in &capture.tables.codes {
        if let Some(is_added) = is_added.get_mut(code.filename as usize)
            && !std::mem::replace(is_added, true)
        {
            places.add(&capture.tables.strings[code.filename as usize]);
        }
    }
    places
}
