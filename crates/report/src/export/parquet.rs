//! Parquet, compressed with Zstandard: one row for each site (or key), the call path as a list of texts.

use std::io::{self, Write};
use std::sync::Arc;

use heapsight_capture::Capture;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::ExportOptions;
use super::rows::{FIGURES, Row, frame_texts, rows};

/// Rows written at a time: call paths are spelled out for so many only.
const ROWS_PER_GROUP: usize = 2_000;

pub(super) fn write(
    capture: &Capture,
    options: &ExportOptions,
    out: &mut (dyn Write + Send),
) -> io::Result<()> {
    write_file(capture, options, out).map_err(|error| match error {
        ParquetError::External(source) => io::Error::other(source),
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
    for rows in rows(&capture.tables, options.group_by).chunks(ROWS_PER_GROUP) {
        let mut group = writer.next_row_group()?;
        for text in [
            |row: &Row| row.function.clone(),
            |row: &Row| row.filename.clone(),
        ] {
            write_texts(&mut group, rows, text)?;
        }
        write_numbers(&mut group, rows)?;
        for text in [
            |row: &Row| row.domain.clone(),
            |row: &Row| row.thread.clone(),
        ] {
            write_texts(&mut group, rows, text)?;
        }
        write_call_paths(&mut group, capture, rows)?;
        for (_, figure) in FIGURES {
            let values: Vec<i64> = rows
                .iter()
                .map(|row| i64::try_from(figure(&row.counters)).unwrap_or(i64::MAX))
                .collect();
            write_column::<Int64Type>(&mut group, &values, None, None)?;
        }
        group.close()?;
    }
    writer.close()?;
    Ok(())
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
    rows: &[Row],
    text: impl Fn(&Row) -> Option<String>,
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
    rows: &[Row],
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

/// A list is spelled out value by value: definition level 0 is the empty list, repetition level 1 goes on with the same row.
fn write_call_paths<W: Write + Send>(
    group: &mut Group<'_, W>,
    capture: &Capture,
    rows: &[Row],
) -> Result<(), ParquetError> {
    let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let mut is_first = true;
        for text in row
            .node
            .into_iter()
            .flat_map(|node| frame_texts(&capture.tables, node))
        {
            values.push(ByteArray::from(text.as_str()));
            defined.push(1);
            repeated.push(i16::from(!is_first));
            is_first = false;
        }
        if is_first {
            defined.push(0);
            repeated.push(0);
        }
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
