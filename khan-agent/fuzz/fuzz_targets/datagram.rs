//! Any bytes in place of the kernel's answer. What must hold stands beside the tests, which replay what was found.

#![no_main]

#[path = "../../tests/parser/datagram.rs"]
mod datagram;
#[path = "../../tests/parser/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| datagram::check(bytes));
