//! khan-serve
