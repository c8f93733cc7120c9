//! The `khan` command.

fn main() {}
