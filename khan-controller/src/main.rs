//! khan-controller
fn main() {}
