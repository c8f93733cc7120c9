//! Sentences for whoever reads stderr. With nobody left to read them (`khan top 2>&1 | head`) they are lost, and nothing else
//! is: `eprintln!` would panic.

use std::fmt::Display;
use std::io::{self, Write};

/// Writes a line.
pub fn line(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes a part of a line at once.
pub fn part(text: impl Display) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}
