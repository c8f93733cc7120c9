//! Settings to a client.

use std::sync::Arc;
use std::time::Duration;

use khan_serve::exit::chain;
use khan_serve::tls_provider;
use reqwest::redirect::Policy;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::plain::redirects;
use super::{HttpConfig, HttpConfigError, TlsConfig, TlsVersion, read};

impl HttpConfig {
    /// A client with these settings, apart from the headers of [`HttpConfig::headers`]. It follows redirects within
    /// one host only, unpacks nothing and keeps no cookies.
    pub fn client(&self) -> Result<reqwest::Client, HttpConfigError> {
        self.check()?;
        self.headers()?;
        let provider = tls_provider::install();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("khan/", env!("CARGO_PKG_VERSION")))
            .no_gzip()
            .http1_only()
            .connect_timeout(Duration::from_secs(5))
            .pool_idle_timeout(Duration::from_secs(90))
            .redirect(if self.follow_redirects.unwrap_or(true) { redirects() } else { Policy::none() });
        if !self.proxy_from_environment {
            builder = builder.no_proxy();
        }
        if let Some(url) = &self.proxy_url {
            let proxy =
                reqwest::Proxy::all(url).map_err(|_| HttpConfigError::value("proxy_url", "not a proxy's URL"))?;
            let except = self.no_proxy.as_deref().and_then(reqwest::NoProxy::from_string);
            builder = builder.proxy(proxy.no_proxy(except));
        }
        if self.tls_config != TlsConfig::default() {
            builder = builder.tls_backend_preconfigured(self.tls_config.rustls(provider)?);
        }
        builder.build().map_err(|error| HttpConfigError::value("tls_config", chain(&error)))
    }
}

impl HttpConfig {
    /// TLS for a stream that somebody else opened.
    pub fn tls(&self) -> Result<Arc<ClientConfig>, HttpConfigError> {
        self.tls_config.rustls(tls_provider::install()).map(Arc::new)
    }
}

impl TlsConfig {
    fn rustls(&self, provider: Arc<CryptoProvider>) -> Result<ClientConfig, HttpConfigError> {
        let versions: Vec<_> =
            [(TlsVersion::Tls12, &rustls::version::TLS12), (TlsVersion::Tls13, &rustls::version::TLS13)]
                .into_iter()
                .filter(|(version, _)| self.min_version.is_none_or(|least| *version >= least))
                .filter(|(version, _)| self.max_version.is_none_or(|most| *version <= most))
                .map(|(_, supported)| supported)
                .collect();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&versions);
        let builder = builder.map_err(|error| HttpConfigError::value("tls_config", error))?;
        let builder = builder.dangerous().with_custom_certificate_verifier(self.verifier(provider)?);
        let (cert, key) = (
            text(self.cert.as_ref(), self.cert_file.as_ref())?,
            text(self.key.as_ref().map(|key| &key.0), self.key_file.as_ref())?,
        );
        let (Some(cert), Some(key)) = (cert, key) else { return Ok(builder.with_no_client_auth()) };
        let cert = certificates("tls_config.cert_file", &cert)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| {
            HttpConfigError::value("tls_config.key_file", format!("no private key in PEM: {error}"))
        })?;
        builder.with_client_auth_cert(cert, key).map_err(|error| HttpConfigError::value("tls_config.cert_file", error))
    }

    fn verifier(&self, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, HttpConfigError> {
        if self.insecure_skip_verify {
            return Ok(Arc::new(Anything(provider)));
        }
        let mut roots = RootCertStore::empty();
        if let Some(pem) = text(self.ca.as_ref(), self.ca_file.as_ref())? {
            for certificate in certificates("tls_config.ca_file", &pem)? {
                roots.add(certificate).map_err(|error| HttpConfigError::value("tls_config.ca_file", error))?;
            }
        } else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let inner = inner.map_err(|error| HttpConfigError::value("tls_config", error))?;
        let Some(name) = &self.server_name else { return Ok(inner) };
        let name = ServerName::try_from(name.clone())
            .map_err(|error| HttpConfigError::value("tls_config.server_name", error))?;
        Ok(Arc::new(Named { inner, name }))
    }
}

fn text(inline: Option<&String>, file: Option<&std::path::PathBuf>) -> Result<Option<String>, HttpConfigError> {
    match (inline, file) {
        (Some(text), _) => Ok(Some(text.clone())),
        (None, Some(file)) => read(file).map(Some),
        (None, None) => Ok(None),
    }
}

fn certificates(field: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, HttpConfigError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(HttpConfigError::value(field, "no certificate in PEM")),
        Err(error) => Err(HttpConfigError::value(field, format!("not certificates in PEM: {error}"))),
    }
}

/// Checks the certificate against a name that the user gave, not against the URL's host.
#[derive(Debug)]
struct Named {
    inner: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.inner.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// `insecure_skip_verify`.
#[derive(Debug)]
struct Anything(Arc<CryptoProvider>);

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
