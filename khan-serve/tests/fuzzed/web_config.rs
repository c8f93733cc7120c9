//! What must hold of a web configuration, whatever its file holds. Shared with the fuzz target.

use std::fs;
use std::sync::LazyLock;

use khan_serve::web_config::WebConfig;
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

/// Beside the file: `a.pem`, a certificate that signed itself, and `a.key`, its key.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = TempDir::new().expect("a temporary folder");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".into()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    fs::write(folder.path().join("a.pem"), certificate.pem()).expect("room for it");
    fs::write(folder.path().join("a.key"), key.serialize_pem()).expect("room for it");
    folder
});

/// It is refused in a sentence that names the flag, or it is in force: users where it lists users, TLS where it says so.
pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    // The operator's own file may name any path; reading one such as /dev/zero ends never.
    if ["/dev", "/proc", "/sys", ".."].iter().any(|path| text.contains(path)) {
        return;
    }
    let path = FOLDER.path().join(format!("{:?}.yml", std::thread::current().id()));
    fs::write(&path, bytes).expect("room for it");
    match WebConfig::open(&path) {
        Ok(config) => {
            assert!(!config.with_tls() || text.contains("cert_file"), "TLS out of nothing");
            assert!(!config.with_users() || text.contains("$2"), "users without a bcrypt hash");
        }
        Err(error) => {
            let sentence = error.to_string();
            assert!(sentence.contains("--web-config") || sentence.contains("_file)"), "{sentence}");
        }
    }
}
