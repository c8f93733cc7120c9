//! khan-controller
