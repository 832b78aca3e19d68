//! The program as a child with a terminal of its own.

use std::io::{self, Read, Write};
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use pty_process::Size;
use pty_process::blocking::{Pty, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{OptionalActions, Termios, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;

use super::Streams;

/// Read at a time.
const CHUNK_BYTES: usize = 16 * 1024;

/// So many chunks wait at most; then the program does, as on any terminal.
const CHUNKS: usize = 64;

/// Something that came from the program, or from the system.
pub(super) enum Happening {
    /// It wrote this to its terminal.
    Output(Vec<u8>),
    /// It has ended, and everything that it wrote has come before.
    Ended(io::Result<ExitStatus>),
    /// This process was sent a signal.
    Signal(i32),
}

/// A program that runs.
pub(super) struct Child {
    pid: Option<Pid>,
    /// Its terminal's other side, if any of its streams leads there.
    pty: Option<Arc<Pty>>,
    input: Option<Sender<Vec<u8>>>,
}

impl Child {
    /// Starts a program; its terminal has the size (rows, columns) and the settings of ours.
    pub(super) fn start(
        command: Command,
        streams: Streams,
        size: (u16, u16),
        settings: Option<&Termios>,
    ) -> io::Result<(Self, Receiver<Happening>)> {
        let (sender, happenings) = mpsc::sync_channel(CHUNKS);
        let has_terminal = streams.stdin || streams.stdout || streams.stderr;
        let (pty, child) = match has_terminal {
            true => {
                let (pty, child) = in_terminal(command, streams, size, settings)?;
                (Some(Arc::new(pty)), child)
            }
            false => {
                let mut command = command;
                (None, command.spawn()?)
            }
        };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let output = pty.as_ref().map(|pty| {
            let (pty, sender) = (Arc::clone(pty), sender.clone());
            thread::spawn(move || read(&pty, &sender))
        });
        let input = pty.as_ref().map(|pty| {
            let (input, typed) = mpsc::channel::<Vec<u8>>();
            let pty = Arc::clone(pty);
            thread::spawn(move || write(&pty, &typed));
            input
        });
        let ended = sender.clone();
        thread::spawn(move || wait(child, output, &ended));
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH])?;
        thread::spawn(move || {
            for signal in signals.forever() {
                if sender.send(Happening::Signal(signal)).is_err() {
                    break;
                }
            }
        });
        Ok((Self { pid, pty, input }, happenings))
    }

    /// Whether its output comes here.
    pub(super) fn has_output(&self) -> bool {
        self.pty.is_some()
    }

    /// Has its terminal send it what was typed. It need not read it.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if let Some(input) = self.input.as_ref().filter(|_| !bytes.is_empty()) {
            let _ = input.send(bytes.to_vec());
        }
    }

    /// Another end of what is typed, for a thread.
    pub(super) fn input(&self) -> Option<Sender<Vec<u8>>> {
        self.input.clone()
    }

    /// Gives its terminal another size.
    pub(super) fn resize(&mut self, rows: u16, columns: u16) {
        if let Some(pty) = &self.pty {
            let _ = pty.resize(Size::new(rows.max(1), columns.max(1)));
        }
    }

    /// Sends it a signal that was sent to this process. It knows its size from its terminal.
    pub(super) fn pass_on(&mut self, signal: i32) {
        let named = match signal {
            SIGHUP => Signal::HUP,
            SIGINT => Signal::INT,
            SIGQUIT => Signal::QUIT,
            SIGTERM => Signal::TERM,
            _ => return,
        };
        if let Some(pid) = self.pid {
            let _ = kill_process(pid, named);
        }
    }
}

/// Starts a program in a session of its own, with a terminal for the streams that lead to one.
fn in_terminal(
    command: Command,
    streams: Streams,
    size: (u16, u16),
    settings: Option<&Termios>,
) -> io::Result<(Pty, process::Child)> {
    let (pty, side) = open().map_err(io::Error::other)?;
    if let Some(settings) = settings {
        // Without them it has those that a terminal begins with.
        let _ = tcsetattr(&pty, OptionalActions::Now, settings);
    }
    let _ = pty.resize(Size::new(size.0.max(1), size.1.max(1)));
    let mut command = pty_process::blocking::Command::from(command);
    if !streams.stdin {
        command = command.stdin(Stdio::inherit());
    }
    if !streams.stdout {
        command = command.stdout(Stdio::inherit());
    }
    if !streams.stderr {
        command = command.stderr(Stdio::inherit());
    }
    let child = command.spawn(side).map_err(|error| match error {
        pty_process::Error::Io(error) => error,
        other => io::Error::other(other),
    })?;
    Ok((pty, child))
}

/// Hands over what the program writes, until nobody has its terminal any more.
fn read(mut pty: &Pty, sender: &mpsc::SyncSender<Happening>) {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match pty.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                let bytes = buffer[..count].to_vec();
                if sender.send(Happening::Output(bytes)).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // This is how the system says it.
            Err(_) => return,
        }
    }
}

fn write(mut pty: &Pty, typed: &Receiver<Vec<u8>>) {
    for bytes in typed {
        if pty.write_all(&bytes).is_err() {
            return;
        }
    }
}

/// Waits for the program, then for the rest of its output: a process that it left behind may keep the terminal, and is
/// not waited for.
fn wait(
    mut child: process::Child,
    output: Option<thread::JoinHandle<()>>,
    sender: &mpsc::SyncSender<Happening>,
) {
    let status = child.wait();
    if let Some(output) = output {
        for _ in 0..20 {
            if output.is_finished() {
                break;
            }
            thread::park_timeout(std::time::Duration::from_millis(10));
        }
    }
    let _ = sender.send(Happening::Ended(status));
}
