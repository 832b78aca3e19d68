//! From the running frame to a call path: the last path of the thread is kept and only what changed is looked up again.
//!
//! The path is a list of [`Entry`], outermost first. An allocation finds the running frame in it (or its nearest caller
//! that is there), compares the entries below until one is *trusted* ([`heapsight_cpython::mark`]) or the outermost is
//! reached, looks up the call-path tree from the outermost changed entry upwards, and marks what it had to compare. Each frame
//! is thus compared about once after it was called or returned into, however deep the stack.

use heapsight_cpython::frame::{self, Frame, Position};
use heapsight_cpython::mark::{self, Token};
use heapsight_cpython::version::Version;

use crate::totals::Sharing;
use crate::{codes, sites, thread, tree};

/// One frame of the thread's last call path.
#[derive(Clone, Copy)]
struct Entry {
    frame: Frame,
    position: Position,
    /// Number of the mark left in the frame.
    token: Token,
    /// The call path up to this frame. Equal to the caller's for a frame that is not shown (a shim, a frame being set up).
    node: u32,
    /// False for frames that are not shown: nothing is known of what their fields mean.
    shown: bool,
}

/// One remembered step: from `parent`, a frame at `position` leads to `node`.
#[derive(Clone, Copy)]
struct Step {
    position: Position,
    parent: u32,
    node: u32,
}

const STEP_BITS: u32 = 12;

/// What frames at `position` are.
#[derive(Clone, Copy)]
struct Meaning {
    position: Position,
    code: u32,
    offset: u32,
}

const MEANING_BITS: u32 = 9;

#[inline(always)]
fn meaning_slot(position: Position) -> usize {
    (position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - MEANING_BITS)) as usize
}

/// One remembered site of a path of one frame, under the GIL.
#[derive(Clone, Copy)]
struct LeafSite {
    position: Position,
    site: u32,
    domain: u32,
}

const LEAF_SITE_BITS: u32 = 10;

#[inline(always)]
fn leaf_slot<const DOMAIN: u32>(position: Position) -> usize {
    let hash = position.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (hash >> (64 - LEAF_SITE_BITS)) as usize ^ DOMAIN as usize
}

impl LeafSite {
    /// Of no domain.
    const NONE: Self = Self {
        position: 0,
        site: 0,
        domain: u32::MAX,
    };
}

impl Meaning {
    /// In no frame's place: no code has that many bytes.
    const NONE: Self = Self {
        position: 0,
        code: 0,
        offset: tree::NO_OFFSET,
    };
}

impl Step {
    const NONE: Self = Self {
        position: 0,
        parent: u32::MAX,
        node: 0,
    };
}

/// How far down the last path a frame is looked for. Beyond it the whole stack is compared from the outermost frame.
const SEARCH_ENTRIES: usize = 16;

/// How far down [`PathCache::walk`] looks for each frame, and for how many of them.
const NEAR: usize = 3;
const NEAR_FRESH: usize = 8;

/// The last call path of one thread.
pub(crate) struct PathCache {
    epoch: u64,
    thread_state: *const u8,
    /// Path that the outermost frame hangs from: the root, or the thread's own.
    base: u32,
    /// Does the event that is being recorded have the tables to itself? See [`tree::child_alone`].
    alone: bool,
    next_token: Token,
    misses: u32,
    entries: Vec<Entry>,
    /// Frames found above the part of the stack that is known, innermost first.
    fresh: Vec<Frame>,
    steps: Box<[Step; 1 << STEP_BITS]>,
    meanings: Box<[Meaning; 1 << MEANING_BITS]>,
    leaf_sites: Box<[LeafSite; 1 << LEAF_SITE_BITS]>,
    has_leaf_sites: bool,
}

/// The caller of entry `.0` is not the one that the cache says. The entries above it are on the stack.
struct Diverged(usize);

impl PathCache {
    pub(crate) fn new() -> Self {
        Self {
            epoch: 0,
            thread_state: std::ptr::null(),
            base: tree::ROOT,
            alone: false,
            next_token: 1,
            misses: 0,
            entries: Vec::with_capacity(64),
            fresh: Vec::with_capacity(64),
            steps: Box::new([Step::NONE; 1 << STEP_BITS]),
            meanings: Box::new([Meaning::NONE; 1 << MEANING_BITS]),
            leaf_sites: Box::new([LeafSite::NONE; 1 << LEAF_SITE_BITS]),
            has_leaf_sites: false,
        }
    }

    /// The call path of the thread whose state is `thread_state` (null: no Python thread).
    ///
    /// # Safety
    /// `thread_state` is null or the live `PyThreadState` of the calling thread, of version `V`.
    #[inline(always)]
    pub(crate) unsafe fn current<V: Version>(
        &mut self,
        thread_state: *const u8,
        sharing: Sharing,
    ) -> u32 {
        if self.epoch != thread::cache_epoch() || self.thread_state != thread_state {
            self.forget(thread_state);
        }
        self.alone = sharing == Sharing::Gil;
        if thread_state.is_null() {
            return self.base;
        }
        // SAFETY: promised by the caller; the running frame and, by the argument of `mark`, every caller of a trusted frame are live.
        unsafe {
            let Some(leaf) = frame::current::<V>(thread_state) else {
                return self.base;
            };
            if let [.., last] = self.entries.as_mut_slice()
                && last.frame == leaf
                && last.shown
                && mark::is_trusted::<V>(leaf, None, last.token)
            {
                let position = frame::position::<V>(leaf);
                if position == last.position {
                    return last.node;
                }
                return self.step_in_leaf::<V>(position);
            }
            self.walk::<V>(leaf)
        }
    }

    /// The site of `DOMAIN` on the call path of the running frame alone. See [`sites::of`] for what the result may be.
    ///
    /// # Safety
    /// As [`Self::current`].
    #[inline(always)]
    pub(crate) unsafe fn leaf_site<V: Version, const DOMAIN: u32>(
        &mut self,
        thread_state: *const u8,
        sharing: Sharing,
    ) -> u32 {
        // From the position straight to the site: neither the step nor the node is waited for.
        if sharing == Sharing::Gil
            && self.epoch == thread::cache_epoch()
            && self.thread_state == thread_state
            && !thread_state.is_null()
        {
            // SAFETY: promised by the caller: the running frame is live.
            unsafe {
                if let Some(frame) = frame::current::<V>(thread_state) {
                    let position = frame::position::<V>(frame);
                    let known = self.leaf_sites[leaf_slot::<DOMAIN>(position)];
                    if known.position == position && known.domain == DOMAIN {
                        return known.site;
                    }
                }
            }
        }
        // SAFETY: promised by the caller.
        unsafe { self.new_leaf_site::<V, DOMAIN>(thread_state, sharing) }
    }

    #[inline(never)]
    unsafe fn new_leaf_site<V: Version, const DOMAIN: u32>(
        &mut self,
        thread_state: *const u8,
        sharing: Sharing,
    ) -> u32 {
        // SAFETY: promised by the caller: the running frame is live.
        unsafe {
            let node = self.current_leaf::<V>(thread_state, sharing);
            let site = sites::of(node, DOMAIN, sharing);
            if sharing == Sharing::Gil
                && site != 0
                && !thread_state.is_null()
                && let Some(frame) = frame::current::<V>(thread_state)
            {
                let position = frame::position::<V>(frame);
                // Else the frame was not shown, or will not always be.
                if self.meanings[meaning_slot(position)].position == position {
                    self.leaf_sites[leaf_slot::<DOMAIN>(position)] = LeafSite {
                        position,
                        site,
                        domain: DOMAIN,
                    };
                    self.has_leaf_sites = true;
                }
            }
            site
        }
    }

    /// The call path of the running frame alone.
    ///
    /// # Safety
    /// As [`Self::current`].
    #[inline(always)]
    pub(crate) unsafe fn current_leaf<V: Version>(
        &mut self,
        thread_state: *const u8,
        sharing: Sharing,
    ) -> u32 {
        if self.epoch != thread::cache_epoch() || self.thread_state != thread_state {
            self.forget(thread_state);
        }
        self.alone = sharing == Sharing::Gil;
        if thread_state.is_null() {
            return self.base;
        }
        // SAFETY: promised by the caller: frames from the running one outwards are live.
        unsafe {
            let mut next = frame::current::<V>(thread_state);
            while let Some(frame) = next {
                let (node, shown) = self.step::<V>(self.base, frame, frame::position::<V>(frame));
                if shown {
                    return node;
                }
                next = frame::previous::<V>(frame);
            }
        }
        self.base
    }

    #[cold]
    #[inline(never)]
    fn forget(&mut self, thread_state: *const u8) {
        crate::recycle::sweep_if_wanted();
        crate::timer::poll();
        if self.epoch != thread::cache_epoch() {
            self.steps.fill(Step::NONE);
            self.meanings.fill(Meaning::NONE);
        }
        self.epoch = thread::cache_epoch();
        self.thread_state = thread_state;
        self.base = crate::config::base_path();
        if self.has_leaf_sites {
            self.leaf_sites.fill(LeafSite::NONE);
            self.has_leaf_sites = false;
        }
        self.entries.clear();
    }

    /// The innermost frame is the same invocation as before, at another instruction.
    #[inline(always)]
    unsafe fn step_in_leaf<V: Version>(&mut self, position: Position) -> u32 {
        let last = self.entries.len() - 1;
        let parent = self.node_below(last);
        let frame = self.entries[last].frame;
        // SAFETY: promised by the caller (`current`).
        let (node, shown) = unsafe { self.step::<V>(parent, frame, position) };
        let entry = &mut self.entries[last];
        entry.position = position;
        entry.node = node;
        entry.shown = shown;
        node
    }

    /// The path that entry `index` hangs from.
    #[inline(always)]
    fn node_below(&self, index: usize) -> u32 {
        if index == 0 {
            self.base
        } else {
            self.entries[index - 1].node
        }
    }

    /// Where `frame` at `position` leads from the path `parent`, and whether it is shown.
    #[inline(always)]
    unsafe fn step<V: Version>(
        &mut self,
        parent: u32,
        frame: Frame,
        position: Position,
    ) -> (u32, bool) {
        let hash = (position ^ (u64::from(parent) << 20)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = (hash >> (64 - STEP_BITS)) as usize;
        let known = self.steps[slot];
        if known.position == position && known.parent == parent {
            return (known.node, true);
        }
        // SAFETY: promised by the caller.
        unsafe { self.new_step::<V>(parent, frame, position, slot) }
    }

    /// As [`Self::step`], for one that is not in `slot` of the steps.
    #[inline(always)]
    unsafe fn new_step<V: Version>(
        &mut self,
        parent: u32,
        frame: Frame,
        position: Position,
        slot: usize,
    ) -> (u32, bool) {
        let place = meaning_slot(position);
        let known = self.meanings[place];
        let (code, offset, holds_for_position) =
            if known.position == position && known.offset != tree::NO_OFFSET {
                (known.code, known.offset, true)
            } else {
                // SAFETY: promised by the caller.
                match unsafe { resolve::<V>(frame) } {
                    Some(found) => (found.code, found.offset, found.holds_for_position),
                    // Not remembered: the same position may be shown later, when a generator owns the frame.
                    None => return (parent, false),
                }
            };
        let node = if self.alone {
            tree::child_alone(parent, code, offset)
        } else {
            tree::child(parent, code, offset)
        };
        if holds_for_position {
            if known.position != position {
                self.meanings[place] = Meaning {
                    position,
                    code,
                    offset,
                };
            }
            self.misses = self.misses.wrapping_add(1);
            if !self.alone || self.misses & 3 == 0 {
                self.steps[slot] = Step {
                    position,
                    parent,
                    node,
                };
            }
        }
        (node, true)
    }

    /// The path to `leaf`, which is not the frame that the last path ended in, or not the same invocation, or not known to be.
    ///
    /// Mostly one function was called, or returned from, or both, and a caller close by is trusted. That case is
    /// here, without a list of fresh frames and with each entry looked at once; [`Self::walk_far`] knows all cases.
    #[inline(never)]
    unsafe fn walk<V: Version>(&mut self, leaf: Frame) -> u32 {
        let mut fresh = [leaf; NEAR_FRESH];
        let mut fresh_len = 0;
        let mut frame = leaf;
        // Entries from here on are known not to be on the stack.
        let mut end = self.entries.len();
        let entries = self.entries.as_mut_ptr();
        // SAFETY: promised by the caller: frames from the running one outwards are live, and so are those of entries below one of them
        // as long as the links agree, which is checked before the next is touched. All indices are below `end`, which only
        // gets smaller, and nothing changes the list until `truncate`.
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
                let mut callee = fresh[..fresh_len].last().copied();
                let mut index = top;
                loop {
                    let entry = &*entries.add(index);
                    if frame::position::<V>(entry.frame) != entry.position {
                        changed = index;
                    }
                    if entry.shown && mark::is_trusted::<V>(entry.frame, callee, entry.token) {
                        break 'search (top, index, changed);
                    }
                    let below = frame::previous::<V>(entry.frame);
                    if index == 0 {
                        return self.walk_far::<V>(leaf);
                    }
                    if below == Some((*entries.add(index - 1)).frame) {
                        callee = Some(entry.frame);
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

    /// The first of the frames from `next` outwards that is among the entries below `top`. Those before it become fresh; without
    /// one, all of them.
    unsafe fn find<V: Version>(&mut self, mut next: Option<Frame>, top: usize) -> Option<usize> {
        while let Some(frame) = next {
            if let Some(index) = self.search(frame, top) {
                return Some(index);
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

    /// Compares the stack from entry `top` outwards. Gives the outermost entry that changed (or `top + 1`) and the outermost
    /// that carries no mark.
    #[inline(always)]
    unsafe fn compare<V: Version>(&self, top: usize) -> Result<(usize, usize), Diverged> {
        let mut changed = top + 1;
        let mut callee = self.fresh.last().copied();
        let mut index = top;
        // The next frame's address comes from the list, not from the frame: the processor need not wait for one load to begin the next.
        // SAFETY: entry `top` is on the stack (its frame was reached from the running one), and so is each one below as long
        // as the links agree, which is checked before the next is touched.
        unsafe {
            loop {
                let entry = &self.entries[index];
                if frame::position::<V>(entry.frame) != entry.position {
                    changed = index;
                }
                if entry.shown && mark::is_trusted::<V>(entry.frame, callee, entry.token) {
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
                callee = Some(entry.frame);
                index -= 1;
            }
        }
    }

    /// Entries up to `top` stay, from `changed` on they are looked up again; then come the fresh frames. What was compared is marked.
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
        let token = self.next_token;
        self.next_token += 1;
        self.entries.push(Entry {
            frame,
            position,
            token,
            node,
            shown,
        });
        node
    }

    /// Marks the entries from `first` on.
    #[inline(always)]
    unsafe fn mark_from<V: Version>(&mut self, first: usize) {
        if mark::supported::<V>() && crate::config::may_mark_frames() {
            let mut callee = None;
            for entry in self.entries.iter().skip(first).rev() {
                if entry.shown {
                    // SAFETY: promised by the caller.
                    unsafe { mark::set::<V>(entry.frame, callee, entry.token) };
                }
                callee = Some(entry.frame);
            }
        }
    }
}

/// Compares `node` with the call path read afresh from all frames; says so and counts a loss when they differ.
///
/// # Safety
/// As [`PathCache::current`].
#[cfg(feature = "verify-paths")]
pub(crate) unsafe fn verify<V: Version>(node: u32, thread_state: *const u8) {
    let mut frames = Vec::new();
    if !thread_state.is_null() {
        // SAFETY: promised by the caller.
        unsafe {
            let mut next = frame::current::<V>(thread_state);
            while let Some(frame) = next {
                frames.push(frame);
                next = frame::previous::<V>(frame);
            }
        }
    }
    let step = |path: u32, frame: &Frame| {
        // SAFETY: promised by the caller.
        unsafe { resolve::<V>(*frame) }
            .map_or(path, |found| tree::child(path, found.code, found.offset))
    };
    let afresh = frames.iter().rev().fold(crate::config::base_path(), step);
    if afresh != node {
        crate::totals::count_loss();
        let describe = |mut node: u32| {
            let mut steps = Vec::new();
            while node != tree::ROOT && steps.len() < 8 {
                let at = tree::node(node);
                let code = at.code.load(std::sync::atomic::Ordering::Relaxed);
                let offset = at.offset.load(std::sync::atomic::Ordering::Relaxed);
                steps.push(format!(
                    "{}+{offset}",
                    codes::name(&mut crate::lock::hold(), code)
                ));
                node = at.parent.load(std::sync::atomic::Ordering::Relaxed);
            }
            steps.join(" < ")
        };
        eprintln!(
            "heapsight: a cached call path differs from the frames:\n  cached {}\n  frames {}",
            describe(node),
            describe(afresh)
        );
    }
}

/// What [`resolve`] found.
struct Resolved {
    code: u32,
    offset: u32,
    /// Is every frame at the same position the same? Not so where a generator is made: the frame at that instruction is shown
    /// once it is the generator's, and not while it still is the caller's.
    holds_for_position: bool,
}

/// Which code the frame runs, and where it stands in it; `None` when it is not shown.
#[cold]
#[inline(never)]
unsafe fn resolve<V: Version>(frame: Frame) -> Option<Resolved> {
    // SAFETY: promised by the callers: a live frame; its code is read only when it is not a shim.
    unsafe {
        if frame::is_shim::<V>(frame) {
            return None;
        }
        let code = frame::code::<V>(frame);
        let offset = frame::instruction_offset::<V>(frame, code)?;
        Some(Resolved {
            code: codes::identity_of::<V>(code),
            offset,
            holds_for_position: frame::is_traceable::<V>(code, offset),
        })
    }
}
