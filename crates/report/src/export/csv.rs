//! Comma-separated values (RFC 4180, lines ended by a line feed). The call path is one field, most recent frame first.

use std::io::{self, Write};

use heapsight_capture::Capture;

use super::ExportOptions;
use super::rows::{FIGURES, frame_texts, rows};

pub(super) fn write(
    capture: &Capture,
    options: &ExportOptions,
    out: &mut dyn Write,
) -> io::Result<()> {
    write!(out, "function,filename,line,domain,thread,call_path")?;
    for (name, _) in FIGURES {
        write!(out, ",{name}")?;
    }
    writeln!(out)?;
    for row in rows(&capture.tables, options.group_by) {
        let path = row.node.map(|node| {
            let frames: Vec<String> = frame_texts(&capture.tables, node).collect();
            frames.join(" < ")
        });
        let line = row.line.map(|line| line.to_string());
        let texts = [
            row.function,
            row.filename,
            line,
            row.domain,
            row.thread,
            path,
        ];
        let texts: Vec<String> = texts
            .into_iter()
            .map(|text| field(text.as_deref()))
            .collect();
        write!(out, "{}", texts.join(","))?;
        for (_, figure) in FIGURES {
            write!(out, ",{}", figure(&row.counters))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// A field, quoted if it has to be. What is unknown is empty.
fn field(text: Option<&str>) -> String {
    let text = text.unwrap_or_default();
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_quotes_gets_them() {
        assert_eq!(field(Some("a b")), "a b");
        assert_eq!(field(Some("a,\"b\"")), "\"a,\"\"b\"\"\"");
        assert_eq!(field(None), "");
    }
}
