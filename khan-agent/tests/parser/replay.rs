//! What the fuzz target `datagram` found worth keeping (`fuzz/README.md`).

use crate::datagram::check;

#[test]
fn what_the_fuzzer_found_is_read_or_refused_whole() {
    khan_lab::corpus::replay(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parser/fuzzed"), check);
}
