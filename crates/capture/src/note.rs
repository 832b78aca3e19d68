//! Named texts that a program adds to its capture, such as its own figures at a snapshot.

use crate::varint::{Input, Malformed, put_bytes};

/// A named text. Only its writer knows what it means; docs/format.md lists heapsight's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// What it is about. Of several notes with one name, the last counts.
    pub name: String,
    /// The text.
    pub text: String,
}

impl Note {
    /// Name of the note in a capture that tells only what was live at the end and at the peak. The figures of what was
    /// allocated, freed or temporary, and those of other moments, mean nothing there. The text says why.
    pub const ENDS_ONLY: &str = "ends-only";

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.name.as_bytes());
        put_bytes(out, self.text.as_bytes());
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut input = Input::new(payload);
        let mut text = || {
            String::from_utf8(input.length_and_bytes()?.to_vec()).map_err(|_| "a note is not UTF-8")
        };
        Ok(Self {
            name: text()?,
            text: text()?,
        })
    }
}
