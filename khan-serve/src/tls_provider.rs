//! Which implementation of cryptography the process uses for TLS.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

/// Chooses ring for every TLS connection of the process, unless a choice was made before. Returns the one that is in force.
pub fn install() -> Arc<CryptoProvider> {
    if CryptoProvider::get_default().is_none() {
        // Loses only against another thread that does the same.
        drop(ring::default_provider().install_default());
    }
    Arc::clone(CryptoProvider::get_default().expect("one was installed, here or elsewhere"))
}
