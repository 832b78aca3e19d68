//! The in-process recorder.
