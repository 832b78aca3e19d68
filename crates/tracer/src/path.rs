//! From the running frame to a call path: the last path of the thread is kept and only what changed is looked up again.
//!
//! The path is a list of [`Entry`], outermost first. An allocation finds the running frame in it, or its nearest caller
//! that is in it. It compares the entries below that one until it finds one that is *trusted*
//! ([`heapsight_cpython::mark`]) or reaches the outermost. Then it looks up the changed entries in the call-path tree,
//! beginning with the outermost, and marks the frames that it had to compare. So each frame is compared about once
//! after it was called or returned into, however deep the stack is.

pub(crate) mod base;
mod leaf;
mod ring;
mod walk;

use heapsight_cpython::frame::{self, Frame, Position};
use heapsight_cpython::mark::{self, Callee, Token};
use heapsight_cpython::version::Version;

use self::leaf::LeafSite;
use self::ring::Ring;
use crate::config;
use crate::interpreter::event::{self, Sharing};
use crate::memory::zeroed::{self, Zeroable};
use crate::session;
use crate::tables::{codes, tree};

/// One frame of the thread's last call path.
#[derive(Clone, Copy)]
struct Entry {
    frame: Frame,
    position: Position,
    /// Number of the mark left in the frame.
    token: Token,
    /// The call path up to this frame. Equal to the caller's for a frame that is not shown (a shim, a frame being set
    /// up).
    node: u32,
    /// False for frames that are not shown: nothing is known of what their fields mean.
    shown: bool,
    /// Is it a frame that can carry a mark: one that is shown, or a shim where these can?
    markable: bool,
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
fn cache_slot(position: Position) -> usize {
    (position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - MEANING_BITS)) as usize
}

/// No frame is here. Not 0: on 3.15 the outermost frame of a thread, a shim in the thread state, has no instruction.
const NO_POSITION: Position = Position::MAX;

impl Meaning {
    /// Of no frame.
    const NONE: Self = Self {
        position: NO_POSITION,
        code: 0,
        offset: 0,
    };
}

impl Step {
    /// Of no frame.
    const NONE: Self = Self {
        position: NO_POSITION,
        parent: 0,
        node: 0,
    };
}

// SAFETY: integers, for which all-zero bytes are a value. The first event fills the table with `NONE`: its epoch is not
// that of a new cache.
unsafe impl Zeroable for Step {}
// SAFETY: as for `Step`.
unsafe impl Zeroable for Meaning {}

/// The last call path of one thread.
pub(crate) struct PathCache {
    epoch: u64,
    thread_state: *const u8,
    attached: *const u8,
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
    leaf_sites: Box<[LeafSite; leaf::SITES]>,
    has_leaf_sites: bool,
}

impl PathCache {
    /// `None` when there is no memory for it.
    pub(crate) fn new() -> Option<Self> {
        Some(Self {
            epoch: 0,
            thread_state: std::ptr::null(),
            attached: std::ptr::null(),
            base: tree::ROOT,
            alone: false,
            next_token: 1,
            misses: 0,
            entries: Vec::new(),
            fresh: Vec::new(),
            steps: zeroed::boxed()?,
            meanings: zeroed::boxed()?,
            leaf_sites: zeroed::boxed()?,
            has_leaf_sites: false,
        })
    }

    /// The state that the thread had its last event under the GIL with.
    #[inline(always)]
    pub(crate) fn attached(&self) -> *const u8 {
        self.attached
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
        if self.epoch != session::cache_epoch() || self.thread_state != thread_state {
            // SAFETY: promised by the caller.
            unsafe { self.forget::<V>(thread_state, sharing) };
        }
        self.alone = sharing == Sharing::Gil;
        if thread_state.is_null() {
            return self.base;
        }
        // SAFETY: promised by the caller; the running frame and, by the argument of `mark`, every caller of a trusted
        // frame are live.
        unsafe {
            let Some(leaf) = frame::current::<V>(thread_state) else {
                return self.base;
            };
            if let [.., last] = self.entries.as_slice()
                && last.frame == leaf
                && last.shown
                && (mark::is_valid::<V>(leaf, None, last.token) || self.waits_for::<V>(leaf))
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

    /// The whole call path or that of the running frame alone, once for all callers who can spare a call.
    ///
    /// # Safety
    /// As [`Self::current`].
    #[inline(never)]
    pub(crate) unsafe fn current_apart<V: Version, const FULL: bool>(
        &mut self,
        thread_state: *const u8,
        sharing: Sharing,
    ) -> u32 {
        // SAFETY: promised by the caller.
        unsafe {
            if FULL {
                self.current::<V>(thread_state, sharing)
            } else {
                self.current_leaf::<V>(thread_state, sharing)
            }
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
        if self.epoch != session::cache_epoch() || self.thread_state != thread_state {
            // SAFETY: promised by the caller.
            unsafe { self.forget::<V>(thread_state, sharing) };
        }
        self.alone = sharing == Sharing::Gil;
        if thread_state.is_null() {
            return self.base;
        }
        // SAFETY: promised by the caller: frames from the running one outwards are live.
        unsafe {
            let mut next = frame::current::<V>(thread_state);
            let mut ring = Ring::default();
            while let Some(frame) = next {
                let (node, shown) = self.step::<V>(self.base, frame, frame::position::<V>(frame));
                if shown {
                    return node;
                }
                if ring.length_at(frame).is_some() {
                    break;
                }
                next = frame::previous::<V>(frame);
            }
        }
        self.base
    }

    /// Does the frame that the last path has below the innermost one still wait for that one, `leaf`, where it did?
    ///
    /// A generator cannot tell by itself that it runs on since the last event; whoever resumed it may.
    #[inline(always)]
    unsafe fn waits_for<V: Version>(&self, leaf: Frame) -> bool {
        if !mark::marks_shims::<V>() {
            return false;
        }
        let [.., caller, _] = self.entries.as_slice() else {
            return false;
        };
        let callee = Callee {
            frame: leaf,
            is_same: true,
        };
        // SAFETY: promised by the caller (`current`): the running frame is live, and so is the one that it says is
        // below it.
        unsafe {
            frame::previous::<V>(leaf) == Some(caller.frame)
                && caller.markable
                && frame::position::<V>(caller.frame) == caller.position
                && mark::is_valid::<V>(caller.frame, Some(callee), caller.token)
        }
    }

    /// Has the next event forget the last call path, and ask where paths of the thread begin.
    pub(crate) fn invalidate(&mut self) {
        // No thread's state is at this address, and nobody looks there.
        self.thread_state = std::ptr::dangling();
    }

    #[cold]
    #[inline(never)]
    unsafe fn forget<V: Version>(&mut self, thread_state: *const u8, sharing: Sharing) {
        crate::tables::recycle::sweep_if_wanted();
        let epoch = session::cache_epoch();
        let is_outdated = session::is_outdated(self.epoch, epoch);
        if self.thread_state == thread_state && !is_outdated {
            self.epoch = epoch;
            self.entries.clear();
            return;
        }
        if is_outdated {
            self.steps.fill(Step::NONE);
            self.meanings.fill(Meaning::NONE);
        }
        self.epoch = epoch;
        self.thread_state = thread_state;
        if sharing == Sharing::Gil && !thread_state.is_null() {
            self.attached = thread_state;
            // SAFETY: promised by the caller: a live thread state.
            if unsafe { event::interpreter_of::<V>(thread_state) } != config::main_interpreter() {
                config::note_several_interpreters();
            }
        }
        self.base = base::base_path();
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
        entry.markable = shown;
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

    /// Can `frame` carry a mark, given whether it is shown?
    #[inline(always)]
    unsafe fn is_markable<V: Version>(frame: Frame, shown: bool) -> bool {
        // SAFETY: promised by the caller: a live frame.
        shown || (mark::marks_shims::<V>() && unsafe { frame::is_shim::<V>(frame) })
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
        let place = cache_slot(position);
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
        // A path that is cut may be known next time.
        if holds_for_position && !tree::is_cut(node) {
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
            let mut ring = Ring::default();
            while let Some(frame) = next {
                if let Some(length) = ring.length_at(frame) {
                    ring::cut(&mut frames, length);
                    break;
                }
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
    let afresh = frames.iter().rev().fold(base::base_path(), step);
    if afresh != node {
        crate::tables::totals::count_loss();
        let describe = |mut node: u32| {
            let mut steps = Vec::new();
            while node != tree::ROOT && steps.len() < 8 {
                let at = tree::node(node);
                let code = at.code.load(std::sync::atomic::Ordering::Relaxed);
                let offset = at.offset.load(std::sync::atomic::Ordering::Relaxed);
                steps.push(format!(
                    "{}+{offset}",
                    codes::name(&mut crate::memory::lock::hold(), code)
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
    /// Is every frame at the same position the same, and will be for long? Not so where a generator is made: the frame
    /// at that instruction is shown once it is the generator's, and not while it still is the caller's.
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
        let known = codes::known::<V>(code);
        Some(Resolved {
            code: known.identity,
            offset,
            holds_for_position: known.is_settled && frame::is_traceable::<V>(code, offset),
        })
    }
}

#[cfg(test)]
mod tests {
    use heapsight_cpython::version::{ALL, ForVersion, with_version};

    use super::*;

    /// Asks what a shim without an instruction is, with and without another step in its place.
    struct Ask;

    impl ForVersion for Ask {
        type Output = ();

        fn call<V: Version>(self) {
            let Some(owner) = V::OFFSETS.owner else {
                return; // no shims
            };
            let mut bytes = [0_u64; 16];
            bytes[owner.offset / 8] = u64::from(owner.first_shim) << (8 * (owner.offset % 8));
            let shim = Frame(bytes.as_ptr().cast());
            let mut cache = PathCache::new().expect("memory");
            cache.steps.fill(Step::NONE);
            cache.meanings.fill(Meaning::NONE);
            let base = cache.base;
            // SAFETY: a shim: nothing of it is read but its owner and position, which are there.
            unsafe {
                let position = frame::position::<V>(shim);
                assert_eq!(position, 0);
                assert_eq!(cache.step::<V>(base, shim, position), (base, false));
                cache.steps.fill(Step {
                    position: 1,
                    parent: base,
                    node: 1,
                });
                assert_eq!(cache.step::<V>(base, shim, position), (base, false));
            }
        }
    }

    #[test]
    fn a_shim_without_an_instruction_is_no_frame_of_a_path_whatever_was_remembered() {
        for known in ALL {
            with_version(known.minor, known.free_threaded, Ask).expect("it is known");
        }
    }
}
