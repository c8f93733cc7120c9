//! What the fuzz target `datagram` found worth keeping (`khan-agent/fuzz/README.md`).

use std::fs;

use crate::datagram::check;

#[test]
fn what_the_fuzzer_found_is_read_or_refused_whole() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parser/fuzzed");
    let files = fs::read_dir(folder).expect("the corpus is a folder beside this file");
    let mut inputs = 0;
    for file in files {
        let path = file.expect("an entry of the folder").path();
        println!("{}", path.display());
        check(&fs::read(path).expect("a file of the corpus"));
        inputs += 1;
    }
    assert!(inputs >= 20, "the corpus holds {inputs} inputs");
}
