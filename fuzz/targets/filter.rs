//! Any text as a filter. What must hold is written beside the tests, which replay what was found.

#![no_main]

#[path = "../../khan-cli/tests/fuzzed/filter.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::check(bytes));
