//! Mapped pages: ranges of addresses that may be unmapped in parts.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt};
use heapsight_capture::model::SiteId;

/// What is left of mappings.
#[derive(Debug)]
pub(super) struct Ranges {
    /// By first address; no two overlap.
    pieces: BTreeMap<u64, Piece>,
    /// Pieces that are left of each mapping that was split.
    counts: HashMap<u64, u32>,
    mappings: u64,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    /// First address behind it.
    end: u64,
    site: SiteId,
    mapping: u64,
    is_whole: bool,
}

/// A part that was unmapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Removed {
    pub start: u64,
    pub bytes: u64,
    pub site: SiteId,
    /// Nothing is left of the mapping.
    pub ends_mapping: bool,
    /// It was the whole mapping at once.
    pub ends_whole: bool,
}

impl Default for Ranges {
    fn default() -> Self {
        Self {
            pieces: BTreeMap::new(),
            counts: HashMap::new(),
            mappings: 0,
        }
    }
}

impl Ranges {
    /// Adds a mapping where there is none.
    pub(super) fn insert(&mut self, start: u64, bytes: u64, site: SiteId) {
        self.mappings += 1;
        let piece = Piece {
            end: start.saturating_add(bytes),
            site,
            mapping: self.mappings,
            is_whole: true,
        };
        self.pieces.insert(start, piece);
    }

    /// Takes out all that is mapped in a range; what sticks out of it on either side stays.
    pub(super) fn remove(&mut self, start: u64, bytes: u64) -> Vec<Removed> {
        let end = start.saturating_add(bytes);
        // One that begins earlier may reach into the range; from there on all that begin before its end do.
        let before = self.pieces.range(..start).next_back();
        let reaching = before.filter(|(_, piece)| piece.end > start);
        let from = reaching.map_or(start, |(first, _)| *first);
        let hit: Vec<u64> = match from < end {
            true => self.pieces.range(from..end).map(|(at, _)| *at).collect(),
            false => Vec::new(),
        };
        hit.into_iter()
            .filter_map(|at| self.cut(at, start, end))
            .collect()
    }

    /// Cuts a range out of the piece that begins at `at`.
    fn cut(&mut self, at: u64, start: u64, end: u64) -> Option<Removed> {
        let piece = self.pieces.remove(&at)?;
        let (cut_start, cut_end) = (at.max(start), piece.end.min(end));
        let left = (at < cut_start).then_some((at, cut_start));
        let right = (cut_end < piece.end).then_some((cut_end, piece.end));
        let mut stay = 0;
        for (first, end) in [left, right].into_iter().flatten() {
            stay += 1;
            let rest = Piece {
                end,
                is_whole: false,
                ..piece
            };
            self.pieces.insert(first, rest);
        }
        let before = self.counts.remove(&piece.mapping).unwrap_or(1);
        let now = before - 1 + stay;
        if now > 1 {
            self.counts.insert(piece.mapping, now);
        }
        Some(Removed {
            start: cut_start,
            bytes: cut_end - cut_start,
            site: piece.site,
            ends_mapping: now == 0,
            ends_whole: piece.is_whole && stay == 0,
        })
    }
}
