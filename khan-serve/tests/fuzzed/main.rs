//! What fuzzing found worth keeping (`fuzz/README.md`), through the reader of `--web-config`.

mod web_config;

#[test]
fn a_web_configuration_is_in_force_or_refused_in_a_sentence() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzzed/corpus/web_config");
    khan_lab::corpus::replay(folder, web_config::check);
}
