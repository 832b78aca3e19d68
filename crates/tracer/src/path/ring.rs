//! Frames whose callers lead back to themselves.
//!
//! Up to Python 3.12 a program can make them: whoever throws into a generator that is just passing an exception on to
//! the one it waits for (`outer.throw()`, called from the handler in `inner`) becomes the caller of `outer`, although
//! `outer` is his own. The interpreter runs on, for nothing in it follows callers to the end; whoever does so never
//! arrives.

use heapsight_cpython::frame::Frame;

/// Watches a walk from frame to caller (Brent's way: the frame at each power of two of steps is remembered, and in a
/// ring one of these comes again). Costs two comparisons for each frame, and remembers one.
#[derive(Default)]
pub(super) struct Ring {
    remembered: Option<Frame>,
    steps: usize,
    remembered_at: usize,
}

impl Ring {
    /// The number of frames in the ring, if `frame`, the next one of the walk, was there before.
    #[inline(always)]
    pub(super) fn length_at(&mut self, frame: Frame) -> Option<usize> {
        if self.remembered == Some(frame) {
            return Some(self.steps - self.remembered_at);
        }
        if self.steps & self.steps.wrapping_sub(1) == 0 {
            self.remembered = Some(frame);
            self.remembered_at = self.steps;
        }
        self.steps += 1;
        None
    }
}

/// Leaves each frame once in `frames`, callee before caller, which end with one round of a ring of `length` frames or
/// more.
#[cold]
pub(super) fn cut(frames: &mut Vec<Frame>, length: usize) {
    let whole = frames
        .iter()
        .zip(frames.iter().skip(length))
        .position(|(frame, later)| frame == later);
    if let Some(first) = whole {
        frames.truncate(first + length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks along callers: frame `n` is called by `n + 1`, and the last one by `back`.
    fn walk(count: usize, back: Option<usize>) -> Vec<usize> {
        let mut frames = Vec::new();
        let mut ring = Ring::default();
        let mut next = Some(0);
        while let Some(number) = next {
            let frame = Frame(std::ptr::without_provenance(16 * (number + 1)));
            if let Some(length) = ring.length_at(frame) {
                cut(&mut frames, length);
                break;
            }
            assert!(frames.len() < 10_000, "walks for ever");
            frames.push(frame);
            next = if number + 1 < count {
                Some(number + 1)
            } else {
                back
            };
        }
        frames.iter().map(|frame| frame.0.addr() / 16 - 1).collect()
    }

    #[test]
    fn each_frame_is_met_once_whatever_the_frames_before_the_ring_and_in_it() {
        for count in 1..70 {
            let all: Vec<usize> = (0..count).collect();
            assert_eq!(walk(count, None), all);
            for back in 0..count {
                assert_eq!(walk(count, Some(back)), all, "back to {back}");
            }
        }
    }
}
