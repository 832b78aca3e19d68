//! Decodes the line tables in the files given, and compares every line with the one that the interpreter gave.
//!
//! tests/interpreters/dump_line_tables.py writes the files and describes the format. Prints how much agreed, or the
//! first disagreement, and then the exit status is 1.

use std::fmt::Write as _;
use std::process::ExitCode;

use heapsight_cpython::line_table::{LineTable, LineTableFormat, NOT_STARTED};

/// What one line of a file says: see dump_line_tables.py.
struct Sample {
    format: LineTableFormat,
    first_line: u32,
    table: Vec<u8>,
    expected: Vec<Option<u32>>,
}

fn parse(text: &str) -> Option<Sample> {
    let mut fields = text.split_ascii_whitespace();
    let format = LineTableFormat::of_version(fields.next()?.parse().ok()?)?;
    let first_line = fields.next()?.parse().ok()?;
    let hexadecimal = fields.next()?.trim_matches('-');
    let table = (0..hexadecimal.len() / 2)
        .map(|byte| u8::from_str_radix(hexadecimal.get(byte * 2..byte * 2 + 2)?, 16).ok())
        .collect::<Option<_>>()?;
    let expected = fields
        .next()?
        .split(',')
        .map(|line| {
            if line == "-" {
                Some(None)
            } else {
                line.parse().ok().map(Some)
            }
        })
        .collect::<Option<_>>()?;
    Some(Sample {
        format,
        first_line,
        table,
        expected,
    })
}

/// Resolves every instruction in both ways that the library offers; says where they differ from what is expected.
fn check(sample: &Sample) -> Result<(), String> {
    let table = LineTable::new(sample.format, &sample.table, sample.first_line);
    let mut ranges = table.lines().peekable();
    let mut offset = 0;
    for &expected in &sample.expected {
        while ranges.next_if(|range| range.end <= offset).is_some() {}
        let in_one_pass = ranges.peek().and_then(|range| range.line);
        let alone = table.line_at(offset);
        if in_one_pass != expected || alone != expected {
            return Err(format!(
                "offset {offset}: expected {expected:?}, line_at gives {alone:?}, lines() {in_one_pass:?}"
            ));
        }
        offset += 2;
    }
    match table.line_at(NOT_STARTED) {
        Some(line) if line == sample.first_line => Ok(()),
        other => Err(format!(
            "not started: expected {}, line_at gives {other:?}",
            sample.first_line
        )),
    }
}

fn check_file(path: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let (mut codes, mut instructions) = (0_u32, 0);
    for (index, line) in text.lines().enumerate() {
        let result = parse(line)
            .ok_or_else(|| "not in the format of dump_line_tables.py".to_owned())
            .and_then(|sample| check(&sample).map(|()| sample.expected.len()));
        instructions += result.map_err(|why| format!("{path}:{}: {why}", index + 1))?;
        codes += 1;
    }
    Ok(format!(
        "{codes} code objects, {instructions} instructions agree"
    ))
}

fn main() -> ExitCode {
    let mut report = String::new();
    for path in std::env::args().skip(1) {
        match check_file(&path) {
            Ok(summary) => {
                let _ = writeln!(report, "{path}: {summary}");
            }
            Err(message) => {
                eprintln!("{message}");
                return ExitCode::FAILURE;
            }
        }
    }
    print!("{report}");
    ExitCode::SUCCESS
}
