//! TLS for the port: from the user's files, or by a certificate authority made for this machine.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Protocols offered by ALPN; a client that offers none is told apart by its first bytes.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// Years for which the local authority and its certificates hold.
const DEV_YEARS: (i32, i32) = (2024, 2044);

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file of PEM text cannot be read, or holds something else.
    #[error("{path} does not hold {what} in PEM form")]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
        /// What the reader said.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not belong together, or are of a kind that is not taken.
    #[error("the certificate and its key cannot be used")]
    Config(#[from] rustls::Error),
    /// The local authority could not be made.
    #[error("the local certificate authority could not be made")]
    Authority(#[from] rcgen::Error),
    /// A file of the local authority cannot be read or written.
    #[error("{path} cannot be read or written")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// TLS by a local authority, and what to tell the user.
#[derive(Debug)]
pub struct DevTls {
    /// For [`crate::FrontParts::tls`].
    pub config: Arc<ServerConfig>,
    /// The authority's certificate, which clients must trust.
    pub ca_path: PathBuf,
    /// One line for each kind of client.
    pub lines: Vec<String>,
}

/// TLS with the certificate chain and the key of these PEM files.
///
/// # Errors
/// [`TlsError`] with the file's name.
pub fn tls_from_files(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let pem = |path: &Path, what| {
        let path = path.to_owned();
        move |source| TlsError::Pem { path, what, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(pem(certificate, "a certificate"))?;
    if chain.is_empty() {
        return Err(pem(certificate, "a certificate")(rustls::pki_types::pem::Error::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(pem(key, "a private key"))?;
    config(chain, key)
}

/// TLS by a local authority in `dir`, made at the first call and used again. Its certificate is
/// `ca.pem`, its key `ca.key` (mode 0600). The server's own certificate, for localhost, 127.0.0.1,
/// ::1 and `host_name`, is made anew at each start and lies in memory only.
///
/// # Errors
/// [`TlsError`].
pub fn tls_dev(dir: &Path, host_name: Option<&str>) -> Result<DevTls, TlsError> {
    let ca_path = dir.join("ca.pem");
    let key_path = dir.join("ca.key");
    let authority = authority_params()?;
    let key = match std::fs::read_to_string(&key_path) {
        Ok(pem) if ca_path.exists() => KeyPair::from_pem(&pem)?,
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            return Err(TlsError::File { path: key_path, source });
        }
        _ => {
            let key = KeyPair::generate()?;
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)
                .map_err(|source| TlsError::File { path: dir.to_owned(), source })?;
            write(&key_path, 0o600, &key.serialize_pem())?;
            write(&ca_path, 0o644, &authority.self_signed(&key)?.pem())?;
            key
        }
    };
    let ca = CertificateDer::from_pem_file(&ca_path).map_err(|source| TlsError::Pem {
        path: ca_path.clone(),
        what: "a certificate",
        source,
    })?;
    let issuer = Issuer::new(authority, key);
    let leaf_key = KeyPair::generate()?;
    let leaf = leaf_params(host_name)?.signed_by(&leaf_key, &issuer)?;
    let leaf_key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let config = config(vec![leaf.der().clone(), ca], leaf_key)?;
    Ok(DevTls { config, lines: lines(&ca_path), ca_path })
}

fn config(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Arc<ServerConfig>, TlsError> {
    // Named, not the process's default: a dependency that turns on a second provider must not decide.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(config))
}

fn authority_params() -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = name("Millrace local authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(DEV_YEARS.0, 1, 1);
    params.not_after = date_time_ymd(DEV_YEARS.1, 1, 1);
    Ok(params)
}

fn leaf_params(host_name: Option<&str>) -> Result<CertificateParams, TlsError> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    names.extend(host_name.filter(|host| !host.is_empty() && *host != "localhost").map(str::to_owned));
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = name("Millrace");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = date_time_ymd(DEV_YEARS.0, 1, 1);
    params.not_after = date_time_ymd(DEV_YEARS.1, 1, 1);
    Ok(params)
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Millrace");
    name.push(DnType::CommonName, common);
    name
}

fn write(path: &Path, mode: u32, text: &str) -> Result<(), TlsError> {
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|source| TlsError::File { path: path.to_owned(), source })
}

fn lines(ca: &Path) -> Vec<String> {
    let ca = std::path::absolute(ca).unwrap_or_else(|_| ca.to_owned());
    let ca = ca.display();
    vec![
        format!("AWS CLI, boto3:  export AWS_CA_BUNDLE={ca}"),
        format!("curl:            curl --cacert {ca} …"),
        format!("Node.js:         export NODE_EXTRA_CA_CERTS={ca}"),
        format!(
            "Java:            keytool -importcert -noprompt -cacerts -storepass changeit -alias millrace -file {ca}"
        ),
        format!("Go, Rust, OpenSSL: export SSL_CERT_FILE={ca}"),
        format!("Fluent Bit:      tls.ca_file {ca}"),
    ]
}

#[cfg(test)]
mod tests;
