//! Reading a live CPython interpreter.
