//! A program as it runs: what its lines hold, and how that changed since a moment that somebody marked.

use std::collections::HashMap;

use heapsight_analysis::path::frames;
use heapsight_analysis::{Amount, GroupBy, ImportSum, Imports, Key, Metric, Query, group};
use heapsight_capture::{Capture, TickSummary};
use heapsight_report::{Look, Place, Places};
use regex_lite::Regex;

use super::program::Program;
use super::tree::{METRICS, expression};
use crate::input::live::Action;

/// Rows that are kept for the screen: nobody goes further down.
const MOST_ROWS: usize = 2000;

/// One line of source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LiveRow {
    pub place: Place,
    pub amount: Amount,
    /// Bytes and blocks since the mark.
    pub change: (i64, i64),
}

/// How rows are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LiveSort {
    #[default]
    Size,
    /// By what came since the mark.
    Change,
}

/// What keys are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Focus {
    #[default]
    Table,
    /// The program gets them.
    Program,
}

/// A line, by its file and number; `None` is memory that no Python frame asked for.
type LineKey = Option<(String, u32)>;

/// What every line held at a moment.
#[derive(Clone, Debug, Default)]
struct Mark {
    elapsed_ns: u64,
    amounts: HashMap<LineKey, Amount>,
    total: Amount,
}

/// The whole state of the view.
pub(crate) struct LiveState {
    pub look: Look,
    /// What runs.
    pub name: String,
    pub timeline: Vec<TickSummary>,
    pub rows: Vec<LiveRow>,
    pub total: Amount,
    pub total_change: (i64, i64),
    pub imports: Option<ImportSum>,
    pub metric: Metric,
    pub by_blocks: bool,
    pub shows_imports: bool,
    pub sort: LiveSort,
    pub selected: usize,
    pub top: usize,
    pub page: usize,
    pub is_typing: bool,
    pub filter: String,
    pub problem: Option<String>,
    pub shows_help: bool,
    pub focus: Focus,
    pub program: Option<Program>,
    /// Whether figures stand still.
    pub is_paused: bool,
    /// What became of the program, once that is known.
    pub ended: Option<String>,
    /// What is to be written to the program.
    pub to_program: Vec<u8>,
    pub is_over: bool,
    /// Whether the table is not that of the settings any more.
    pub is_stale: bool,
    mark: Option<Mark>,
    /// Whether the next table is the mark.
    marks_next: bool,
}

impl LiveState {
    /// Of a program; `program` shows its output, if that comes here.
    pub(crate) fn new(name: String, program: Option<Program>, look: Look) -> Self {
        Self {
            look,
            name,
            timeline: Vec::new(),
            rows: Vec::new(),
            total: Amount::default(),
            total_change: (0, 0),
            imports: None,
            metric: Metric::Live,
            by_blocks: false,
            shows_imports: false,
            sort: LiveSort::default(),
            selected: 0,
            top: 0,
            page: 1,
            is_typing: false,
            filter: String::new(),
            problem: None,
            shows_help: false,
            focus: Focus::default(),
            program,
            is_paused: false,
            ended: None,
            to_program: Vec::new(),
            is_over: false,
            is_stale: true,
            mark: None,
            marks_next: true,
        }
    }

    /// Carries out what somebody asked for.
    pub(crate) fn apply(&mut self, action: Action) {
        match action {
            Action::Up(rows) => self.select(self.selected.saturating_sub(rows)),
            Action::Down(rows) => self.select(self.selected + rows),
            Action::PageUp => self.select(self.selected.saturating_sub(self.page)),
            Action::PageDown => self.select(self.selected + self.page),
            Action::First => self.select(0),
            Action::Last => self.select(usize::MAX),
            Action::Select(row) => self.select(row),
            Action::Mark => self.marks_next = true,
            Action::Metric => {
                let at = METRICS.iter().position(|metric| *metric == self.metric);
                self.metric = METRICS[(at.unwrap_or(0) + 1) % METRICS.len()];
                // Of another metric the mark says nothing.
                self.marks_next = true;
            }
            Action::Unit => self.by_blocks = !self.by_blocks,
            Action::Imports => {
                self.shows_imports = !self.shows_imports;
                self.marks_next = true;
            }
            Action::Sort => {
                self.sort = match self.sort {
                    LiveSort::Size => LiveSort::Change,
                    LiveSort::Change => LiveSort::Size,
                };
            }
            Action::Pause => self.is_paused = !self.is_paused,
            Action::Filter => {
                self.is_typing = true;
                self.filter.clear();
            }
            Action::Type(character) => self.filter.push(character),
            Action::Erase => {
                if self.filter.pop().is_none() {
                    self.is_typing = false;
                }
            }
            Action::Accept => self.is_typing = false,
            Action::Cancel => {
                self.is_typing = false;
                self.shows_help = false;
                self.filter.clear();
            }
            Action::Focus => {
                if self.program.is_some() && self.ended.is_none() {
                    self.focus = match self.focus {
                        Focus::Table => Focus::Program,
                        Focus::Program => Focus::Table,
                    };
                }
            }
            Action::Help => self.shows_help = !self.shows_help,
            Action::Quit => self.is_over = true,
        }
        self.is_stale |= action.changes_the_table();
    }

    /// Takes keys for the program.
    pub(crate) fn type_into_program(&mut self, bytes: &[u8]) {
        self.to_program.extend_from_slice(bytes);
    }

    /// What there is to say of the program's end.
    pub(crate) fn end(&mut self, what: String) {
        self.ended = Some(what);
        self.focus = Focus::Table;
    }

    /// When the mark was set.
    pub(crate) fn mark_ns(&self) -> Option<u64> {
        self.mark.as_ref().map(|mark| mark.elapsed_ns)
    }

    /// Takes the figures of a capture as it is now. Linear in the number of call paths.
    pub(crate) fn refresh(&mut self, capture: &Capture) {
        self.is_stale = false;
        self.timeline.clone_from(&capture.timeline);
        let tables = &capture.tables;
        let query = Query {
            metric: self.metric,
            group_by: GroupBy::Line,
            cumulative: false,
            imports: Imports::for_people(capture.header.mode, self.shows_imports),
        };
        let grouped = group(tables, query);
        let key = |key: &Key<'_>| match key {
            Key::Line(Some((filename, line))) => Some(((*filename).to_owned(), *line)),
            _ => None,
        };
        if std::mem::take(&mut self.marks_next) {
            let rows = grouped.rows.iter();
            self.mark = Some(Mark {
                elapsed_ns: capture.totals_until_ns(),
                amounts: rows.map(|row| (key(&row.key), row.amount)).collect(),
                total: grouped.total,
            });
        }
        let mark = self.mark.get_or_insert_default();
        self.total = grouped.total;
        self.total_change = grouped.total.change_from(mark.total);
        self.imports = grouped.imports;
        let mut changes: Vec<(LineKey, u32, Amount, (i64, i64))> = Vec::new();
        let mut gone = mark.amounts.clone();
        for row in &grouped.rows {
            let line = key(&row.key);
            let before = gone.remove(&line).unwrap_or_default();
            let change = row.amount.change_from(before);
            changes.push((line, row.heaviest, row.amount, change));
        }
        for (line, before) in gone {
            let nothing = Amount::default();
            changes.push((line, u32::MAX, nothing, nothing.change_from(before)));
        }
        let size = |amount: &Amount| {
            if self.by_blocks {
                amount.blocks
            } else {
                amount.bytes
            }
        };
        let part = |change: &(i64, i64)| if self.by_blocks { change.1 } else { change.0 };
        changes.sort_by(|(a, _, one, change), (b, _, other, other_change)| {
            let by = match self.sort {
                LiveSort::Size => size(other).cmp(&size(one)),
                LiveSort::Change => part(other_change).cmp(&part(change)),
            };
            by.then_with(|| a.cmp(b))
        });
        let mut places = Places::new(&capture.header.working_directory, self.look.ellipsis());
        for (line, ..) in &changes {
            if let Some((filename, _)) = line {
                places.add(filename);
            }
        }
        let filter = self.filter_expression();
        let rows = changes
            .into_iter()
            .map(|(line, site, amount, change)| LiveRow {
                place: match &line {
                    None => Place::of_name("<no Python frame>".to_owned()),
                    Some((filename, number)) => {
                        let node = tables.sites.get(site as usize).map(|site| site.node);
                        let of_line = node.and_then(|node| frames(tables, node).next());
                        let frame = heapsight_analysis::path::Frame {
                            filename,
                            line: *number,
                            name: of_line.map_or("", |frame| frame.name),
                        };
                        Place::of_frame(&frame, &places, &self.look)
                    }
                },
                amount,
                change,
            });
        let is_wanted = |row: &LiveRow| {
            let text = format!("{} {}", row.place.name, row.place.function);
            filter.as_ref().is_none_or(|filter| filter.is_match(&text))
        };
        self.rows = rows.filter(is_wanted).take(MOST_ROWS).collect();
        self.select(self.selected);
    }

    fn filter_expression(&mut self) -> Option<Regex> {
        self.problem = None;
        if self.filter.is_empty() {
            return None;
        }
        match expression(&self.filter) {
            Ok(expression) => Some(expression),
            Err(problem) => {
                self.problem = Some(problem);
                None
            }
        }
    }

    fn select(&mut self, row: usize) {
        self.selected = row.min(self.rows.len().saturating_sub(1));
        self.top = self.top.min(self.selected);
        self.top = self.top.max((self.selected + 1).saturating_sub(self.page));
    }

    /// So many rows are on the screen.
    pub(crate) fn fit(&mut self, page: usize) {
        self.page = page.max(1);
        self.top = self.top.min(self.rows.len().saturating_sub(self.page));
        self.select(self.selected);
    }
}
