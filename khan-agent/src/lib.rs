//! khan-agent
