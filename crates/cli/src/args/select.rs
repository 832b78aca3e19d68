//! Options that every command on captures has: which memory, at which moment, grouped how.

use clap::Args;
use heapsight_analysis::recording::{Moment, SeekTarget};
use heapsight_analysis::{Filter, GroupBy, Imports, Metric, Query};

use super::values::{FilterPlace, GroupByChoice, at, grouping, metric, place, range};
use crate::failure::Failure;

/// Which part of a capture is meant: at which moment, and what filters keep.
#[derive(Clone, Debug, Args)]
pub(crate) struct PartOptions {
    /// Show the moment of the peak, the end, or a time since the start such as 12.5, 300ms, 2m or 1h [default: end]
    #[arg(long, value_name = "peak|end|TIME", value_parser = at)]
    pub at: Option<Moment>,

    /// Show what happened between two moments, such as 10..20 or start..peak; live memory is then the net increase
    #[arg(long, value_name = "A..B", value_parser = range, conflicts_with = "at")]
    pub range: Option<SeekTarget>,

    /// Keep only memory whose most recent frame is in this file (and line), named as reports show it: store.py,
    /// cache/store.py or a folder such as django/db; * matches any characters; repeatable
    #[arg(short = 'i', value_name = "FILENAME[:LINENO]", value_parser = place)]
    include: Vec<FilterPlace>,

    /// Keep only memory with any frame in this file (and line); repeatable
    #[arg(short = 'I', value_name = "FILENAME[:LINENO]", value_parser = place)]
    include_any: Vec<FilterPlace>,

    /// Drop memory whose most recent frame is in this file (and line); repeatable
    #[arg(short = 'x', value_name = "FILENAME[:LINENO]", value_parser = place)]
    exclude: Vec<FilterPlace>,

    /// Drop memory with any frame in this file (and line); repeatable
    #[arg(short = 'X', value_name = "FILENAME[:LINENO]", value_parser = place)]
    exclude_any: Vec<FilterPlace>,

    /// Use colours [default: if standard output is a terminal]
    #[arg(long, overrides_with = "no_color")]
    color: bool,

    /// Do not use colours
    #[arg(long)]
    no_color: bool,
}

impl PartOptions {
    /// Whether colours were asked for or ruled out.
    pub(crate) fn color(&self) -> Option<bool> {
        (self.color || self.no_color).then_some(self.color)
    }

    /// When to look.
    pub(crate) fn when(&self) -> SeekTarget {
        self.range
            .unwrap_or(SeekTarget::At(self.at.unwrap_or(Moment::End)))
    }

    /// The filters that were asked for.
    pub(crate) fn filters(&self) -> Vec<Filter> {
        [
            (&self.include, true, false),
            (&self.include_any, true, true),
            (&self.exclude, false, false),
            (&self.exclude_any, false, true),
        ]
        .into_iter()
        .flat_map(|(places, include, any_frame)| {
            places
                .iter()
                .map(move |place| place.filter(include, any_frame))
        })
        .collect()
    }
}

/// By what memory is grouped.
#[derive(Clone, Debug, Args)]
pub(crate) struct GroupOptions {
    /// Group by line, function, filename, traceback, domain or thread [default: line]
    #[arg(long, value_name = "KEY", value_parser = grouping)]
    pub group_by: Option<GroupByChoice>,

    /// Group by file, like '--group-by filename'
    #[arg(short, long, conflicts_with = "group_by")]
    pub file: bool,
}

impl GroupOptions {
    /// What to group by, if that was said.
    pub(crate) fn grouping(&self) -> Option<GroupBy> {
        match self.group_by {
            _ if self.file => Some(GroupBy::Filename),
            Some(GroupByChoice::By(by)) => Some(by),
            Some(GroupByChoice::Address) | None => None,
        }
    }

    /// Whether single blocks were asked for.
    pub(crate) fn by_address(&self) -> bool {
        self.group_by == Some(GroupByChoice::Address)
    }

    /// Refuses single blocks, which only `heapsight top` shows.
    pub(crate) fn must_be_of_call_paths(&self) -> Result<(), Failure> {
        match self.by_address() {
            true => Err(Failure::BadValue(
                "invalid value 'address' for '--group-by <KEY>': single blocks are shown by 'heapsight top' only"
                    .to_owned(),
            )),
            false => Ok(()),
        }
    }
}

/// Which list of which part of a capture is meant.
#[derive(Clone, Debug, Args)]
pub(crate) struct SelectOptions {
    /// Memory to show: live, allocated, freed, peak or temporary; repeatable [default: live; 'top' and 'merge' also
    /// show peak at the end of a recording, and allocated with --range]
    #[arg(long, value_name = "METRIC", value_parser = metric)]
    pub metric: Vec<Metric>,

    #[command(flatten)]
    pub group: GroupOptions,

    /// Count a block under every line, function or file on its call path
    #[arg(short, long)]
    pub cumulative: bool,

    #[command(flatten)]
    pub part: PartOptions,
}

impl SelectOptions {
    /// The metrics to show: those asked for, else the fitting ones.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        if !self.metric.is_empty() {
            return self.metric.clone();
        }
        match (&self.part.at, &self.part.range) {
            (None, None) => vec![Metric::Live, Metric::Peak],
            (_, Some(_)) => vec![Metric::Live, Metric::Allocated],
            (Some(_), None) => vec![Metric::Live],
        }
    }

    /// The metric, where there can be only one.
    pub(crate) fn first_metric(&self) -> Metric {
        self.metric.first().copied().unwrap_or_default()
    }

    /// What to sum, for one metric.
    pub(crate) fn query(&self, metric: Metric, imports: Imports) -> Query {
        Query {
            metric,
            group_by: self.group.grouping().unwrap_or_default(),
            cumulative: self.cumulative,
            imports,
        }
    }
}
