//! Parquet, compressed with Zstandard: one row for each site (or key), the call path as a list of texts.

use std::io::{self, Write};
use std::sync::Arc;

use foldhash::HashMap;
use heapsight_analysis::path;
use heapsight_capture::Capture;
use heapsight_capture::model::{CodeId, NodeId, ROOT, Tables};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::ExportOptions;
use super::rows::{FIGURES, Row, rows};
use super::stacks::{LEFT_OUT, MOST_FRAMES};

/// Rows and frames of their call paths that are written at a time: no more than these are in memory.
const MOST_ROWS_PER_GROUP: usize = 20_000;
const FRAMES_PER_GROUP: usize = 400_000;

pub(super) fn write(
    capture: &Capture,
    options: &ExportOptions,
    out: &mut (dyn Write + Send),
) -> io::Result<()> {
    write_file(capture, options, out).map_err(|error| match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(source) => io::Error::other(source),
        },
        other => io::Error::other(other),
    })
}

fn write_file(
    capture: &Capture,
    options: &ExportOptions,
    out: &mut (dyn Write + Send),
) -> Result<(), ParquetError> {
    let schema = Arc::new(parse_message_type(&schema())?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("heapsight ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let mut writer = SerializedFileWriter::new(out, schema, Arc::new(properties))?;
    let tables = &capture.tables;
    let depths = depths(tables);
    let mut texts = Texts::default();
    let mut rows = rows(tables, options.group_by).peekable();
    let mut group: Vec<Row<'_>> = Vec::new();
    let mut frames = 0;
    while let Some(row) = rows.next() {
        let depth = row.node.map_or(0, |node| depths[node as usize]);
        frames += depth.min(MOST_FRAMES + 1);
        group.push(row);
        let is_full = group.len() == MOST_ROWS_PER_GROUP || frames >= FRAMES_PER_GROUP;
        if is_full || rows.peek().is_none() {
            let mut columns = writer.next_row_group()?;
            write_rows(&mut columns, tables, &mut texts, &group)?;
            columns.close()?;
            group.clear();
            frames = 0;
        }
    }
    writer.close()?;
    Ok(())
}

fn write_rows<W: Write + Send>(
    group: &mut Group<'_, W>,
    tables: &Tables,
    texts: &mut Texts,
    rows: &[Row<'_>],
) -> Result<(), ParquetError> {
    write_texts(group, rows, |row| row.function.map(str::to_owned))?;
    write_texts(group, rows, |row| row.filename.map(str::to_owned))?;
    write_numbers(group, rows)?;
    write_texts(group, rows, |row| row.domain.map(|domain| domain.name()))?;
    write_texts(group, rows, |row| row.thread.map(str::to_owned))?;
    write_call_paths(group, tables, texts, rows)?;
    for (_, figure) in FIGURES {
        let values: Vec<i64> = rows
            .iter()
            .map(|row| i64::try_from(figure(&row.counters)).unwrap_or(i64::MAX))
            .collect();
        write_column::<Int64Type>(group, &values, None, None)?;
    }
    Ok(())
}

/// How many frames each call path has, threads included.
fn depths(tables: &Tables) -> Vec<usize> {
    let mut depths: Vec<usize> = Vec::with_capacity(tables.nodes.len());
    for node in &tables.nodes {
        let caller = depths.get(node.parent as usize).copied();
        depths.push(caller.map_or(0, |depth| depth + 1));
    }
    depths
}

/// `function (file:line)`, each made once.
#[derive(Default)]
struct Texts(HashMap<(CodeId, u32), ByteArray>);

impl Texts {
    fn of(&mut self, tables: &Tables, node: NodeId) -> Option<ByteArray> {
        let frame = path::frame(tables, node)?;
        let node = &tables.nodes[node as usize];
        let text = self.0.entry((node.code, node.line));
        let text = text.or_insert_with(|| {
            let text = match frame.line {
                0 => format!("{} ({})", frame.name, frame.filename),
                line => format!("{} ({}:{line})", frame.name, frame.filename),
            };
            ByteArray::from(text.as_str())
        });
        Some(text.clone())
    }

    /// The frames of a call path, most recent first: at most [`MOST_FRAMES`], and [`LEFT_OUT`].
    fn of_path(&mut self, tables: &Tables, path: NodeId, values: &mut Vec<ByteArray>) {
        let (mut at, first) = (path, values.len());
        while at != ROOT {
            if let Some(text) = self.of(tables, at) {
                if values.len() - first == MOST_FRAMES {
                    values.push(ByteArray::from(LEFT_OUT));
                    return;
                }
                values.push(text);
            }
            at = tables.nodes[at as usize].parent;
        }
    }
}

fn schema() -> String {
    let mut schema = "message heapsight {
        OPTIONAL BYTE_ARRAY function (UTF8);
        OPTIONAL BYTE_ARRAY filename (UTF8);
        OPTIONAL INT64 line;
        OPTIONAL BYTE_ARRAY domain (UTF8);
        OPTIONAL BYTE_ARRAY thread (UTF8);
        REQUIRED GROUP call_path (LIST) { REPEATED GROUP list { REQUIRED BYTE_ARRAY element (UTF8); } }\n"
        .to_owned();
    for (name, _) in FIGURES {
        schema += &format!("        REQUIRED INT64 {name};\n");
    }
    schema + "}"
}

type Group<'w, W> = SerializedRowGroupWriter<'w, W>;

fn write_texts<W: Write + Send>(
    group: &mut Group<'_, W>,
    rows: &[Row<'_>],
    text: impl Fn(&Row<'_>) -> Option<String>,
) -> Result<(), ParquetError> {
    let texts: Vec<Option<String>> = rows.iter().map(text).collect();
    let levels: Vec<i16> = texts.iter().map(|text| i16::from(text.is_some())).collect();
    let values: Vec<ByteArray> = texts
        .iter()
        .flatten()
        .map(|text| text.as_str().into())
        .collect();
    write_column::<ByteArrayType>(group, &values, Some(&levels), None)
}

fn write_numbers<W: Write + Send>(
    group: &mut Group<'_, W>,
    rows: &[Row<'_>],
) -> Result<(), ParquetError> {
    let levels: Vec<i16> = rows
        .iter()
        .map(|row| i16::from(row.line.is_some()))
        .collect();
    let values: Vec<i64> = rows
        .iter()
        .filter_map(|row| row.line.map(i64::from))
        .collect();
    write_column::<Int64Type>(group, &values, Some(&levels), None)
}

/// A list is spelled out value by value: definition level 0 is the empty list, repetition level 1 goes on with the same
/// row.
fn write_call_paths<W: Write + Send>(
    group: &mut Group<'_, W>,
    tables: &Tables,
    texts: &mut Texts,
    rows: &[Row<'_>],
) -> Result<(), ParquetError> {
    let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let before = values.len();
        if let Some(node) = row.node {
            texts.of_path(tables, node, &mut values);
        }
        let frames = values.len() - before;
        defined.extend(std::iter::repeat_n(i16::from(frames > 0), frames.max(1)));
        repeated.push(0);
        repeated.extend(std::iter::repeat_n(1, frames.saturating_sub(1)));
    }
    write_column::<ByteArrayType>(group, &values, Some(&defined), Some(&repeated))
}

fn write_column<T: DataType>(
    group: &mut Group<'_, impl Write + Send>,
    values: &[T::T],
    defined: Option<&[i16]>,
    repeated: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("a column too many".to_owned()));
    };
    column.typed::<T>().write_batch(values, defined, repeated)?;
    column.close()
}
