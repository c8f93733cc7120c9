//! khan-lab
