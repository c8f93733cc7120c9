//! khan-cli
fn main() {}
