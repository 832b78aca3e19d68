//! Builds the library that `heapsight run --native` preloads, next to everything else that this crate is built into.
//!
//! Cargo builds one library for each package, and no second one for a package that depends on it. This one depends on
//! nothing but the C library, so the compiler is called directly: with the same target, linker and flags.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// What the file is called. `pyproject.toml` has it packed into the wheel under this name.
const NAME: &str = "libheapsight_preload.so";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=preload");
    println!("cargo::rerun-if-changed=src/interface.rs");
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let target = variable("TARGET");
    let out = PathBuf::from(variable("OUT_DIR")).join(NAME);
    let mut rustc = Command::new(variable("RUSTC"));
    rustc
        .args(["--edition", "2024", "--crate-type", "cdylib"])
        .args(["--crate-name", "heapsight_preload"])
        .args(["--target", &target])
        .args(["-C", "opt-level=3", "-C", "panic=abort", "-C", "lto=fat"])
        .args(["-C", "codegen-units=1", "-C", "strip=symbols"])
        .args([
            "-C",
            "link-arg=-Wl,-soname,libheapsight_preload.so,-z,nodelete",
        ])
        .arg("-o")
        .arg(&out)
        .arg("preload/lib.rs");
    if target.contains("musl") {
        rustc.args(["-C", "target-feature=-crt-static"]);
    }
    let linker = variable("RUSTC_LINKER");
    if !linker.is_empty() {
        rustc.arg("-C").arg(format!("linker={linker}"));
    }
    let flags = variable("CARGO_ENCODED_RUSTFLAGS");
    rustc.args(flags.split('\u{1f}').filter(|flag| !flag.is_empty()));
    let status = rustc.status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "the preloaded library could not be built: {status:?}"
    );
}
