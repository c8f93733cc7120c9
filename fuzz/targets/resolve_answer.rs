//! Any body in place of the controller's answer. What must hold is written beside the tests, which replay what was found.

#![no_main]

#[path = "../../khan-agent/tests/fuzzed/resolve_answer.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::check(bytes));
