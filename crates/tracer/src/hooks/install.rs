//! Switching tracing on and off.

use std::sync::Once;

use heapsight_cpython::api::{self, PyMemAllocatorEx, RunningVersion};
use heapsight_cpython::version::{V3_9, V3_10, V3_11, V3_12, V3_13, V3_13T, V3_14, V3_15, Version};

use crate::config::{self, Config, FrameLimit};
use crate::hooks::arena;
use crate::hooks::{exact, sampled};
use crate::interpreter::{attached_state, original};
use crate::memory::{lock, reserve};
use crate::session;
use crate::tables::{codes, sites, totals, tree};
use crate::tracemalloc::{extension, extension_calls, objects};

/// Why tracing could not be switched on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// No layout is known for this interpreter; offsets are never guessed.
    UnsupportedVersion(String),
    /// The kernel gave no memory for the first tables.
    OutOfMemory,
    /// The interpreter lacks a function that every supported version exports.
    MissingFunction(&'static str),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnsupportedVersion(version) => write!(
                f,
                "cannot trace this interpreter: its frame layout is not known (Python {version}); supported are CPython 3.9 to 3.15 and free-threaded 3.13"
            ),
            Self::OutOfMemory => f.write_str("cannot trace: no memory for the tracer's tables"),
            Self::MissingFunction(name) => write!(
                f,
                "cannot trace this interpreter: it does not export {name}"
            ),
        }
    }
}

impl std::error::Error for StartError {}

type Hooks = [PyMemAllocatorEx; 3];

/// Starts tracing; does nothing when it is on already. Call with the GIL held.
///
/// # Errors
/// [`StartError`]; nothing has changed then.
pub fn start(config: &Config) -> Result<(), StartError> {
    if config::tracing() {
        return Ok(());
    }
    let running = api::running_version();
    let Some(interpreter) = Interpreter::of(&running) else {
        return Err(StartError::UnsupportedVersion(running.text));
    };
    if !original::find_thread_state_getter() {
        return Err(StartError::MissingFunction("_PyThreadState_UncheckedGet"));
    }
    (interpreter.find_state)();
    reserve::prepare(&mut lock::hold());
    if !tree::init(&mut lock::hold()) {
        return Err(StartError::OutOfMemory);
    }
    install_fork_handlers();
    config::set(config);
    config::set_minor(running.minor.unwrap_or(0));
    config::set_may_mark_frames(!running.debug);
    config::set_all_shared(running.free_threaded);
    config::set_main_interpreter((interpreter.main)());
    sampled::prepare(config);
    session::invalidate_caches();
    (interpreter.prepare)(config.frame_limit != FrameLimit::One);
    config::set_tracing(true);
    install(&(interpreter.hooks)(config));
    arena::install();
    Ok(())
}

/// What depends on the version that runs.
struct Interpreter {
    hooks: fn(&Config) -> Hooks,
    /// Looks for where the attached thread state is kept. To be called with the GIL held.
    find_state: fn(),
    main: fn() -> usize,
    /// Chooses functions that the tracer calls outside the hooks; the argument tells whether whole paths are recorded.
    prepare: fn(bool),
}

impl Interpreter {
    fn of(running: &RunningVersion) -> Option<Self> {
        Some(match (running.minor?, running.free_threaded) {
            (9, false) => Self::with::<V3_9>(),
            (10, false) => Self::with::<V3_10>(),
            (11, false) => Self::with::<V3_11>(),
            (12, false) => Self::with::<V3_12>(),
            (13, false) => Self::with::<V3_13>(),
            (13, true) => Self::with::<V3_13T>(),
            (14, false) => Self::with::<V3_14>(),
            (15, false) => Self::with::<V3_15>(),
            _ => return None,
        })
    }

    fn with<V: Version>() -> Self {
        Self {
            hooks: hooks_of::<V>,
            // SAFETY: promised by the caller.
            find_state: || unsafe { attached_state::find::<V>() },
            main: current_interpreter::<V>,
            prepare: |full_paths| {
                extension::set_version::<V>(full_paths);
                objects::set_version::<V>(full_paths);
            },
        }
    }
}

/// The interpreter whose GIL makes plain counters safe: the one that switches tracing on. 0 where nobody asks.
fn current_interpreter<V: Version>() -> usize {
    // SAFETY: the getter was found, and the caller of `start` holds the GIL: the state is alive.
    unsafe {
        let state: *const u8 = original::holder_of_gil::<V>().cast_const().cast();
        if state.is_null() {
            0
        } else {
            state.add(V::OFFSETS.tstate_interp).cast::<usize>().read()
        }
    }
}

fn hooks_of<V: Version>(config: &Config) -> Hooks {
    match (config.sample_bytes, config.frame_limit) {
        (Some(_), FrameLimit::One) => [
            sampled::allocator::<V, 0, false>(),
            sampled::allocator::<V, 1, false>(),
            sampled::allocator::<V, 2, false>(),
        ],
        (Some(_), _) => [
            sampled::allocator::<V, 0, true>(),
            sampled::allocator::<V, 1, true>(),
            sampled::allocator::<V, 2, true>(),
        ],
        (None, FrameLimit::One) => [
            exact::allocator::<V, 0, false>(),
            exact::allocator::<V, 1, false>(),
            exact::allocator::<V, 2, false>(),
        ],
        (None, _) => [
            exact::allocator::<V, 0, true>(),
            exact::allocator::<V, 1, true>(),
            exact::allocator::<V, 2, true>(),
        ],
    }
}

fn install(hooks: &Hooks) {
    for (domain, hook) in hooks.iter().enumerate() {
        let mut present = PyMemAllocatorEx::EMPTY;
        let mut hook = *hook;
        // SAFETY: both functions take a domain below 3 and a pointer to a PyMemAllocatorEx; the GIL is held.
        unsafe {
            api::PyMem_GetAllocator(domain as i32, &raw mut present);
            // Left there by an earlier `stop` because another tool had hooked on top: it leads to ours already.
            if present.ctx == hook.ctx || !original::remember(domain as u32, &present) {
                continue;
            }
            api::PyMem_SetAllocator(domain as i32, &raw mut hook);
        }
    }
}

/// Stops tracing and forgets everything traced. Frees of blocks still alive are harmless. Call with the GIL held.
pub fn stop() {
    if !config::tracing() {
        return;
    }
    config::set_tracing(false);
    objects::unfollow();
    extension_calls::give_back();
    for domain in 0..3_u32 {
        let mut present = PyMemAllocatorEx::EMPTY;
        // SAFETY: as in `install`. If someone hooked on top of us, our hooks stay and only pass calls on.
        unsafe {
            api::PyMem_GetAllocator(domain as i32, &raw mut present);
            if present.ctx == original::context(domain) {
                // Remembered when the hooks were installed, which they are.
                let mut original = original::recall(domain);
                api::PyMem_SetAllocator(domain as i32, &raw mut original);
            }
        }
    }
    forget_all();
}

/// Forgets everything: blocks, counters, paths and names.
pub(crate) fn forget_all() {
    crate::tables::live_map::clear();
    let mut held = lock::hold();
    extension::clear(&mut held);
    totals::reset();
    sites::reset(&mut held);
    tree::reset(&mut held);
    codes::reset(&mut held);
    drop(held);
    session::invalidate_caches();
}

/// Forgets all blocks and counters, and goes on tracing.
pub fn clear() {
    crate::tables::live_map::clear();
    let mut held = lock::hold();
    extension::clear(&mut held);
    totals::reset();
    sites::zero_counters();
    // The map also said which code objects are watched.
    codes::reset_addresses(&mut held);
    drop(held);
    session::invalidate_caches();
}

fn install_fork_handlers() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handlers take no arguments and stay loaded: extension modules are never unloaded.
        unsafe {
            libc::pthread_atfork(
                Some(lock::before_fork),
                Some(lock::after_fork),
                Some(lock::after_fork),
            );
        }
    });
}
