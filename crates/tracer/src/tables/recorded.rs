//! What a recording counts where the program's own view differs from it.
//!
//! A recording belongs to `heapsight run`: it knows all blocks, whatever the program asks of the package. What the
//! program forgets (`clear_traces()`), excludes by a filter, or allocates while it has tracing off, stays in the
//! recording but is *hidden* from the program: blocks at hidden sites ([`crate::tables::sites`]). The totals in
//! [`totals`] are those of the program's view; the recording's are these and the hidden bytes.
//!
//! As long as the program changes nothing, both are the same and this costs nothing. From the first change on, the
//! recording's peak and its composition are kept apart, on the slow path of events: the hot path compares with a
//! threshold below which neither peak can be new.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use crate::memory::lock::{self, Held};
use crate::tables::epochs::EPOCHS;
use crate::tables::{history, shared_total, sites, totals};

/// Is this process recorded?
static IS_RECORDED: AtomicBool = AtomicBool::new(false);
/// Does the program see what it allocates now?
static VIEW_IS_ON: AtomicBool = AtomicBool::new(true);
static DIFFERS: AtomicBool = AtomicBool::new(false);
static HIDDEN_BYTES: AtomicI64 = AtomicI64::new(0);
static PEAK_BYTES: AtomicU64 = AtomicU64::new(0);
/// The peak of the program's view: while they differ, [`totals`] keeps the threshold.
static VIEW_PEAK_BYTES: AtomicU64 = AtomicU64::new(0);

/// Is this process recorded, so that what the program does acts on its view only?
pub(crate) fn is_recorded() -> bool {
    IS_RECORDED.load(Ordering::Relaxed)
}

/// Are blocks hidden from the program while they are allocated?
pub(crate) fn hides_new() -> bool {
    is_recorded() && !VIEW_IS_ON.load(Ordering::Relaxed)
}

/// A recording begins: what is traced so far is the program's view, too.
pub(crate) fn begin() {
    VIEW_IS_ON.store(true, Ordering::Relaxed);
    IS_RECORDED.store(true, Ordering::Relaxed);
}

/// The recording has ended.
pub(crate) fn end() {
    IS_RECORDED.store(false, Ordering::Relaxed);
}

/// Do the recording's figures differ from those of the program's view?
#[inline(always)]
pub(crate) fn differs() -> bool {
    DIFFERS.load(Ordering::Relaxed)
}

/// When the recording's peak was left, by the clock of [`crate::tables::epochs`].
pub(crate) fn epoch() -> u64 {
    if differs() {
        EPOCHS.recorded_peak.since()
    } else {
        totals::epoch()
    }
}

/// Is the recorded memory at its highest right now?
pub(crate) fn at_peak() -> bool {
    if differs() {
        totals::is_at_peak(totals::RECORDED)
    } else {
        totals::at_peak()
    }
}

/// Bytes in live recorded blocks.
pub(crate) fn live_bytes() -> u64 {
    totals::live_bytes().wrapping_add_signed(HIDDEN_BYTES.load(Ordering::Relaxed))
}

/// The highest value of [`live_bytes`] so far.
pub(crate) fn peak_bytes() -> u64 {
    if differs() {
        PEAK_BYTES.load(Ordering::Relaxed).max(live_bytes())
    } else {
        totals::reported_peak_bytes()
    }
}

/// The peak of the program's view, while they differ.
pub(crate) fn view_peak_bytes() -> u64 {
    VIEW_PEAK_BYTES.load(Ordering::Relaxed)
}

/// From now on both are counted. Call while the session is closed.
fn differ(held: &mut Held) {
    if differs() {
        return;
    }
    PEAK_BYTES.store(totals::reported_peak_bytes(), Ordering::Relaxed);
    VIEW_PEAK_BYTES.store(totals::reported_peak_bytes(), Ordering::Relaxed);
    EPOCHS.recorded_peak.set(totals::epoch());
    if totals::at_peak() {
        totals::enter_peak(totals::RECORDED);
    }
    sites::keep_recorded_peak(held, totals::epoch());
    DIFFERS.store(true, Ordering::Release);
}

/// The program sees only what is allocated from now on, or nothing at all. Call while the session is closed.
pub(crate) fn hide_all(held: &mut Held, view_is_on: bool) {
    differ(held);
    VIEW_IS_ON.store(view_is_on, Ordering::Relaxed);
    HIDDEN_BYTES.fetch_add(totals::live_bytes().cast_signed(), Ordering::Relaxed);
    sites::hide_all(held);
    history::forget_sums(held);
    totals::forget_view();
    VIEW_PEAK_BYTES.store(0, Ordering::Relaxed);
    set_threshold();
}

/// The program's filter has changed: from now on some of what is allocated may be hidden.
pub(crate) fn filter_changed(held: &mut Held) {
    differ(held);
    set_threshold();
}

/// Makes what the program sees now the peak of its view. Call while the session is closed.
pub(crate) fn reset_view_peak(held: &mut Held) {
    differ(held);
    totals::begin_view_peak();
    VIEW_PEAK_BYTES.store(totals::live_bytes(), Ordering::Relaxed);
    set_threshold();
    shared_total::take_back(held, None);
}

/// Nothing is recorded any more.
pub(crate) fn reset() {
    DIFFERS.store(false, Ordering::Relaxed);
    HIDDEN_BYTES.store(0, Ordering::Relaxed);
    PEAK_BYTES.store(0, Ordering::Relaxed);
    VIEW_PEAK_BYTES.store(0, Ordering::Relaxed);
    EPOCHS.recorded_peak.end();
}

/// Below this many bytes in view neither peak can be new.
fn set_threshold() {
    let recorded = PEAK_BYTES
        .load(Ordering::Relaxed)
        .saturating_add_signed(-HIDDEN_BYTES.load(Ordering::Relaxed));
    totals::set_threshold(recorded.min(VIEW_PEAK_BYTES.load(Ordering::Relaxed)));
}

/// The threshold was passed: sees which of the two peaks is new.
pub(crate) fn look(_held: &mut Held) {
    let view = totals::live_bytes();
    if view > VIEW_PEAK_BYTES.fetch_max(view, Ordering::Relaxed) {
        totals::enter_peak(totals::VIEW);
    }
    note_peak();
    set_threshold();
}

fn note_peak() {
    let recorded = live_bytes();
    if recorded > PEAK_BYTES.fetch_max(recorded, Ordering::Relaxed) {
        totals::enter_peak(totals::RECORDED);
    }
}

/// A block was allocated at a hidden site.
#[cold]
#[inline(never)]
pub(crate) fn allocated_hidden(bytes: u64) {
    HIDDEN_BYTES.fetch_add(bytes.cast_signed(), Ordering::Relaxed);
    note_peak();
    if VIEW_IS_ON.load(Ordering::Relaxed) {
        lower_threshold(&mut lock::hold());
    }
}

/// The same for the holder of the lock.
pub(crate) fn allocated_hidden_by_holder(held: &mut Held, bytes: u64) {
    HIDDEN_BYTES.fetch_add(bytes.cast_signed(), Ordering::Relaxed);
    note_peak();
    lower_threshold(held);
}

/// Less may now be in view before the recording's peak is new.
fn lower_threshold(held: &mut Held) {
    set_threshold();
    shared_total::take_back(held, None);
}

/// A block at a hidden site is about to end: its site's counters have not changed yet.
#[cold]
#[inline(never)]
pub(crate) fn freed_hidden(bytes: u64) {
    if totals::leave(totals::RECORDED) {
        leave_peak();
    }
    HIDDEN_BYTES.fetch_sub(bytes.cast_signed(), Ordering::Relaxed);
}

/// Something is freed while the recorded memory was at its highest.
pub(crate) fn leave_peak() {
    EPOCHS.recorded_peak.begin();
}
