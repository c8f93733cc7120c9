//! khan-agent
fn main() {}
