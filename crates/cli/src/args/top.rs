//! `heapsight top`.

use std::path::PathBuf;

use clap::Args;
use heapsight_analysis::{Filter, GroupBy, Metric};

use super::values::{count, filter, group_by, metric};

/// Options of `heapsight top`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TopOptions {
    /// Captures to show
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Entries to show
    #[arg(short, long, value_name = "N", default_value = "10", value_parser = count, allow_negative_numbers = true)]
    pub number: usize,

    /// Memory to show: live, allocated, freed, peak or temporary; repeatable [default: live and peak]
    #[arg(long, value_name = "METRIC", value_parser = metric)]
    pub metric: Vec<Metric>,

    /// Group by line, function, filename, traceback, domain or thread
    #[arg(long, value_name = "KEY", default_value = "line", value_parser = group_by)]
    pub group_by: GroupBy,

    /// Group by file, like '--group-by filename'
    #[arg(short, long, conflicts_with = "group_by")]
    pub file: bool,

    /// Count a block under every line, function or file on its call path
    #[arg(short, long)]
    pub cumulative: bool,

    /// Keep only memory whose most recent frame is in this file (and line); * stands for any characters; repeatable
    #[arg(short = 'i', value_name = "FILENAME[:LINENO]")]
    include: Vec<String>,

    /// Keep only memory with any frame in this file (and line); repeatable
    #[arg(short = 'I', value_name = "FILENAME[:LINENO]")]
    include_any: Vec<String>,

    /// Drop memory whose most recent frame is in this file (and line); repeatable
    #[arg(short = 'x', value_name = "FILENAME[:LINENO]")]
    exclude: Vec<String>,

    /// Drop memory with any frame in this file (and line); repeatable
    #[arg(short = 'X', value_name = "FILENAME[:LINENO]")]
    exclude_any: Vec<String>,

    /// Use colours [default: if standard output is a terminal]
    #[arg(long, overrides_with = "no_color")]
    color: bool,

    /// Do not use colours
    #[arg(long)]
    no_color: bool,
}

impl TopOptions {
    /// Whether colours were asked for or ruled out.
    pub(crate) fn color(&self) -> Option<bool> {
        (self.color || self.no_color).then_some(self.color)
    }

    /// What to group by.
    pub(crate) fn grouping(&self) -> GroupBy {
        if self.file {
            GroupBy::Filename
        } else {
            self.group_by
        }
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
        .flat_map(|(texts, include, any_frame)| {
            texts
                .iter()
                .map(move |text| filter(text, include, any_frame))
        })
        .collect()
    }
}
