//! Any bytes in place of the kernel's answer to a dump. What must hold is written beside the tests, which replay what was found.

#![no_main]

#[path = "../../khan-agent/tests/parser/datagram.rs"]
mod datagram;
#[path = "../../khan-agent/tests/parser/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| datagram::check(bytes));
