//! Filters over whole tables.

use heapsight_capture::model::{Site, SiteId, Tables};

use super::{Filter, keep};
use crate::path::is_frame;

/// Drops the sites whose call path `filters` do not keep together (see [`keep`]). Names and call paths stay, so ids of
/// those stay valid; ids of sites change. Totals stay those of the whole capture. Gives the new id of each site, `None`
/// for those dropped.
///
/// Time: filters × (names + call paths), however many blocks there are.
pub fn apply_filters(tables: &mut Tables, filters: &[Filter]) -> Vec<Option<SiteId>> {
    apply_shown_filters(tables, filters, "")
}

/// As [`apply_filters`]. File names are matched as in a report on a program that started in `working_directory`, by the
/// filters made for that ([`Filter::as_shown`]).
pub fn apply_shown_filters(
    tables: &mut Tables,
    filters: &[Filter],
    working_directory: &str,
) -> Vec<Option<SiteId>> {
    let verdicts: Vec<Vec<bool>> = filters
        .iter()
        .map(|filter| sites_kept(tables, filter, working_directory))
        .collect();
    let is_kept = |site: &Site| {
        let of_site = |sites_kept: &Vec<bool>| sites_kept[site.node as usize];
        keep(filters.iter().zip(verdicts.iter().map(of_site)))
    };
    let (mut sites, mut counters) = (Vec::new(), Vec::new());
    let ids = tables
        .sites
        .iter()
        .zip(&tables.counters)
        .map(|(site, counter)| {
            is_kept(site).then(|| {
                sites.push(*site);
                counters.push(*counter);
                (sites.len() - 1) as SiteId
            })
        })
        .collect();
    tables.sites = sites;
    tables.counters = counters;
    ids
}

/// Whether `filter` alone keeps each call path.
fn sites_kept(tables: &Tables, filter: &Filter, working_directory: &str) -> Vec<bool> {
    let names: Vec<bool> = tables
        .strings
        .iter()
        .map(|name| filter.matches_in_report(name, working_directory))
        .collect();
    let mut hits: Vec<bool> = Vec::with_capacity(tables.nodes.len());
    for (id, node) in (0..).zip(&tables.nodes) {
        let line = (node.line > 0).then_some(i64::from(node.line));
        let hit = is_frame(tables, id)
            && names[tables.codes[node.code as usize].filename as usize]
            && filter.matches_line(line);
        let above = filter.any_frame && id != 0 && hits[node.parent as usize];
        hits.push(hit || above);
    }
    hits.into_iter().map(|hit| hit == filter.include).collect()
}
