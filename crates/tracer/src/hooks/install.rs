//! Starting, stopping and clearing a session; putting the hooks in their place, and seeing that they stay there.
//!
//! Hooks are installed once and stay for good. "Off" is a mode (see [`session`]): a thread that allocates raw memory
//! without the GIL may be reading the allocator's functions at any time, and another tool may have remembered ours.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Once, OnceLock};

use heapsight_cpython::api::{self, PyMemAllocatorEx, RunningVersion};
use heapsight_cpython::line_table::LineTableFormat;
use heapsight_cpython::version::{ForVersion, UnsupportedVersion, Version};

use crate::config::{self, Config, FrameLimit};
use crate::hooks::native::{self, Native};
use crate::hooks::{arena, exact, sampled};
use crate::interpreter::{attached_state, finalization, original, unwinding};
use crate::memory::{lock, reserve};
use crate::session::{self, Mode};
use crate::tables::{codes, history, live_map, mappings, sampled_blocks, sites, totals, tree};
use crate::thread;
use crate::tracemalloc::{self, extension, objects};

/// Why tracing could not be switched on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// No layout is known for this interpreter; offsets are never guessed.
    UnsupportedVersion(UnsupportedVersion),
    /// The kernel gave no memory for the first tables.
    OutOfMemory,
    /// The interpreter lacks a function that every supported version exports.
    MissingFunction(&'static str),
    /// Another tool's hooks leave no room for ours.
    Hooks(&'static str),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnsupportedVersion(error) => error.fmt(f),
            Self::OutOfMemory => f.write_str("cannot trace: no memory for the tracer's tables"),
            Self::MissingFunction(name) => write!(
                f,
                "cannot trace this interpreter: it does not export {name}"
            ),
            Self::Hooks(why) => write!(f, "cannot trace: {why}; stop the other memory tool first"),
        }
    }
}

impl std::error::Error for StartError {}

const DOMAINS: usize = 3;

/// The hooks of all domains, for allocators with these `ctx`.
type MakeHooks = fn([*mut std::ffi::c_void; DOMAINS]) -> [PyMemAllocatorEx; DOMAINS];

/// Looks up what the hooks need of the interpreter: where it keeps the thread state. Call this once, when the
/// extension is imported: it detaches and attaches the calling thread, so that other threads may run. Looks up nothing
/// on a version that is not known. And has threads wait that the interpreter ends.
///
/// This is for extensions made for interpreters with the GIL. What does not call [`prepare_without_gil`] too holds no
/// hooks for the others.
// Neither of the two is generic or inlined: the hooks are to be compiled in this crate, for speed, and not in the
// caller's, which is compiled for size.
#[inline(never)]
pub fn prepare() {
    prepare_for::<false>();
}

/// The same for extensions made for free-threaded interpreters.
#[inline(never)]
pub fn prepare_without_gil() {
    prepare_for::<true>();
}

fn prepare_for<const FREE_THREADED: bool>() {
    static ONCE: Once = Once::new();
    unwinding::hang_ended_threads();
    let found = || Interpreter::of::<FREE_THREADED>(&api::running_version()).ok();
    let Some(interpreter) = INTERPRETER.get_or_init(found) else {
        return;
    };
    if finalization::is_over() {
        // The interpreter that tracing began in is gone, and with it whatever was traced.
        stop();
        finalization::revoke();
    }
    // Not inside the `Once`: a thread that waits for it would keep the GIL from the one that looks. Two that look find
    // the same.
    if !ONCE.is_completed() && original::find_thread_state_getter() {
        finalization::find();
        (interpreter.find_state)();
        ONCE.call_once(|| {});
    }
}

/// Starts tracing; does nothing when it is on already. Call with the GIL held.
///
/// # Errors
/// [`StartError`]; nothing has changed then.
pub fn start(config: &Config) -> Result<(), StartError> {
    let running = api::running_version();
    let Some(interpreter) = prepared() else {
        let unsupported = UnsupportedVersion(running.text);
        return Err(StartError::UnsupportedVersion(unsupported));
    };
    if !original::find_thread_state_getter() {
        return Err(StartError::MissingFunction("_PyThreadState_UncheckedGet"));
    }
    session::change(|| {
        if session::is_tracing() {
            return Ok(());
        }
        if config.native {
            heapsight_native::connect();
        }
        reserve::prepare(&mut lock::hold());
        if !tree::init(&mut lock::hold()) {
            return Err(StartError::OutOfMemory);
        }
        install_fork_handlers();
        finalization::revoke();
        config::set(config);
        config::set_line_tables(interpreter.line_tables);
        config::set_may_mark_frames(!running.debug);
        config::set_all_shared(running.free_threaded);
        config::set_main_interpreter((interpreter.main)());
        sampled::prepare(config);
        (interpreter.prepare)(config.frame_limit != FrameLimit::One);
        session::begin_generation();
        install(interpreter, mode_of(config))?;
        session::open(mode_of(config));
        arena::install();
        native::set((config.native).then(|| interpreter.native_hooks_of(mode_of(config))));
        Ok(())
    })
}

fn mode_of(config: &Config) -> Mode {
    match (config.sample_bytes, config.frame_limit) {
        (Some(_), FrameLimit::One) if config.native => Mode::SAMPLED_FRAME_NATIVE,
        (Some(_), _) if config.native => Mode::SAMPLED_PATHS_NATIVE,
        (Some(_), FrameLimit::One) => Mode::SAMPLED_FRAME,
        (Some(_), _) => Mode::SAMPLED_PATHS,
        (None, FrameLimit::One) => Mode::EXACT_FRAME,
        (None, _) => Mode::EXACT_PATHS,
    }
}

/// What depends on the version that runs.
struct Interpreter {
    /// The hooks for each mode but [`Mode::OFF`], in the order of [`TRACING_MODES`].
    hooks: [MakeHooks; 4],
    /// Those for what goes past Python's allocators, in the same order.
    native: [&'static Native; 4],
    /// Looks for where the attached thread state is kept. Call this with the GIL held.
    find_state: fn(),
    main: fn() -> usize,
    /// Chooses functions that the tracer calls outside the hooks; the argument tells whether whole paths are recorded.
    prepare: fn(bool),
    line_tables: LineTableFormat,
}

/// That of this process, once [`prepare`] has looked; `None` inside: a version that is not known.
static INTERPRETER: OnceLock<Option<Interpreter>> = OnceLock::new();

fn prepared() -> Option<&'static Interpreter> {
    INTERPRETER.get()?.as_ref()
}

const TRACING_MODES: [Mode; 4] = [
    Mode::EXACT_PATHS,
    Mode::EXACT_FRAME,
    Mode::SAMPLED_PATHS,
    Mode::SAMPLED_FRAME,
];

fn place_of(mode: Mode) -> usize {
    let without_native = match mode {
        Mode::SAMPLED_PATHS_NATIVE => Mode::SAMPLED_PATHS,
        Mode::SAMPLED_FRAME_NATIVE => Mode::SAMPLED_FRAME,
        mode => mode,
    };
    let place = TRACING_MODES
        .iter()
        .position(|known| *known == without_native);
    place.unwrap_or(0)
}

impl Interpreter {
    fn of<const FREE_THREADED: bool>(running: &RunningVersion) -> Result<Self, UnsupportedVersion> {
        struct Make<const FREE_THREADED: bool>;
        impl<const FREE_THREADED: bool> ForVersion for Make<FREE_THREADED> {
            type Output = Interpreter;
            const FREE_THREADED: Option<bool> = Some(FREE_THREADED);
            fn call<V: Version>(self) -> Interpreter {
                Interpreter::with::<V>()
            }
        }
        running.call(Make::<FREE_THREADED>)
    }

    fn with<V: Version>() -> Self {
        Self {
            hooks: [
                exact_hooks::<V, true>,
                exact_hooks::<V, false>,
                sampled_hooks::<V, true>,
                sampled_hooks::<V, false>,
            ],
            native: [
                native::of::<V, true, false>(),
                native::of::<V, false, false>(),
                native::of::<V, true, true>(),
                native::of::<V, false, true>(),
            ],
            // SAFETY: promised by the caller.
            find_state: || unsafe { attached_state::find::<V>() },
            main: current_interpreter::<V>,
            prepare: |full_paths| {
                extension::set_version::<V>(full_paths);
                objects::set_version::<V>(full_paths);
            },
            line_tables: V::OFFSETS.line_tables,
        }
    }

    fn hooks_of(
        &self,
        mode: Mode,
        contexts: [*mut std::ffi::c_void; DOMAINS],
    ) -> [PyMemAllocatorEx; DOMAINS] {
        self.hooks[place_of(mode)](contexts)
    }

    fn native_hooks_of(&self, mode: Mode) -> &'static Native {
        self.native[place_of(mode)]
    }

    /// Are these functions hooks of ours, of whatever mode?
    fn owns(&self, domain: usize, allocator: &PyMemAllocatorEx) -> bool {
        let present = allocator.malloc.map(|malloc| malloc as usize);
        self.hooks.iter().any(|hooks| {
            let own = hooks([allocator.ctx; DOMAINS])[domain];
            own.malloc.map(|malloc| malloc as usize) == present
        })
    }
}

fn exact_hooks<V: Version, const FULL: bool>(
    [raw, mem, obj]: [*mut std::ffi::c_void; DOMAINS],
) -> [PyMemAllocatorEx; DOMAINS] {
    [
        exact::allocator::<V, 0, FULL>(raw),
        exact::allocator::<V, 1, FULL>(mem),
        exact::allocator::<V, 2, FULL>(obj),
    ]
}

fn sampled_hooks<V: Version, const FULL: bool>(
    [raw, mem, obj]: [*mut std::ffi::c_void; DOMAINS],
) -> [PyMemAllocatorEx; DOMAINS] {
    [
        sampled::allocator::<V, 0, FULL>(raw),
        sampled::allocator::<V, 1, FULL>(mem),
        sampled::allocator::<V, 2, FULL>(obj),
    ]
}

/// The interpreter whose GIL makes plain counters safe: the one that switches tracing on. 0 where nobody asks.
fn current_interpreter<V: Version>() -> usize {
    // SAFETY: the getter was found, and the caller of `start` holds the GIL: the state is alive.
    unsafe {
        let state: *const u8 = original::holder_of_gil::<V>().cast_const().cast();
        if state.is_null() {
            0
        } else {
            crate::interpreter::event::interpreter_of::<V>(state)
        }
    }
}

/// The functions that were in force when the hooks were last known to be reached: they need not be checked again.
static KNOWN_GOOD: [AtomicUsize; DOMAINS] = [const { AtomicUsize::new(0) }; DOMAINS];

fn present(domain: usize) -> PyMemAllocatorEx {
    let mut present = PyMemAllocatorEx::EMPTY;
    // SAFETY: takes a domain below 3 and a pointer to a PyMemAllocatorEx.
    unsafe { api::PyMem_GetAllocator(domain as i32, &raw mut present) };
    present
}

fn address_of(allocator: &PyMemAllocatorEx) -> usize {
    allocator.malloc.map_or(0, |malloc| malloc as usize)
}

/// Sees to it that every domain's allocations reach a hook, for `mode` where that can be chosen: under another tool's
/// hooks those of an earlier session stay, which find their way by themselves ([`crate::hooks::dispatch`]). Gives the
/// domains that were not reached before, bit by bit. Call with the GIL, under [`session::change`].
fn install(interpreter: &Interpreter, mode: Mode) -> Result<u8, StartError> {
    let before: [PyMemAllocatorEx; DOMAINS] = std::array::from_fn(present);
    let mut installed = 0;
    let is_ours: [bool; DOMAINS] =
        std::array::from_fn(|domain| interpreter.owns(domain, &before[domain]));
    let reached = if is_ours == [true; DOMAINS] {
        0
    } else {
        reached_domains()
    };
    let hooks = interpreter.hooks_of(mode, before.map(|allocator| allocator.ctx));
    for (domain, mut hook) in hooks.into_iter().enumerate() {
        if !is_ours[domain] {
            if reached & (1 << domain) != 0 {
                KNOWN_GOOD[domain].store(address_of(&before[domain]), Ordering::Relaxed);
                continue;
            }
            original::add(&mut lock::hold(), domain, &before[domain]).map_err(|refused| {
                StartError::Hooks(match refused {
                    original::Refused::Incomplete => "the present allocator lacks a function",
                    original::Refused::SameContext => {
                        "an allocator that took the place of ours cannot be told from the one before"
                    }
                    original::Refused::TooMany => {
                        "other tools have put allocators in the place of ours again and again"
                    }
                })
            })?;
            installed |= 1 << domain;
        }
        // SAFETY: takes a domain below 3 and a pointer to a PyMemAllocatorEx; the GIL is held.
        unsafe { api::PyMem_SetAllocator(domain as i32, &raw mut hook) };
        KNOWN_GOOD[domain].store(address_of(&hook), Ordering::Relaxed);
    }
    Ok(installed)
}

/// The domains, bit by bit, in which an allocation reaches a hook of ours, whoever's functions come first.
fn reached_domains() -> u8 {
    session::while_checking(|| {
        // SAFETY: the GIL is held; each block goes back to the domain it came from. Null is fine to free.
        unsafe {
            api::PyMem_RawFree(api::PyMem_RawMalloc(1));
            api::PyMem_Free(api::PyMem_Malloc(1));
            api::PyObject_Free(api::PyObject_Malloc(1));
        }
    })
}

/// Are other functions in force than when the hooks were last known to be reached? May be asked without the GIL.
#[must_use]
pub fn hooks_may_be_gone() -> bool {
    session::is_tracing()
        && (0..DOMAINS).any(|domain| {
            address_of(&present(domain)) != KNOWN_GOOD[domain].load(Ordering::Relaxed)
        })
}

/// May a thread that has no thread state attach itself now? Before 3.13 the interpreter reads freed memory if its
/// `tracemalloc` stops while another thread waits for the GIL in its raw hook, where a new thread state comes from. A
/// program may start threads of its own at such a moment; heapsight must not.
#[must_use]
pub fn attaching_is_safe() -> bool {
    !api::tracemalloc_is_tracing()
}

/// Puts hooks back that another tool took away when it stopped; true when there were any. What was allocated and freed
/// in between is not known, which is counted as a loss, so that no report calls itself complete. Call with the GIL
/// held.
pub fn put_hooks_back() -> bool {
    if !hooks_may_be_gone() {
        return false;
    }
    let Some(interpreter) = prepared() else {
        return false;
    };
    session::change(|| {
        let is_gone =
            session::is_tracing() && install(interpreter, session::unchecked_mode()) != Ok(0);
        if is_gone {
            totals::count_loss();
        }
        is_gone
    })
}

/// Stops tracing and forgets everything traced. Frees of blocks still alive are harmless. Call with the GIL held.
pub fn stop() {
    session::change(|| {
        if !session::is_tracing() {
            return;
        }
        native::set(None);
        session::close();
        tracemalloc::stop();
        forget_all();
    });
}

/// Forgets everything: blocks, counters, paths and names. The session is closed.
pub(crate) fn forget_all() {
    live_map::clear();
    mappings::clear();
    let mut held = lock::hold();
    sampled_blocks::forget_all(&mut held);
    extension::clear(&mut held);
    totals::reset();
    sites::reset(&mut held);
    tree::reset(&mut held);
    codes::reset(&mut held);
    drop(held);
    session::begin_generation();
}

/// Forgets all blocks and counters, and goes on tracing. Call with the GIL held.
pub fn clear() {
    session::change(|| {
        let mode = session::unchecked_mode();
        session::close();
        live_map::clear();
        mappings::clear();
        let mut held = lock::hold();
        sampled_blocks::forget_all(&mut held);
        extension::clear(&mut held);
        totals::reset();
        sites::zero_counters();
        history::reset(&mut held);
        drop(held);
        session::begin_generation();
        session::open(mode);
    });
}

/// The interpreter is about to be torn down: from now on no thread without the GIL reads frames, as the main thread
/// frees thread states that it does not wait for. Call with the GIL held.
pub fn finalization_begins() {
    finalization::begin();
}

extern "C" fn before_fork() {
    session::before_fork();
    lock::before_fork();
}

extern "C" fn after_fork_in_parent() {
    lock::after_fork();
    session::after_fork();
}

extern "C" fn after_fork_in_child() {
    // The file is the parent's.
    history::writing_ends();
    sampled::after_fork_in_child();
    lock::after_fork();
    thread::after_fork_in_child();
    session::after_fork_in_child();
}

fn install_fork_handlers() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handlers take no arguments and stay loaded: extension modules are never unloaded.
        unsafe {
            libc::pthread_atfork(
                Some(before_fork),
                Some(after_fork_in_parent),
                Some(after_fork_in_child),
            );
        }
    });
}
