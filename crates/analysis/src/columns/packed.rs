//! Changes of sites, packed: of a busy recording there are millions, most of them small.

use heapsight_capture::model::SiteId;

use super::SiteChange;

/// Changes by ascending site. Each is the distance from the site before, a byte that says which figures follow, and the
/// figures, seven bits to a byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    len: usize,
    last: SiteId,
}

impl Packed {
    /// Adds a change of a site beyond all others. Nothing is kept of no change.
    pub(super) fn push(&mut self, site: SiteId, change: SiteChange) {
        let figures = change.figures();
        let is_there = |at: usize| figures[at] > 0;
        let mask = (0..figures.len()).filter(|at| is_there(*at));
        let mask = mask.fold(0_u8, |mask, at| mask | 1 << at);
        if mask == 0 {
            return;
        }
        put(&mut self.bytes, u64::from(site - self.last));
        self.bytes.push(mask);
        for figure in figures.into_iter().filter(|figure| *figure > 0) {
            put(&mut self.bytes, figure);
        }
        self.last = site;
        self.len += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn iter(&self) -> Changes<'_> {
        Changes {
            rest: &self.bytes,
            last: 0,
        }
    }

    /// Both, one after the other: the changes of a site that is in both are added up.
    pub(super) fn joined(&self, later: &Self) -> Self {
        let mut both = Self::default();
        let (mut mine, mut theirs) = (self.iter().peekable(), later.iter().peekable());
        loop {
            let (site, change) = match (mine.peek().copied(), theirs.peek().copied()) {
                (None, None) => break,
                (Some(one), None) => {
                    mine.next();
                    one
                }
                (None, Some(other)) => {
                    theirs.next();
                    other
                }
                (Some((site, mut change)), Some((other, more))) => {
                    if site <= other {
                        mine.next();
                    }
                    if other <= site {
                        theirs.next();
                    }
                    match site.cmp(&other) {
                        std::cmp::Ordering::Less => (site, change),
                        std::cmp::Ordering::Greater => (other, more),
                        std::cmp::Ordering::Equal => {
                            change += more;
                            (site, change)
                        }
                    }
                }
            };
            both.push(site, change);
        }
        both.bytes.shrink_to_fit();
        both
    }
}

/// Takes changes out again.
pub(super) struct Changes<'p> {
    rest: &'p [u8],
    last: SiteId,
}

impl Iterator for Changes<'_> {
    type Item = (SiteId, SiteChange);

    fn next(&mut self) -> Option<Self::Item> {
        let distance = take(&mut self.rest)?;
        self.last += distance as SiteId;
        let (mask, rest) = self.rest.split_first()?;
        self.rest = rest;
        let mut figures = [0; 6];
        for (at, figure) in figures.iter_mut().enumerate() {
            if mask & 1 << at != 0 {
                *figure = take(&mut self.rest)?;
            }
        }
        Some((self.last, SiteChange::of_figures(figures)))
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(number)
}
