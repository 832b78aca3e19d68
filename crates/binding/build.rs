//! Passes on what pyo3 found out about the interpreter, as `cfg(Py_GIL_DISABLED)` and the like.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
}
