//! Certificates and keys in, a rustls configuration out.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme,
};

use super::settings::{ClientAuthType, TlsSettings, TlsVersion};
use super::{WebConfigError, read};
use crate::watched_file::WatchedFile;

/// A TLS server.
#[derive(Debug)]
pub(super) struct Tls {
    pub(super) config: Arc<ServerConfig>,
    /// Requests without a client certificate are refused.
    pub(super) require_client: bool,
}

impl Tls {
    /// Reads the files that `settings` names, relative to `path`, and adds them to `files`.
    pub(super) fn new(
        path: &Path,
        settings: &TlsSettings,
        files: &mut Vec<WatchedFile>,
    ) -> Result<Self, WebConfigError> {
        let fail = |field, reason: String| WebConfigError::Field { path: path.to_owned(), field, reason };
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut read = |file: &Path, field| read(&folder.join(file), field, files);
        let chain =
            certificates(&read(&settings.cert_file, "cert_file")?).map_err(|reason| fail("cert_file", reason))?;
        let key = PrivateKeyDer::from_pem_slice(&read(&settings.key_file, "key_file")?)
            .map_err(|error| fail("key_file", format!("no private key: {error}")))?;
        let authorities = settings.client_ca_file.as_ref().map(|file| read(file, "client_ca_file")).transpose()?;

        let provider = Arc::new(provider(settings).map_err(|(field, reason)| fail(field, reason))?);
        let versions = versions(settings).map_err(|reason| fail("min_version", reason))?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(|error| fail("cipher_suites", error.to_string()))?;
        let verifier = verifier(settings, authorities, &provider).map_err(|(field, reason)| fail(field, reason))?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| fail("cert_file", format!("does not go with key_file: {error}")))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ignore_client_order = settings.prefer_server_cipher_suites.unwrap_or(true);
        let required = [ClientAuthType::RequireAnyClientCert, ClientAuthType::RequireAndVerifyClientCert];
        Ok(Self { config: Arc::new(config), require_client: required.contains(&settings.client_auth_type) })
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err("holds no certificate".into()),
        Ok(chain) => Ok(chain),
        Err(error) => Err(format!("not PEM: {error}")),
    }
}

fn versions(settings: &TlsSettings) -> Result<Vec<&'static rustls::SupportedProtocolVersion>, String> {
    if settings.min_version < TlsVersion::Tls12 || settings.max_version < TlsVersion::Tls12 {
        return Err("TLS below 1.2 is not supported; use TLS12 or TLS13".into());
    }
    let all = [(TlsVersion::Tls12, &rustls::version::TLS12), (TlsVersion::Tls13, &rustls::version::TLS13)];
    let range = settings.min_version..=settings.max_version;
    let versions: Vec<_> = all.into_iter().filter(|(version, _)| range.contains(version)).map(|(_, v)| v).collect();
    if versions.is_empty() { Err("above max_version".into()) } else { Ok(versions) }
}

/// ring's algorithms, narrowed to what the settings name in Go's spelling.
fn provider(settings: &TlsSettings) -> Result<CryptoProvider, (&'static str, String)> {
    let mut provider = ring::default_provider();
    if !settings.cipher_suites.is_empty() {
        let spelled = |suite: &rustls::SupportedCipherSuite| format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
        for name in &settings.cipher_suites {
            if !provider.cipher_suites.iter().any(|suite| spelled(suite) == *name) {
                return Err(("cipher_suites", format!("{name} is not supported")));
            }
        }
        provider.cipher_suites.retain(|suite| settings.cipher_suites.contains(&spelled(suite)));
    }
    if !settings.curve_preferences.is_empty() {
        let known = [("CurveP256", "secp256r1"), ("CurveP384", "secp384r1"), ("X25519", "X25519")];
        let mut groups = Vec::new();
        for name in &settings.curve_preferences {
            let known = known.iter().find(|(go, _)| go == name).map(|(_, iana)| *iana);
            let group = provider.kx_groups.iter().find(|group| Some(&*format!("{:?}", group.name())) == known);
            groups.push(*group.ok_or_else(|| ("curve_preferences", format!("{name} is not supported")))?);
        }
        provider.kx_groups = groups;
    }
    Ok(provider)
}

type Verifier = Arc<dyn ClientCertVerifier>;

fn verifier(
    settings: &TlsSettings,
    authorities: Option<Vec<u8>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Verifier>, (&'static str, String)> {
    let verified: Verifier = match (settings.client_auth_type, authorities) {
        (ClientAuthType::NoClientCert, None) => return Ok(None),
        // As in Go, authorities alone do not ask for certificates; the exporter-toolkit refuses that as a mistake.
        (ClientAuthType::NoClientCert, Some(_)) => {
            return Err(("client_ca_file", "has no effect without client_auth_type".into()));
        }
        (ClientAuthType::RequestClientCert | ClientAuthType::RequireAnyClientCert, _) => {
            Arc::new(AnyClient(provider.signature_verification_algorithms))
        }
        (ClientAuthType::VerifyClientCertIfGiven | ClientAuthType::RequireAndVerifyClientCert, None) => {
            return Err(("client_ca_file", "is needed by this client_auth_type".into()));
        }
        (ClientAuthType::VerifyClientCertIfGiven | ClientAuthType::RequireAndVerifyClientCert, Some(pem)) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(&pem).map_err(|reason| ("client_ca_file", reason))? {
                roots.add(certificate).map_err(|error| ("client_ca_file", error.to_string()))?;
            }
            // Required or not, the handshake goes on without one: probes have none.
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .allow_unauthenticated()
                .build()
                .map_err(|error| ("client_ca_file", error.to_string()))?
        }
    };
    if settings.client_allowed_sans.is_empty() {
        return Ok(Some(verified));
    }
    let mut allowed = Vec::new();
    for name in &settings.client_allowed_sans {
        let name = ServerName::try_from(name.clone())
            .map_err(|_| ("client_allowed_sans", format!("{name} is neither a DNS name nor an address")))?;
        allowed.push(name);
    }
    Ok(Some(Arc::new(NamedClient { verified, allowed })))
}

/// Takes any certificate whose key the client holds.
#[derive(Debug)]
struct AnyClient(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Takes certificates that another verifier takes and that are for one of these names.
#[derive(Debug)]
struct NamedClient {
    verified: Verifier,
    allowed: Vec<ServerName<'static>>,
}

impl ClientCertVerifier for NamedClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verified.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verified.verify_client_cert(certificate, intermediates, now)?;
        let parsed = ParsedCertificate::try_from(certificate)?;
        if self.allowed.iter().any(|name| verify_server_name(&parsed, name).is_ok()) {
            return Ok(verified);
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidForName))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verified.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verified.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verified.supported_verify_schemes()
    }
}
