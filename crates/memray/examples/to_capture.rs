//! Writes a recording of memray as a capture:
//! `cargo run --release -p heapsight-memray --example to_capture RECORDING CAPTURE`.

use std::error::Error;
use std::fs::File;

fn main() -> Result<(), Box<dyn Error>> {
    let mut names = std::env::args_os().skip(1);
    let (Some(from), Some(to)) = (names.next(), names.next()) else {
        return Err("usage: to_capture RECORDING CAPTURE".into());
    };
    for told in heapsight_memray::read(File::open(from)?, File::create(to)?)? {
        println!("{told}");
    }
    Ok(())
}
