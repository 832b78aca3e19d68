//! The optional table of live blocks: address, site and size of each.

use crate::model::SiteId;
use crate::room;
use crate::varint::{Input, Malformed, put, put_change};

/// Blocks in one frame: a table is split so that reader and writer hold little at a time.
pub(crate) const PER_FRAME: usize = 1 << 18;

/// One live block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Block {
    /// Its address.
    pub address: u64,
    /// Its size in bytes, as requested.
    pub size: u64,
    /// Where it was allocated.
    pub site: SiteId,
}

/// Where a part stands in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub is_first: bool,
    pub is_last: bool,
}

impl Place {
    const FIRST: u8 = 1;
    const LAST: u8 = 2;
}

/// Says which block is at a site that is not known.
pub(crate) fn check(blocks: &[Block], sites: usize) -> Result<(), String> {
    match blocks.iter().find(|block| block.site as usize >= sites) {
        None => Ok(()),
        Some(block) => Err(format!(
            "{block:?} is not at one of the {sites} sites known"
        )),
    }
}

/// Appends a part of the table: its place, the count, then the columns.
pub(crate) fn encode(part: &[Block], place: Place, out: &mut Vec<u8>) {
    let first = if place.is_first { Place::FIRST } else { 0 };
    let last = if place.is_last { Place::LAST } else { 0 };
    out.push(first | last);
    put(out, part.len() as u64);
    for column in [
        |block: &Block| block.address,
        |block: &Block| u64::from(block.site),
        |block: &Block| block.size,
    ] {
        let mut previous = 0;
        for block in part {
            put_change(out, previous, column(block));
            previous = column(block);
        }
    }
}

/// Appends the blocks of one part to `table`, which a first part empties. On failure `table` may have gained some.
pub(crate) fn decode(
    payload: &[u8],
    sites: usize,
    table: &mut Vec<Block>,
) -> Result<Place, Malformed> {
    let mut input = Input::new(payload);
    let flags = input.byte()?;
    let place = Place {
        is_first: flags & Place::FIRST != 0,
        is_last: flags & Place::LAST != 0,
    };
    if place.is_first {
        table.clear();
    }
    let count = input.count(3)?;
    let first = table.len();
    room::reserve(table, count)?;
    let mut address = 0;
    for _ in 0..count {
        address = input.change(address)?;
        table.push(Block {
            address,
            ..Block::default()
        });
    }
    let mut site = 0;
    for block in &mut table[first..] {
        site = input.change32(site)?;
        if site as usize >= sites {
            return Err("a block is at a site that does not exist");
        }
        block.site = site;
    }
    let mut size = 0;
    for block in &mut table[first..] {
        size = input.change(size)?;
        block.size = size;
    }
    Ok(place)
}
