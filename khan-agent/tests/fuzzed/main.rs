//! What fuzzing found worth keeping (`fuzz/README.md`), through the reader of the controller's answers.

mod resolve_answer;

#[test]
fn of_an_answer_only_what_was_asked_for_is_kept() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzzed/corpus/resolve_answer");
    khan_lab::corpus::replay(folder, resolve_answer::check);
}
