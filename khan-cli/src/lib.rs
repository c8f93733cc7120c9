//! khan-cli
