//! How data stand in a page: as text that no browser takes for anything else.

use std::fmt::Write as _;
use std::io::{self, Write};

use base64::engine::general_purpose::{GeneralPurpose, STANDARD};
use base64::write::EncoderWriter;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde_json::Value;

/// Numbers are gathered to this many bytes before they are compressed.
const GATHERED: usize = 32 << 10;

/// Takes the numbers of a section.
pub(super) struct Pack<'o, 'w> {
    out: ZlibEncoder<EncoderWriter<'static, GeneralPurpose, &'o mut (dyn Write + 'w)>>,
    gathered: Vec<u8>,
}

impl Pack<'_, '_> {
    /// Seven bits to a byte, lowest first.
    #[inline(always)] // called for every number of a page, and this crate is compiled for size
    pub(super) fn number(&mut self, mut number: u64) -> io::Result<()> {
        while number >= 0x80 {
            self.gathered.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.gathered.push(number as u8);
        if self.gathered.len() >= GATHERED {
            self.flush()?;
        }
        Ok(())
    }

    pub(super) fn numbers<const N: usize>(&mut self, numbers: [u64; N]) -> io::Result<()> {
        numbers
            .into_iter()
            .try_for_each(|number| self.number(number))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.gathered)?;
        self.gathered.clear();
        Ok(())
    }
}

/// Writes a section: its name, how many entries it has, and what `fill` gives.
pub(super) fn section(
    out: &mut dyn Write,
    name: &str,
    count: usize,
    fill: impl FnOnce(&mut Pack<'_, '_>) -> io::Result<()>,
) -> io::Result<()> {
    write!(
        out,
        "<script type=\"application/octet-stream\" id=\"data-{name}\" data-count=\"{count}\">"
    )?;
    pack(out, fill)?;
    out.write_all(b"</script>\n")
}

/// Writes what `fill` gives, compressed and in base64.
fn pack(
    out: &mut dyn Write,
    fill: impl FnOnce(&mut Pack<'_, '_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut pack = Pack {
        out: ZlibEncoder::new(EncoderWriter::new(out, &STANDARD), Compression::new(6)),
        gathered: Vec::with_capacity(GATHERED + 16),
    };
    fill(&mut pack)?;
    pack.flush()?;
    pack.out.finish()?.finish()?;
    Ok(())
}

/// Writes a section of text: lines, none of which has a line break in it.
pub(super) fn lines<'l>(
    out: &mut dyn Write,
    name: &str,
    lines: impl ExactSizeIterator<Item = &'l str>,
) -> io::Result<()> {
    section(out, name, lines.len(), |pack| {
        for line in lines {
            pack.gathered.extend_from_slice(line.as_bytes());
            pack.gathered.push(b'\n');
            if pack.gathered.len() >= GATHERED {
                pack.flush()?;
            }
        }
        Ok(())
    })
}

/// Writes `value` where HTML cannot end it: without `<`, `>` and `&`.
pub(super) fn json(out: &mut dyn Write, name: &str, value: &Value) -> io::Result<()> {
    let mut text = String::new();
    for character in value.to_string().chars() {
        match character {
            // Within JSON these stand in strings only.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(text, "\\u{:04x}", u32::from(character)); // a String does not fail
            }
            other => text.push(other),
        }
    }
    writeln!(
        out,
        "<script type=\"application/json\" id=\"data-{name}\">{text}</script>"
    )
}

/// `text` as HTML shows it.
pub(super) fn html(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}
