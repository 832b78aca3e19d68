//! The streams of this process.

use std::io::{self, ErrorKind, IsTerminal, Write};

use clap::error::{ContextKind, ContextValue, ErrorKind as Answer};
use heapsight_report::{Look, message, printable};

use crate::failure::Failure;
use crate::progress::Progress;

/// Standard output and error, and how wide and colourful output may be.
pub(crate) struct Console<'a> {
    pub out: Box<dyn Write + Send + 'a>,
    pub err: Box<dyn Write + 'a>,
    /// The look of standard output, given whether colours were asked for.
    pub out_look: Box<dyn Fn(Option<bool>) -> Look + 'a>,
    /// Whether standard output is a terminal, which obeys what is in names.
    pub out_is_terminal: bool,
    /// Whether progress is shown.
    pub progress: Progress,
}

impl Console<'_> {
    /// The streams of this process.
    pub(crate) fn of_process() -> Self {
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            out_look: Box::new(|color| Look::of(&io::stdout(), color)),
            out_is_terminal: io::stdout().is_terminal(),
            progress: Progress { may_show: true },
        }
    }

    /// Says in one line why a command failed. There is nobody to tell if that fails too.
    pub(crate) fn report_failure(&mut self, failure: &Failure) {
        let _ = writeln!(self.err, "{}", message(&failure.to_string()));
    }

    /// Says in one line what is doubtful, and goes on.
    pub(crate) fn warn(&mut self, warning: &str) {
        let _ = writeln!(self.err, "{}", message(&format!("warning: {warning}")));
    }

    /// Writes to standard output. A reader who has seen enough is no failure.
    pub(crate) fn print(&mut self, text: &str) -> Result<(), Failure> {
        self.print_bytes(text.as_bytes())
    }

    /// Writes lines of text that are for programs: as they are, but to a terminal without what would control it.
    pub(crate) fn print_text_of_programs(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if !self.out_is_terminal {
            return self.print_bytes(bytes);
        }
        let text = String::from_utf8_lossy(bytes);
        let lines = text.split_inclusive('\n').map(|line| {
            let (line, end) = match line.strip_suffix('\n') {
                Some(line) => (line, "\n"),
                None => (line, ""),
            };
            printable(line, true) + end
        });
        self.print(&lines.collect::<String>())
    }

    /// As [`Self::print`].
    pub(crate) fn print_bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self.out.write_all(bytes).and_then(|()| self.out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            result => Ok(result?),
        }
    }

    /// Prints help or the version, or makes one line of what the parser says.
    pub(crate) fn answer(&mut self, answer: &clap::Error) -> Result<(), Failure> {
        let text = answer.render();
        match answer.kind() {
            Answer::DisplayHelp | Answer::DisplayVersion => {
                let is_colourful = (self.out_look)(None).color;
                let text = if is_colourful {
                    text.ansi().to_string()
                } else {
                    text.to_string()
                };
                self.print(&text)
            }
            Answer::DisplayHelpOnMissingArgumentOrSubcommand => Err(Failure::Usage(
                "give a command or a capture: see 'heapsight --help'".to_owned(),
            )),
            Answer::ValueValidation | Answer::InvalidValue => {
                Err(Failure::BadValue(one_line(&text.to_string())))
            }
            Answer::UnknownArgument if is_of_others(answer) => Err(Failure::Usage(format!(
                "{}: to overwrite a file, give --force",
                one_line(&text.to_string())
            ))),
            _ => Err(Failure::Usage(one_line(&text.to_string()))),
        }
    }
}

/// Whether the argument that is not known is `-f`, which means "force" to many programs and "file" to this one.
fn is_of_others(answer: &clap::Error) -> bool {
    let argument = answer.get(ContextKind::InvalidArg);
    matches!(argument, Some(ContextValue::String(word)) if word == "-f")
}

/// The first paragraph of a parser's message as one line, without the word that starts it.
fn one_line(message: &str) -> String {
    let paragraph = message.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    let line = words.join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}
