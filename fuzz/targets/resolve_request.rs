//! Any body in place of an agent's question to the controller. What must hold is written beside the tests, which replay what was found.

#![no_main]

#[path = "../../khan-controller/tests/fuzzed/resolve_request.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::check(bytes));
