//! Looking for files and functions.

use heapsight_analysis::call_tree::{BranchId, Element, Found};
use heapsight_report::{Place, printable};
use regex_lite::{Regex, RegexBuilder};

use super::TreeState;

/// With so many call paths, what is looked for is found when it is accepted, and not at every key.
const MANY_PATHS: usize = 300_000;

/// What is looked for.
#[derive(Default)]
pub(crate) struct Search {
    /// Whether somebody is typing it.
    pub is_typing: bool,
    pub text: String,
    /// What was found, if the text is a regular expression.
    pub found: Option<Found>,
    /// Why it is none.
    pub problem: Option<String>,
}

/// A regular expression for a text; without capital letters it does not tell them from small ones.
pub(crate) fn expression(text: &str) -> Result<Regex, String> {
    let has_capitals = text.chars().any(char::is_uppercase);
    RegexBuilder::new(text)
        .case_insensitive(!has_capitals)
        .build()
        .map_err(|error| printable(&error.to_string(), true))
}

impl TreeState {
    pub(super) fn begin_search(&mut self) {
        self.search = Search {
            is_typing: true,
            ..Search::default()
        };
    }

    pub(super) fn type_into_search(&mut self, character: char) {
        self.search.text.push(character);
        self.find_while_typing();
    }

    pub(super) fn erase_in_search(&mut self) {
        if self.search.text.pop().is_none() {
            self.search.is_typing = false;
        }
        self.find_while_typing();
    }

    fn find_while_typing(&mut self) {
        if self.capture.tables.nodes.len() <= MANY_PATHS {
            self.find_again();
        }
    }

    pub(super) fn accept_search(&mut self) {
        self.search.is_typing = false;
        self.find_again();
        if self.search.found.is_some() {
            self.go_to_hit(true);
        }
    }

    /// Ends what is going on, one thing at a time.
    pub(super) fn cancel(&mut self) {
        if self.shows_help {
            self.shows_help = false;
        } else {
            self.search = Search::default();
        }
    }

    /// Looks for the text in the tree as it is now.
    pub(super) fn find_again(&mut self) {
        self.search.found = None;
        self.search.problem = None;
        if self.search.text.is_empty() {
            return;
        }
        match expression(&self.search.text) {
            Err(problem) => self.search.problem = Some(problem),
            Ok(expression) => {
                let is_wanted = |element: Element<'_>| expression.is_match(&self.text(element));
                self.search.found = Some(self.tree.find(&self.capture.tables, is_wanted));
            }
        }
    }

    /// An element as one line of text, which is what is searched.
    pub(crate) fn text(&self, element: Element<'_>) -> String {
        let place = self.place(element);
        match place.function.as_str() {
            "" => place.name,
            function => format!("{} {function}", place.name),
        }
    }

    /// What an element is called.
    pub(crate) fn place(&self, element: Element<'_>) -> Place {
        match element {
            Element::NoFrame => Place::of_name("<no Python frame>".to_owned()),
            Element::Thread(name) => {
                Place::of_name(format!("thread {}", printable(name, self.look.unicode)))
            }
            Element::Frame(frame) => Place::of_frame(&frame, &self.places, &self.look),
        }
    }

    /// Selects the next branch that was looked for, after or before the selected one, and begins again at the end.
    pub(super) fn go_to_hit(&mut self, forward: bool) {
        let Some(found) = self.search.found.take() else {
            return;
        };
        let hit = self.hit(&found, forward);
        self.search.found = Some(found);
        match hit {
            Some(id) => self.reveal(id),
            None => self.message = Some("not found".to_owned()),
        }
    }

    fn hit(&mut self, found: &Found, forward: bool) -> Option<BranchId> {
        let selected = self.rows.get(self.selected)?.branch;
        let (mut first, mut last, mut before) = (None, None, None);
        let mut is_past = false;
        let mut waiting = self.sorted(None);
        waiting.reverse();
        while let Some(id) = waiting.pop() {
            let (id, _) = self.tree.last_of_recursion(&self.capture.tables, id);
            if id == selected {
                is_past = true;
            } else if self.tree.is_hit(found, id) {
                if is_past && forward {
                    return Some(id);
                }
                first = first.or(Some(id));
                before = if is_past { before } else { Some(id) };
                last = Some(id);
            }
            // To the selected branch, wherever it is, and to every hit.
            if self.tree.is_before_hit(found, id) || self.is_above(id, selected) {
                let mut children = self.sorted(Some(id));
                children.reverse();
                waiting.extend(children);
            }
        }
        let own = self.tree.is_hit(found, selected).then_some(selected);
        match forward {
            true => first.or(own),
            false => before.or(last).or(own),
        }
    }

    fn is_above(&self, id: BranchId, below: BranchId) -> bool {
        let mut at = self.tree.branch(below).parent;
        while let Some(branch) = at {
            if branch == id {
                return true;
            }
            at = self.tree.branch(branch).parent;
        }
        false
    }
}
