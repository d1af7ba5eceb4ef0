//! The local authority is made once; a client that trusts it can speak to the server.

use std::os::unix::fs::PermissionsExt;

use super::*;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

/// Runs a handshake in memory.
fn handshake(config: &Arc<ServerConfig>, ca: &Path, name: &str) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).expect("the CA")).expect("a CA");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = ClientConnection::new(Arc::new(client), name)?;
    let mut server = ServerConnection::new(Arc::clone(config))?;
    for _ in 0..6 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).expect("in memory");
        }
        server.read_tls(&mut wire.as_slice()).expect("in memory");
        server.process_new_packets()?;
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).expect("in memory");
        }
        client.read_tls(&mut wire.as_slice()).expect("in memory");
        client.process_new_packets()?;
    }
    assert!(!client.is_handshaking());
    Ok(())
}

#[test]
fn the_authority_is_made_once_and_trusted() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path().join("tls");
    let first = tls_dev(&dir, Some("mill.example")).expect("made");
    let pem = std::fs::read_to_string(&first.ca_path).expect("a CA");
    let second = tls_dev(&dir, None).expect("used again");
    assert_eq!(std::fs::read_to_string(&second.ca_path).expect("a CA"), pem);
    for name in ["localhost", "127.0.0.1", "::1", "mill.example"] {
        handshake(&first.config, &first.ca_path, name).expect(name);
    }
    handshake(&second.config, &first.ca_path, "localhost").expect("the same authority");
    assert!(handshake(&second.config, &first.ca_path, "mill.example").is_err());
    let mode = std::fs::metadata(dir.join("ca.key")).expect("a key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(second.lines.iter().any(|line| line.contains("AWS_CA_BUNDLE")));
}

#[test]
fn files_are_read_or_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let key = KeyPair::generate().expect("a key");
    let certificate = leaf_params(None).expect("names").self_signed(&key).expect("a certificate");
    let (cert_path, key_path) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
    write(&cert_path, 0o600, &certificate.pem()).expect("written");
    write(&key_path, 0o600, &key.serialize_pem()).expect("written");
    tls_from_files(&cert_path, &key_path).expect("a pair");
    assert!(matches!(tls_from_files(&key_path, &key_path), Err(TlsError::Pem { what: "a certificate", .. })));
    assert!(matches!(tls_from_files(&cert_path, &cert_path), Err(TlsError::Pem { what: "a private key", .. })));
    assert!(tls_from_files(&dir.path().join("none"), &key_path).is_err());
}
