//! What fuzzing found worth keeping (`fuzz/README.md`), through the reader of agents' requests.

mod resolve_request;

#[test]
fn requests_are_read_alike_in_any_pieces_or_refused() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzzed/corpus/resolve_request");
    khan_lab::corpus::replay(folder, resolve_request::check);
}
