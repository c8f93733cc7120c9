//! What fuzzing found worth keeping (`fuzz/README.md`), through the readers of what other people write.

mod filter;
mod recording;
mod snapshot;

use khan_lab::corpus::replay;

/// Where the corpus of a target is.
macro_rules! corpus {
    ($target:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzzed/corpus/", $target)
    };
}

#[test]
fn filters_are_written_back_equal_or_refused_in_place() {
    replay(corpus!("filter"), filter::check);
}

#[test]
fn recordings_are_shown_or_refused_in_a_sentence() {
    replay(corpus!("recording"), recording::check);
}

#[test]
fn snapshots_are_read_alike_in_both_forms_or_refused() {
    replay(corpus!("snapshot"), snapshot::check);
}
