//! From the last path to the present one when a function was called or returned from: what stays, what changed, what is
//! new.

use heapsight_cpython::frame::{self, Frame};
use heapsight_cpython::mark::{self, Callee};
use heapsight_cpython::version::Version;

use super::ring::{self, Ring};
use super::{Entry, PathCache};

/// How far down the last path a frame is looked for. Beyond it the whole stack is compared from the outermost frame.
const SEARCH_ENTRIES: usize = 16;

/// How far down [`PathCache::walk`] looks for each frame, and for how many of them.
const NEAR: usize = 3;
const NEAR_FRESH: usize = 8;

/// The caller of entry `.0` is not the one that the cache says. The entries above it are on the stack.
struct Diverged(usize);

impl PathCache {
    /// The path to `leaf`, which is not the frame that the last path ended in, or not the same invocation, or not known
    /// to be.
    ///
    /// Mostly one function was called, or returned from, or both, and a caller close by is trusted. That case is
    /// here, without a list of fresh frames and with each entry looked at once; [`Self::walk_far`] knows all cases.
    #[inline(never)]
    pub(super) unsafe fn walk<V: Version>(&mut self, leaf: Frame) -> u32 {
        let mut fresh = [leaf; NEAR_FRESH];
        let mut fresh_len = 0;
        let mut frame = leaf;
        // Entries from here on are known not to be on the stack.
        let mut end = self.entries.len();
        let entries = self.entries.as_mut_ptr();
        // SAFETY: promised by the caller: frames from the running one outwards are live, and so are those of entries
        // below one of them as long as the links agree, which is checked before the next is touched. All indices are
        // below `end`, which only gets smaller, and nothing changes the list until `truncate`.
        unsafe {
            let (top, trusted, changed) = 'search: loop {
                // Frames that are not among the entries.
                let top = loop {
                    if end < NEAR {
                        return self.walk_far::<V>(leaf);
                    }
                    let near = (1..=NEAR)
                        .map(|back| end - back)
                        .find(|&index| (*entries.add(index)).frame == frame);
                    if let Some(top) = near {
                        break top;
                    }
                    let caller = frame::previous::<V>(frame);
                    let (Some(place), Some(caller)) = (fresh.get_mut(fresh_len), caller) else {
                        return self.walk_far::<V>(leaf);
                    };
                    *place = frame;
                    fresh_len += 1;
                    frame = caller;
                };
                // Then entries, until one is trusted.
                let mut changed = top + 1;
                let mut callee = fresh[..fresh_len].last().map(|&frame| Callee {
                    frame,
                    is_same: false,
                });
                let mut index = top;
                loop {
                    let entry = &*entries.add(index);
                    if frame::position::<V>(entry.frame) != entry.position {
                        changed = index;
                    }
                    if entry.markable && mark::is_valid::<V>(entry.frame, callee, entry.token) {
                        break 'search (top, index, changed);
                    }
                    let below = frame::previous::<V>(entry.frame);
                    if index == 0 {
                        return self.walk_far::<V>(leaf);
                    }
                    if below == Some((*entries.add(index - 1)).frame) {
                        callee = Some(Callee {
                            frame: entry.frame,
                            is_same: true,
                        });
                        index -= 1;
                        continue;
                    }
                    // It has another caller than before: as good as fresh, like those above.
                    let Some(caller) = below else {
                        return self.walk_far::<V>(leaf);
                    };
                    for again in (index..=top).rev() {
                        let Some(place) = fresh.get_mut(fresh_len) else {
                            return self.walk_far::<V>(leaf);
                        };
                        *place = (*entries.add(again)).frame;
                        fresh_len += 1;
                    }
                    frame = caller;
                    end = index;
                    continue 'search;
                }
            };
            let fresh = &fresh[..fresh_len];
            let mut node = self.node_below(changed);
            for index in changed..=top {
                let entry = entries.add(index);
                let frame = (*entry).frame;
                let position = frame::position::<V>(frame);
                let (found, shown) = self.step::<V>(node, frame, position);
                node = found;
                (*entry).position = position;
                (*entry).node = node;
                (*entry).shown = shown;
                (*entry).markable = Self::is_markable::<V>(frame, shown);
            }
            self.entries.truncate(top + 1);
            for &frame in fresh.iter().rev() {
                node = self.push::<V>(frame);
            }
            // The trusted one carries its mark.
            self.mark_from::<V>(trusted + 1);
            node
        }
    }

    #[inline(never)]
    unsafe fn walk_far<V: Version>(&mut self, leaf: Frame) -> u32 {
        self.fresh.clear();
        let mut searched = self.entries.len();
        let mut next = Some(leaf);
        // SAFETY: promised by the caller: frames from the running one outwards are live.
        unsafe {
            while let Some(index) = self.find::<V>(next, searched) {
                match self.compare::<V>(index) {
                    Ok((changed, compared)) => {
                        return self.rebuild::<V>(index, changed, compared);
                    }
                    Err(Diverged(last)) => {
                        self.fresh.extend(
                            self.entries[last..=index]
                                .iter()
                                .rev()
                                .map(|entry| entry.frame),
                        );
                        next = frame::previous::<V>(self.entries[last].frame);
                        searched = last;
                    }
                }
            }
            self.rebuild_from_outermost::<V>()
        }
    }

    /// The first of the frames from `next` outwards that is among the entries below `top`. Those before it become
    /// fresh; without one, all of them. Where callers go round in a ring, the path ends with the last one that is new.
    unsafe fn find<V: Version>(&mut self, mut next: Option<Frame>, top: usize) -> Option<usize> {
        let mut ring = Ring::default();
        while let Some(frame) = next {
            if let Some(index) = self.search(frame, top) {
                return Some(index);
            }
            if let Some(length) = ring.length_at(frame) {
                ring::cut(&mut self.fresh, length);
                return None;
            }
            self.fresh.push(frame);
            // SAFETY: promised by the caller: these frames are live.
            next = unsafe { frame::previous::<V>(frame) };
        }
        None
    }

    /// The entry of `frame` among those right below `top`.
    #[inline(always)]
    fn search(&self, frame: Frame, top: usize) -> Option<usize> {
        let bottom = top.saturating_sub(SEARCH_ENTRIES);
        self.entries[bottom..top]
            .iter()
            .rposition(|entry| entry.frame == frame)
            .map(|index| bottom + index)
    }

    /// Compares the stack from entry `top` outwards. Gives the outermost entry that changed (or `top + 1`) and the
    /// outermost that carries no mark.
    #[inline(always)]
    unsafe fn compare<V: Version>(&self, top: usize) -> Result<(usize, usize), Diverged> {
        let mut changed = top + 1;
        let mut callee = self.fresh.last().map(|&frame| Callee {
            frame,
            is_same: false,
        });
        let mut index = top;
        // The next frame's address comes from the list, not from the frame: the processor need not wait for one load to
        // begin the next. SAFETY: entry `top` is on the stack (its frame was reached from the running one), and so is
        // each one below as long as the links agree, which is checked before the next is touched.
        unsafe {
            loop {
                let entry = &self.entries[index];
                if frame::position::<V>(entry.frame) != entry.position {
                    changed = index;
                }
                if entry.markable && mark::is_valid::<V>(entry.frame, callee, entry.token) {
                    return Ok((changed, index + 1));
                }
                let below = frame::previous::<V>(entry.frame);
                if index == 0 {
                    return if below.is_none() {
                        Ok((changed, 0))
                    } else {
                        Err(Diverged(0))
                    };
                }
                if below != Some(self.entries[index - 1].frame) {
                    return Err(Diverged(index));
                }
                callee = Some(Callee {
                    frame: entry.frame,
                    is_same: true,
                });
                index -= 1;
            }
        }
    }

    /// Entries up to `top` stay, from `changed` on they are looked up again; then come the fresh frames. What was
    /// compared is marked.
    #[inline(always)]
    unsafe fn rebuild<V: Version>(&mut self, top: usize, changed: usize, compared: usize) -> u32 {
        self.entries.truncate(top + 1);
        for index in changed..=top {
            let frame = self.entries[index].frame;
            // SAFETY: promised by the caller.
            unsafe {
                let position = frame::position::<V>(frame);
                let (node, shown) = self.step::<V>(self.node_below(index), frame, position);
                let entry = &mut self.entries[index];
                entry.position = position;
                entry.node = node;
                entry.shown = shown;
                entry.markable = Self::is_markable::<V>(frame, shown);
            }
        }
        // SAFETY: promised by the caller.
        unsafe { self.push_fresh::<V>(compared) }
    }

    /// `fresh` is the whole stack: keeps the outermost entries that agree with it.
    #[cold]
    #[inline(never)]
    unsafe fn rebuild_from_outermost<V: Version>(&mut self) -> u32 {
        let is_same = |entry: &Entry, frame: Frame| {
            // SAFETY: promised by the caller: fresh frames are live.
            entry.frame == frame
                && entry.position == unsafe { frame::position::<V>(frame) }
                && entry.shown
        };
        let same = self
            .entries
            .iter()
            .zip(self.fresh.iter().rev())
            .take_while(|(entry, frame)| is_same(entry, **frame))
            .count();
        self.entries.truncate(same);
        self.fresh.truncate(self.fresh.len() - same);
        // SAFETY: promised by the caller.
        unsafe { self.push_fresh::<V>(0) }
    }

    /// Appends the fresh frames and marks the entries from `mark_from` on.
    #[inline(always)]
    unsafe fn push_fresh<V: Version>(&mut self, mark_from: usize) -> u32 {
        while let Some(frame) = self.fresh.pop() {
            // SAFETY: promised by the caller.
            unsafe { self.push::<V>(frame) };
        }
        // SAFETY: as above.
        unsafe { self.mark_from::<V>(mark_from) };
        self.node_below(self.entries.len())
    }

    /// Appends one frame, called by the one that the list ends in. Gives the path up to it.
    #[inline(always)]
    unsafe fn push<V: Version>(&mut self, frame: Frame) -> u32 {
        let parent = self.node_below(self.entries.len());
        // SAFETY: promised by the caller.
        let position = unsafe { frame::position::<V>(frame) };
        // SAFETY: as above.
        let (node, shown) = unsafe { self.step::<V>(parent, frame, position) };
        // SAFETY: as above.
        let markable = unsafe { Self::is_markable::<V>(frame, shown) };
        let token = self.next_token;
        self.next_token += 1;
        self.entries.push(Entry {
            frame,
            position,
            token,
            node,
            shown,
            markable,
        });
        node
    }

    /// Marks the entries from `first` on.
    #[inline(always)]
    unsafe fn mark_from<V: Version>(&mut self, first: usize) {
        if mark::supported::<V>() && crate::config::may_mark_frames() {
            let mut callee = None;
            for entry in self.entries.iter().skip(first).rev() {
                if entry.markable {
                    // SAFETY: promised by the caller.
                    unsafe { mark::set::<V>(entry.frame, callee, entry.token) };
                }
                callee = Some(entry.frame);
            }
        }
    }
}
