//! The program without the view: its terminal is ours.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::process::ExitStatus;
use std::sync::mpsc::Receiver;
use std::thread;

use crossterm::terminal::{disable_raw_mode, enable_raw_mode, size};
use signal_hook::consts::SIGWINCH;

use super::pty::{Child, Happening};

fn terminal() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

/// Says something on the terminal. There is nobody to tell if that fails.
pub(super) fn say(text: &str) {
    print(&format!("heapsight: {text}\n"));
}

/// Prints text on the terminal.
pub(super) fn print(text: &str) {
    if let Ok(mut terminal) = terminal() {
        let _ = terminal.write_all(text.as_bytes());
    }
}

/// Has the program run on: what it writes is written, what is typed is typed into it, until it ends. Where the terminal
/// is gone, it runs on all the same.
pub(super) fn go_on(child: &mut Child, happenings: &Receiver<Happening>) -> io::Result<ExitStatus> {
    let mut terminal = terminal().ok();
    let fits = |child: &mut Child| {
        if let Ok((columns, rows)) = size() {
            child.resize(rows, columns);
        }
    };
    fits(child);
    // Keys go to the program's terminal, which does with them what its settings say.
    let is_raw = child.has_output() && enable_raw_mode().is_ok();
    if let Some(terminal) = terminal.as_ref().filter(|_| is_raw)
        && let Some(input) = child.input()
    {
        let mut keys = terminal.try_clone()?;
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = keys.read(&mut buffer) {
                if input.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
    }
    let status = loop {
        match happenings.recv() {
            Ok(Happening::Output(bytes)) => {
                if let Some(terminal) = &mut terminal {
                    let _ = terminal.write_all(&bytes);
                }
            }
            Ok(Happening::Ended(status)) => break status,
            Ok(Happening::Signal(SIGWINCH)) => fits(child),
            Ok(Happening::Signal(signal)) => child.pass_on(signal),
            Err(_) => break Err(io::ErrorKind::UnexpectedEof.into()),
        }
    };
    if is_raw {
        let _ = disable_raw_mode();
    }
    status
}
