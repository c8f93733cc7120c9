//! Any file as a web configuration. What must hold is written beside the tests, which replay what was found.

#![no_main]

#[path = "../../khan-serve/tests/fuzzed/web_config.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::check(bytes));
