//! What is known of the whole process: traced memory, what the system gave, and how fast it grows.

use heapsight_analysis::recording::Reached;
use heapsight_analysis::{Amount, Resident, highest_resident, margin_bytes};
use heapsight_capture::model::{Domain, Mode};
use heapsight_capture::{Capture, TickSummary};

use crate::account::{account_of, is_news, sentence_lines};
use crate::figures::{counted, format_size, format_size_change, format_sum, share};
use crate::look::{Look, Role};
use crate::moment::{at, boundary, is_empty_span, peak, time, when};
use crate::text::wrap;

/// Shorter recordings are not asked how fast memory grows: their start is most of them.
const LONG_RUN_NS: u64 = 60_000_000_000;

const MINUTE_NS: u64 = 60_000_000_000;

/// What is known of resident memory at a moment; `None` where nothing is.
pub(crate) fn residency(capture: &Capture, moment: Reached) -> Option<Resident> {
    Resident::at(known_at(capture, moment)?)
}

/// The highest resident memory that is known of, in bytes.
pub(crate) fn highest_resident_bytes(capture: &Capture) -> Option<u64> {
    highest_resident(capture).map(|highest| highest.bytes)
}

/// The tick that a moment is of.
pub(crate) fn known_at(capture: &Capture, moment: Reached) -> Option<&TickSummary> {
    let until = moment.elapsed_ns().unwrap_or(u64::MAX);
    let known = capture
        .timeline
        .partition_point(|point| point.elapsed_ns <= until);
    capture.timeline[..known].last()
}

/// `resident 328 MiB = traced 5 + heapsight 24 + not traced 299: …`, without a line break.
fn resident_line(
    resident: &Resident,
    at: &TickSummary,
    capture: &Capture,
    moment: Reached,
) -> String {
    // Memory at the peak is that of an instant between two ticks; resident memory is known at ticks only.
    let is_of_another_instant = match moment {
        Reached::Peak { .. } => capture.tables.totals.live_bytes != at.live_bytes,
        _ => false,
    };
    let place = if is_of_another_instant {
        format!(" at {}, after the peak,", time(at.elapsed_ns))
    } else {
        String::new()
    };
    let parts = [resident.traced_bytes, resident.heapsight_bytes];
    let Some((size, [traced, tracer, untraced])) = format_sum(resident.resident_bytes, parts)
    else {
        return format!(
            "resident {}{place} of traced {} + heapsight {}: the rest was never touched, or is swapped out",
            format_size(resident.resident_bytes),
            format_size(resident.traced_bytes),
            format_size(resident.heapsight_bytes)
        );
    };
    if is_of_memray(capture) {
        return format!("resident {size}{place} = traced {traced} + not traced {untraced}");
    }
    let unseen = match has_native(capture) {
        true => "code, stacks, and what allocators keep",
        false => "run --native sees memory of C extensions",
    };
    format!(
        "resident {size}{place} = traced {traced} + heapsight {tracer} + not traced {untraced}: {unseen}"
    )
}

/// What is to be warned of: that most of the memory is not seen. How much it is stands in the line above, rounded so
/// that the parts add up, and is not said again: rounded by itself it could be another figure.
fn resident_warning(resident: &Resident) -> Option<String> {
    resident.is_mostly_untraced().then(|| {
        format!(
            "{:.0} % of the resident memory is not traced, so it is in none of these figures",
            share(resident.untraced_bytes, resident.resident_bytes) * 100.0
        )
    })
}

/// Was what goes past Python's allocators traced as well? A process without any such block is unheard of.
pub(crate) fn has_native(capture: &Capture) -> bool {
    let mut domains = capture.tables.sites.iter().map(|site| site.domain);
    domains.any(Domain::is_native)
}

/// Whether the blocks are those that memray saw, which sees more than Python's allocators.
pub(crate) fn is_of_memray(capture: &Capture) -> bool {
    let mut domains = capture.tables.sites.iter().map(|site| site.domain.0);
    domains.any(|domain| domain >= Domain::MEMRAY_BASE)
}

/// The line on resident memory, and the warning if most of it is not seen; nothing where nothing is known.
pub(crate) fn resident_lines(
    capture: &Capture,
    moment: Reached,
    indent: usize,
    look: &Look,
) -> String {
    let known = known_at(capture, moment).and_then(|at| Some((Resident::at(at)?, at)));
    let Some((resident, at)) = known else {
        return String::new();
    };
    let margin = " ".repeat(indent);
    let line = resident_line(&resident, at, capture, moment);
    // One line, to be found again by searching; only a narrow terminal breaks it.
    let line = match look.is_narrow() {
        true => wrap(line.split(' '), look.width.saturating_sub(indent), 2),
        false => line,
    };
    let mut out = String::new();
    for line in line.lines() {
        out += &format!("{margin}{line}\n");
    }
    if moment == Reached::End
        && let Some(account) = account_of(capture).filter(is_news)
    {
        out += &sentence_lines(&account, indent, look);
    }
    if let Some(warning) = resident_warning(&resident) {
        let text = format!("Warning: {warning}");
        let wrapped = wrap(text.split(' '), look.width.saturating_sub(indent), 2);
        for line in wrapped.lines() {
            out += &format!("{margin}{}\n", look.paint(Role::Warning, line));
        }
    }
    out
}

/// ` ± 2.0 MiB` after a size that is an estimate; nothing after an exact one.
pub(crate) fn error(mode: Mode, bytes: u64, look: &Look) -> String {
    let error = margin_bytes(mode, bytes);
    error.map_or_else(String::new, |error| {
        format!(" {} {}", look.plus_minus(), format_size(error))
    })
}

/// What is traced at the moment, as one total for the whole screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traced {
    /// All traced memory.
    pub all: Amount,
    /// What filters keep of it, if there are any.
    pub kept: Option<Amount>,
}

/// Totals at the moment and at the peak, growth, and what the process took from the system.
pub(crate) fn figures(capture: &Capture, moment: Reached, traced: Traced, look: &Look) -> String {
    let mode = capture.header.mode;
    let sized = |bytes: u64| format_size(bytes) + &error(mode, bytes, look);
    let mut text = format!(
        "{} in {} {}",
        error(mode, traced.all.bytes, look),
        counted(traced.all.blocks, "block", "blocks"),
        when(moment, capture)
    );
    if let Reached::Between { from_ns, .. } = moment
        && !is_empty_span(moment)
    {
        text = text.trim_end_matches(',').to_owned();
        text += &since(capture, traced.all.bytes, from_ns);
    }
    if let Some(kept) = traced.kept {
        text += &format!("; the filters keep {}", sized(kept.bytes));
    }
    let mut out = labelled("Traced memory", &format_size(traced.all.bytes), &text, look);
    if let Some((elapsed_ns, peak_bytes)) = peak(capture) {
        let mut text = error(mode, peak_bytes, look) + &at(elapsed_ns);
        if let Some(highest) = highest_resident_bytes(capture) {
            text += &format!("; resident at most {}", format_size(highest));
        }
        out += &labelled("Peak", &format_size(peak_bytes), &text, look);
    }
    if let Some((rate, text)) = growth_text(capture, moment) {
        out += &labelled("Growth", &rate, &text, look);
    }
    out + &resident_lines(capture, moment, 2, look)
}

/// How traced memory changed since a tick: what paths gained, less what others lost.
fn since(capture: &Capture, bytes: u64, from_ns: u64) -> String {
    let before = Amount {
        bytes: live_bytes_at(capture, from_ns),
        blocks: 0,
    };
    let (change, _) = Amount { bytes, blocks: 0 }.change_from(before);
    let from = boundary(from_ns, capture);
    let from = from.trim_end_matches(',');
    format!(", {} since {from}", format_size_change(change))
}

/// Live memory at the last tick that is not after this time; none at the start itself.
pub(crate) fn live_bytes_at(capture: &Capture, elapsed_ns: u64) -> u64 {
    let moment = match elapsed_ns {
        0 => return 0,
        _ => Reached::At {
            elapsed_ns,
            asked_ns: elapsed_ns,
        },
    };
    known_at(capture, moment).map_or(0, |point| point.live_bytes)
}

/// Columns in front of what is said under a name.
const LABEL_COLUMNS: usize = 17;

/// `  Name           figure text`, continued below the figure where it is too long.
pub(crate) fn labelled(name: &str, figure: &str, text: &str, look: &Look) -> String {
    let whole = format!("{figure}{text}");
    let room = look.width.saturating_sub(LABEL_COLUMNS);
    let wrapped = wrap(whole.split(' '), room, 0);
    let continued = format!("\n{:LABEL_COLUMNS$}", "");
    let lines: Vec<&str> = wrapped.lines().collect();
    let painted = look.paint(Role::Figure, figure).to_string();
    format!(
        "  {name:<14} {}\n",
        lines.join(&continued).replacen(figure, &painted, 1)
    )
}

/// `+1.2 MiB` and ` per minute in the last 5 min 00 s`, of long recordings.
pub(crate) fn growth_text(capture: &Capture, moment: Reached) -> Option<(String, String)> {
    let growth = growth(capture, moment)?;
    let rate = format_size_change(growth.bytes_per_minute);
    let span = time(growth.to_ns - growth.from_ns);
    Some((rate, format!(" per minute in the last {span}")))
}

/// How fast live memory grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Growth {
    bytes_per_minute: i64,
    from_ns: u64,
    to_ns: u64,
}

/// How fast live memory grew in the second half of what the moment looks back on, if that is long. The first half has
/// the program's start.
fn growth(capture: &Capture, moment: Reached) -> Option<Growth> {
    if matches!(moment, Reached::Between { .. }) || capture.knows_ends_only() {
        return None;
    }
    let to = known_at(capture, moment)?;
    if to.elapsed_ns < LONG_RUN_NS {
        return None;
    }
    let half = to.elapsed_ns / 2;
    let until_half = capture
        .timeline
        .partition_point(|point| point.elapsed_ns <= half);
    let from = &capture.timeline[until_half.saturating_sub(1)];
    let live = |point: &TickSummary| Amount {
        bytes: point.live_bytes,
        blocks: point.live_blocks,
    };
    let (gained, _) = live(to).change_from(live(from));
    let bytes_per_minute = per_minute(gained, to.elapsed_ns - from.elapsed_ns)?;
    Some(Growth {
        bytes_per_minute,
        from_ns: from.elapsed_ns,
        to_ns: to.elapsed_ns,
    })
}

/// A change within a span of time as a change within a minute; `None` for no time at all.
pub(crate) fn per_minute(bytes: i64, span_ns: u64) -> Option<i64> {
    let rate = i128::from(bytes) * i128::from(MINUTE_NS);
    let rate = rate.checked_div(i128::from(span_ns))?;
    Some(i64::try_from(rate).unwrap_or(if rate < 0 { i64::MIN } else { i64::MAX }))
}
