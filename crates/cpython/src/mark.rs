//! Marks that the tracer leaves in frames, to know without looking that the callers below a frame are the same as
//! before.
//!
//! The last call path of a thread is kept as a list of frames. To use it again, every frame below the leaf would have
//! to be compared, which is what makes deep stacks slow. A *trusted* frame ends the comparison: its mark says that
//! since the mark was set this invocation has neither ended nor been suspended, so whatever called it is still waiting
//! at the same place.
//!
//! Three kinds of place carry a mark, each of them reset by the interpreter itself at the right moment:
//!
//! * **`stacktop` of a frame that executes (3.11–3.13).** `_PyFrame_GetStackPointer` sets it to −1 when the frame
//!   (re)starts, a push sets it to the number of locals, a call that the interpreter inlines and a `yield` save the
//!   stack depth there. In between nobody reads it but to ask whether it is negative (frame traversal, locals), so a
//!   token below −1 survives exactly as long as the invocation runs its own bytecode or waits in a C function.
//! * **The stack slot at `stacktop` of a frame that waits for an inlined call (3.11–3.13).** The slot is above the top,
//!   thus dead: the collector and frame copies stop below it. It held the call's first operand (callable, `NULL`,
//!   subscripted container or attribute owner) when the call began, so it is inside the frame; and whatever the frame
//!   calls next from the same stack depth has to push its own first operand there. So a token (odd, never an object's
//!   address) in it survives exactly as long as this call. The same holds for `await` and `yield from` (`SEND_GEN`: the
//!   slot held the value sent), but not where `for` resumes a generator (its operand stays on the stack below the
//!   slot), nor in the shims around `__init__` (nothing was pushed): those are not marked, and a mark found there is
//!   not believed.
//! * **`f_trace_lines` (3.9, 3.10), `visited` (3.14).** Set to a fixed value when a frame is made for a call, only ever
//!   tested for truth. Generators keep it from one resumption to the next, so theirs does not tell whether they were
//!   suspended; it does tell that the generator is the one that was marked.
//!
//! For generators that wait for another one, 3.14 has the dead stack slot again (tagged in a way that no reference on
//! the stack is): `SEND_GEN` and inlined calls as above. Where `for` resumes a generator, its caller's slot is where
//! what it yields or returns is put. So the token there survives until the generator yields, returns or dies of an
//! exception; and that it did not die is known if the callee still is the generator that it was, by its `visited`.
//!
//! In 3.14 the shims can be marked, too, and so end the comparison below code that C called: `visited` is cleared
//! whenever the interpreter is entered from C. Since greenlets exchange the contents of the C stack, the token is beside
//! it, in a field of the frame that has no meaning in a shim.

use crate::frame::{self, Frame, load};
use crate::version::{Mark, Resume, Send, Version};

/// A thread's mark number. Never reused within a thread; the low bits serve where a field is small.
pub type Token = u64;

/// Bit that marks a byte-sized field.
const BYTE_MARK: u8 = 0x40;

/// The value below −1 that stands for `token` in a `stacktop` field.
#[inline(always)]
fn stack_top_value(token: Token) -> i32 {
    -2 - (token & 0x3fff_ffff) as i32
}

/// The odd word that stands for `token` in a stack slot: no object has an odd address.
#[inline(always)]
fn slot_value(token: Token) -> u64 {
    (token << 1) | 1
}

/// The word that stands for `token` in a stack slot where references are tagged in the lowest two bits: no reference has
/// this tag.
#[inline(always)]
fn tagged_slot_value(token: Token) -> u64 {
    (token << 2) | 2
}

/// The frame above another one on the present stack.
#[derive(Clone, Copy, Debug)]
pub struct Callee {
    /// The frame.
    pub frame: Frame,
    /// Was it the one above already when the other was marked?
    pub is_same: bool,
}

/// Can shims of this version carry a mark?
#[must_use]
pub const fn marks_shims<V: Version>() -> bool {
    matches!(V::OFFSETS.mark, Mark::Visited { .. })
}

/// Can frames of this version be marked at all?
#[must_use]
pub const fn supported<V: Version>() -> bool {
    !matches!(V::OFFSETS.mark, Mark::None)
}

/// Does `frame` wait in the interpreter's own loop for `callee`, in a call whose first operand was in the slot at
/// `stacktop`?
///
/// # Safety
/// Both are live frames of version `V` on the calling thread's stack, `frame` a Python frame and the caller of
/// `callee`.
#[inline(always)]
unsafe fn is_inlined_call<V: Version>(
    frame: Frame,
    callee: Frame,
    is_entry: Option<usize>,
    send: Option<Send>,
) -> bool {
    // SAFETY: promised by the caller. From 3.12 on a shim stands between a frame entered from C and its caller. The
    // instruction pointer points into the bytecode of the frame's code object, which is alive, and behind a `SEND_GEN`
    // or some other instruction.
    unsafe {
        if frame::is_generator::<V>(callee) {
            return send.is_some_and(|send| {
                let at = frame::position::<V>(frame) as *const u8;
                load::<u8>(at.sub(send.behind), 0) == send.opcode
            });
        }
        !frame::is_shim::<V>(callee)
            && is_entry.is_none_or(|offset| load::<u8>(callee.0, offset) == 0)
    }
}

/// The dead stack slot of the generator `frame`, if it waits for `callee` in a way that has such a slot. See the module's
/// page.
///
/// # Safety
/// As [`is_inlined_call`]; `frame` is a generator's.
#[inline(always)]
unsafe fn waiting_slot<V: Version>(
    frame: Frame,
    callee: Callee,
    visited: usize,
    resume: Resume,
) -> Option<*mut u64> {
    // SAFETY: promised by the caller. A frame that waits has saved its stack pointer, and what its callee took from its
    // stack, or will put there, is at that place; the instruction pointer points into the code of the frame.
    unsafe {
        if frame::is_shim::<V>(callee.frame) {
            return None;
        }
        if frame::is_generator::<V>(callee.frame) {
            let opcode = load::<u8>(frame::position::<V>(frame) as *const u8, 0);
            let is_known_loop = opcode == resume.for_iter_gen
                && callee.is_same
                && load::<u8>(callee.frame.0, visited) & BYTE_MARK != 0;
            if opcode != resume.send_gen && !is_known_loop {
                return None;
            }
        }
        Some(load(frame.0, resume.stack_pointer))
    }
}

/// Does `frame` still carry `token`? `callee` is the frame above it on the present stack, if any.
///
/// # Safety
/// Both are live frames of version `V` on the calling thread's stack, `frame` the caller of `callee`; `frame` is a
/// complete Python frame, or a shim if [`marks_shims`].
#[inline(always)]
#[must_use]
pub unsafe fn is_valid<V: Version>(frame: Frame, callee: Option<Callee>, token: Token) -> bool {
    // SAFETY: promised by the caller; the slot at a non-negative `stacktop` below an inlined call lies inside the
    // frame.
    unsafe {
        match V::OFFSETS.mark {
            Mark::None => false,
            Mark::TraceLines { trace_lines, .. } => {
                load::<u8>(frame.0, trace_lines) & BYTE_MARK != 0
            }
            Mark::Visited { visited, resume } => {
                if load::<u8>(frame.0, visited) & BYTE_MARK == 0 {
                    return false;
                }
                if frame::is_generator::<V>(frame) {
                    return callee
                        .and_then(|callee| waiting_slot::<V>(frame, callee, visited, resume))
                        .is_some_and(|slot| slot.read() == tagged_slot_value(token));
                }
                !frame::is_shim::<V>(frame) || load::<u64>(frame.0, resume.shim_token) == token
            }
            Mark::StackTop {
                stack_top,
                locals_plus,
                is_entry,
                send,
            } => {
                let top: i32 = load(frame.0, stack_top);
                if top < 0 {
                    return top == stack_top_value(token);
                }
                callee
                    .is_some_and(|callee| is_inlined_call::<V>(frame, callee.frame, is_entry, send))
                    && load::<u64>(frame.0, locals_plus + top as usize * 8) == slot_value(token)
            }
        }
    }
}

/// Marks `frame` with `token` where that is possible. The frame above it must have been marked before.
///
/// # Safety
/// As [`is_valid`]; not in a debug build of the interpreter, whose assertions would notice.
#[inline(always)]
pub unsafe fn set<V: Version>(frame: Frame, callee: Option<Frame>, token: Token) {
    let at = frame.0.cast_mut();
    // SAFETY: promised by the caller; only the thread that runs the frame writes to it, and that is this one. See the
    // module's page for why the interpreter does not notice.
    unsafe {
        match V::OFFSETS.mark {
            Mark::None => {}
            Mark::TraceLines {
                trace_lines,
                generator,
            } => {
                let lines: u8 = load(frame.0, trace_lines);
                let generator: *const u8 = load(frame.0, generator);
                if lines == 1 && generator.is_null() {
                    at.add(trace_lines).write(lines | BYTE_MARK);
                }
            }
            Mark::Visited { visited, resume } => {
                if frame::is_generator::<V>(frame) {
                    let callee = callee.map(|frame| Callee {
                        frame,
                        is_same: true,
                    });
                    let slot =
                        callee.and_then(|callee| waiting_slot::<V>(frame, callee, visited, resume));
                    if let Some(slot) = slot {
                        slot.write(tagged_slot_value(token));
                    }
                } else if frame::is_shim::<V>(frame) {
                    // The outermost of a thread lives as long as the thread, and nothing is below it.
                    if frame::previous::<V>(frame).is_none() {
                        return;
                    }
                    at.add(resume.shim_token).cast::<u64>().write(token);
                }
                let seen: u8 = load(frame.0, visited);
                at.add(visited).write(seen | BYTE_MARK);
            }
            Mark::StackTop {
                stack_top,
                locals_plus,
                is_entry,
                send,
            } => {
                let top: i32 = load(frame.0, stack_top);
                if top < 0 {
                    at.add(stack_top)
                        .cast::<i32>()
                        .write(stack_top_value(token));
                } else if callee
                    .is_some_and(|callee| is_inlined_call::<V>(frame, callee, is_entry, send))
                {
                    at.add(locals_plus + top as usize * 8)
                        .cast::<u64>()
                        .write(slot_value(token));
                }
            }
        }
    }
}
