//! Which implementation of cryptography the process uses for TLS.

/// Chooses ring for every TLS connection of the process. Does nothing the second time.
pub fn install() {
    // An error says that a provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
