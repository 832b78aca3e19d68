//! Comma-separated values (RFC 4180, lines ended by a line feed). A call path is written once, as a row that names its
//! caller's row by number: spelled out in every row, the paths of a deep recursion would take gigabytes.

use std::borrow::Cow;
use std::io::{self, Write};

use heapsight_capture::Capture;

use super::ExportOptions;
use super::rows::{FIGURES, Row, caller, callers, rows};

pub(super) fn write(
    capture: &Capture,
    options: &ExportOptions,
    out: &mut dyn Write,
) -> io::Result<()> {
    write!(out, "function,filename,line,domain,thread,call_path,caller")?;
    for (name, _) in FIGURES {
        write!(out, ",{name}")?;
    }
    writeln!(out)?;
    let tables = &capture.tables;
    let all = rows(tables, options.group_by).chain(callers(tables, options.group_by));
    for row in all {
        let caller = row.node.and_then(|node| caller(tables, node));
        write_row(&row, caller, out)?;
    }
    Ok(())
}

fn write_row(row: &Row<'_>, caller: Option<u32>, out: &mut dyn Write) -> io::Result<()> {
    let number = |number: Option<u32>| number.map_or(String::new(), |number| number.to_string());
    let domain = row.domain.map(|domain| domain.name());
    write!(
        out,
        "{},{},{},{},{},{},{}",
        field(row.function),
        field(row.filename),
        number(row.line),
        field(domain.as_deref()),
        field(row.thread),
        number(row.node),
        number(caller)
    )?;
    for (_, figure) in FIGURES {
        write!(out, ",{}", figure(&row.counters))?;
    }
    writeln!(out)
}

/// A field, quoted if it has to be. What is unknown is empty.
fn field(text: Option<&str>) -> Cow<'_, str> {
    let text = text.unwrap_or_default();
    // Each is one byte, which is never a part of another character: bytes are quicker to search than characters.
    if (text.bytes()).any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        text.into()
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
