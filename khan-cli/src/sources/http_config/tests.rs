use std::io::Write;

use super::*;

fn parse(text: &str) -> Result<HttpConfig, HttpConfigError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    HttpConfig::read(file.path())
}

fn header(config: &HttpConfig, name: &str) -> Option<String> {
    config.headers().unwrap().get(name).map(|value| value.to_str().unwrap().to_owned())
}

#[test]
fn an_unknown_field_is_refused_by_its_name() {
    for (text, name) in [
        ("basic_atuh: {}", "basic_atuh"),
        ("tls_config: {cafile: x}", "cafile"),
        ("oauth2: {client_id: me}", "oauth2"),
        ("http_headers: {X-Scope-OrgID: {value: a}}", "value"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(&format!("unknown field `{name}`")), "{error}");
    }
    assert!(matches!(parse("- a list"), Err(HttpConfigError::Syntax { .. })));
    assert_eq!(parse("# nothing\n").unwrap(), HttpConfig::default());
}

#[test]
fn contradictions_are_refused() {
    for (text, expected) in [
        ("{bearer_token: a, basic_auth: {username: u}}", "at most one of basic_auth"),
        ("{bearer_token: a, bearer_token_file: b}", "at most one of bearer_token and bearer_token_file"),
        ("tls_config: {cert_file: a}", "the client certificate is set without its key"),
        ("authorization: {type: basic, credentials: x}", "authorization: type Basic belongs into basic_auth"),
        ("tls_config: {min_version: TLS13, max_version: TLS12}", "min_version is above max_version"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(parse("tls_config: {min_version: TLS12}").is_ok());
}

#[test]
fn secrets_become_headers_and_nothing_else() {
    let config = parse("basic_auth: {username: u, password: p}").unwrap();
    assert_eq!(header(&config, "authorization").unwrap(), "Basic dTpw");
    assert!(!format!("{config:?}").contains("\"p\""));
    let config = parse("authorization: {type: Token, credentials: t}").unwrap();
    assert_eq!(header(&config, "authorization").unwrap(), "Token t");
    let config = parse("http_headers: {X-Scope-OrgID: {values: [team-a]}}").unwrap();
    assert_eq!(header(&config, "x-scope-orgid").unwrap(), "team-a");
    assert_eq!(header(&config, "authorization"), None);
}

#[test]
fn a_token_file_is_found_beside_its_config_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("http.yml"), "bearer_token_file: token\n").unwrap();
    std::fs::write(folder.path().join("token"), "first\n").unwrap();
    let config = HttpConfig::read(&folder.path().join("http.yml")).unwrap();
    assert_eq!(header(&config, "authorization").unwrap(), "Bearer first");
    std::fs::write(folder.path().join("token"), "second\n").unwrap();
    assert_eq!(header(&config, "authorization").unwrap(), "Bearer second");
    std::fs::remove_file(folder.path().join("token")).unwrap();
    let error = config.headers().unwrap_err().to_string();
    assert!(error.ends_with("token: No such file or directory (os error 2)"), "{error}");
}

#[test]
fn a_client_is_refused_when_its_files_are_not_what_they_should_be() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), "hello").unwrap();
    std::fs::write(folder.path().join("http.yml"), "tls_config: {ca_file: ca.pem}").unwrap();
    let config = HttpConfig::read(&folder.path().join("http.yml")).unwrap();
    assert_eq!(config.client().unwrap_err().to_string(), "tls_config.ca_file: no certificate in PEM");
    let config = parse("proxy_url: '::::'").unwrap();
    assert_eq!(config.client().unwrap_err().to_string(), "proxy_url: not a proxy's URL");
    assert!(parse("tls_config: {insecure_skip_verify: true, server_name: prom.example}").unwrap().client().is_ok());
}
