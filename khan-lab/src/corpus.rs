//! In: a folder of inputs that a fuzzer found worth keeping (`fuzz/README.md`). Out: each of them, given to a check.

use std::fs;
use std::path::Path;

/// Fewer inputs than this means that the folder is the wrong one.
const FEWEST: usize = 5;

/// Runs `check` on every file in `folder`, in the order of their names. Prints each path first, so that a failing test
/// shows which input it failed on.
pub fn replay(folder: impl AsRef<Path>, check: impl Fn(&[u8])) {
    let folder = folder.as_ref();
    let files = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.expect("an entry of the folder").path()).collect();
    paths.sort();
    assert!(paths.len() >= FEWEST, "{} holds only {} inputs", folder.display(), paths.len());
    for path in paths {
        println!("{}", path.display());
        check(&fs::read(&path).expect("a file of the corpus"));
    }
}
