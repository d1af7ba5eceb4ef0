//! Which bucket is where: a default store, stores of single buckets, and every option of each kind.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ObjectError, Secret, buckets};

/// Region that is signed for where none is given; what S3-compatible servers expect.
pub(crate) const REGION_DEFAULT: &str = "us-east-1";
/// Longest time limit in milliseconds (an hour): more would look like a hang.
const TIMEOUT_MS_MAX: u64 = 3_600_000;

/// Where objects go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectSettings {
    /// Store of every bucket that has none of its own. Default: `kind = "local"`.
    pub default: StoreSettings,
    /// Stores of single buckets, by the bucket's name in the delivery stream. Default: none.
    pub buckets: BTreeMap<String, StoreSettings>,
}

/// One store, by `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum StoreSettings {
    /// `kind = "local"`: the folder `objects/<bucket>/` below the data directory.
    Local(LocalSettings),
    /// `kind = "s3"`: Amazon S3 or a server that speaks it.
    S3(S3Settings),
    /// `kind = "azure"`: Azure Blob Storage.
    Azure(AzureSettings),
    /// `kind = "gcs"`: Google Cloud Storage.
    Gcs(GcsSettings),
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self::Local(LocalSettings {})
    }
}

/// A local folder has no options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalSettings {}

/// Amazon S3 or a server that speaks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct S3Settings {
    /// URL of the server, `http://` or `https://`, without bucket, user or query. Default: Amazon's
    /// for the region.
    pub endpoint: Option<String>,
    /// Region to sign for. Default: `us-east-1`.
    pub region: Option<String>,
    /// The bucket is in the path (`host/bucket/key`) and not in the host name (`bucket.host/key`).
    /// Default: true.
    pub path_style: bool,
    /// Access key id. Default: from the environment; required.
    pub access_key_id: Option<Secret>,
    /// Secret access key. Default: from the environment; required.
    pub secret_access_key: Option<Secret>,
    /// Token of temporary credentials. Default: from the environment, else none.
    pub session_token: Option<Secret>,
    /// Name of the bucket at the store. Default: the name in the delivery stream.
    pub bucket: Option<String>,
    /// Time limits and certificates.
    pub transport: TransportSettings,
}

impl Default for S3Settings {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            path_style: true,
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            bucket: None,
            transport: TransportSettings::default(),
        }
    }
}

/// Azure Blob Storage. One of `access_key`, `sas_token`, or the three of a service principal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AzureSettings {
    /// Name of the storage account; required.
    pub account: String,
    /// Name of the container. Default: the bucket's name in the delivery stream.
    pub container: Option<String>,
    /// URL of the blob service, with the account where the service wants it in the path. Default:
    /// `https://<account>.blob.core.windows.net`.
    pub endpoint: Option<String>,
    /// Access key of the account, base64.
    pub access_key: Option<Secret>,
    /// Shared access signature (a query string).
    pub sas_token: Option<Secret>,
    /// Service principal: application id.
    pub client_id: Option<String>,
    /// Service principal: secret.
    pub client_secret: Option<Secret>,
    /// Service principal: tenant id.
    pub tenant_id: Option<String>,
    /// Time limits and certificates.
    pub transport: TransportSettings,
}

/// Google Cloud Storage. One of `service_account` and `bearer_token`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GcsSettings {
    /// Name of the bucket at the store. Default: the name in the delivery stream.
    pub bucket: Option<String>,
    /// URL of the service. Default: Google's.
    pub endpoint: Option<String>,
    /// Key of a service account: its JSON, usually `{ file = "PATH" }`.
    pub service_account: Option<Secret>,
    /// A token that something else renews, usually `{ file = "PATH" }`.
    pub bearer_token: Option<Secret>,
    /// Time limits and certificates.
    pub transport: TransportSettings,
}

/// How a remote store is talked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TransportSettings {
    /// Milliseconds to make a connection, TLS included. Default: 5000.
    pub connect_timeout_ms: u64,
    /// Milliseconds for a request besides its bytes. Default: 30000.
    pub request_timeout_ms: u64,
    /// Bytes a second that a slow network must reach: a request gets its size divided by this on top
    /// of `request_timeout_ms`. Default: 131072.
    pub rate_bytes_per_s_min: u64,
    /// PEM file of a certificate authority that is trusted besides the system's. Default: none.
    pub ca_file: Option<PathBuf>,
    /// Ask the store for the length of each stored object (HEAD) and compare. Needs read permission.
    /// Default: true.
    pub verify_length: bool,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            connect_timeout_ms: 5_000,
            request_timeout_ms: 30_000,
            rate_bytes_per_s_min: 128 * 1024,
            ca_file: None,
            verify_length: true,
        }
    }
}

impl TransportSettings {
    /// Time for a whole request with a body of `bytes`.
    pub(crate) fn whole(&self, bytes: usize) -> Duration {
        let transfer_ms = (bytes as u64).saturating_mul(1000) / self.rate_bytes_per_s_min.max(1);
        Duration::from_millis(self.request_timeout_ms.saturating_add(transfer_ms))
    }
}

impl ObjectSettings {
    /// Every bucket without a store of its own goes to the S3 server at `endpoint` from now on.
    pub fn use_s3_endpoint(&mut self, endpoint: &str) {
        if !matches!(self.default, StoreSettings::S3(_)) {
            self.default = StoreSettings::S3(S3Settings::default());
        }
        if let StoreSettings::S3(s3) = &mut self.default {
            s3.endpoint = Some(endpoint.to_owned());
        }
    }

    /// The settings of `bucket`, and the name of their table.
    pub(crate) fn of(&self, bucket: &str) -> (&StoreSettings, String) {
        match self.buckets.get(bucket) {
            Some(own) => (own, format!("buckets.{bucket}")),
            None => (&self.default, "default".to_owned()),
        }
    }

    /// Refuses what cannot work, by name.
    pub(crate) fn check(&self) -> Result<(), ObjectError> {
        check_store(&self.default, "default")?;
        for (name, store) in &self.buckets {
            buckets::check_name(name)?;
            check_store(store, &format!("buckets.{name}"))?;
        }
        Ok(())
    }
}

fn check_store(store: &StoreSettings, table: &str) -> Result<(), ObjectError> {
    let (endpoint, remote, transport) = match store {
        StoreSettings::Local(_) => return Ok(()),
        StoreSettings::S3(s3) => (&s3.endpoint, &s3.bucket, &s3.transport),
        StoreSettings::Azure(azure) => (&azure.endpoint, &azure.container, &azure.transport),
        StoreSettings::Gcs(gcs) => (&gcs.endpoint, &gcs.bucket, &gcs.transport),
    };
    let refuse = |setting, why: String| Err(ObjectError::Setting { store: table.to_owned(), setting, why });
    if let Some(name) = remote {
        buckets::check_name(name)?;
    }
    if let Err(why) = endpoint.as_deref().map_or(Ok(()), check_endpoint) {
        return refuse("endpoint", why.to_owned());
    }
    for (setting, value) in
        [("connect_timeout_ms", transport.connect_timeout_ms), ("request_timeout_ms", transport.request_timeout_ms)]
    {
        if !(1..=TIMEOUT_MS_MAX).contains(&value) {
            return refuse(setting, format!("must be between 1 and {TIMEOUT_MS_MAX}"));
        }
    }
    if transport.rate_bytes_per_s_min == 0 {
        return refuse("rate_bytes_per_s_min", "must be at least 1".to_owned());
    }
    if let StoreSettings::S3(s3) = store
        && s3.region.as_deref().is_some_and(|r| !is_region(r))
    {
        return refuse("region", "may hold letters, digits, '-' and '_' only".to_owned());
    }
    if let StoreSettings::Azure(azure) = store
        && (azure.account.is_empty() || !azure.account.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
    {
        return refuse("account", "must be the name of a storage account".to_owned());
    }
    Ok(())
}

fn is_region(region: &str) -> bool {
    !region.is_empty() && region.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// The value is not repeated: what is wrong with it may be that it holds a password.
fn check_endpoint(endpoint: &str) -> Result<(), &'static str> {
    let Some(rest) = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://")) else {
        return Err("must begin with http:// or https://");
    };
    let host = rest.split('/').next().unwrap_or_default();
    if rest.contains('@') {
        return Err("must not hold a user or a password; give credentials by their own options");
    }
    if host.is_empty() || host.starts_with(':') {
        return Err("has no host name");
    }
    if rest.contains(['?', '#', '\\', '%']) || rest.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("must be a plain URL without query or escapes");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ObjectSettings, String> {
        let settings: ObjectSettings = toml::from_str(text).map_err(|e| e.message().to_owned())?;
        settings.check().map_err(|e| e.to_string())?;
        Ok(settings)
    }

    #[test]
    fn every_kind_is_read() {
        let settings = parse(
            r#"
            [default]
            kind = "s3"
            endpoint = "http://127.0.0.1:9000"
            secret_access_key = { env = "SECRET" }
            transport = { connect_timeout_ms = 100 }
            [buckets.logs]
            kind = "local"
            [buckets."a.b_c"]
            kind = "azure"
            account = "acc"
            access_key = "aGk="
            [buckets.goog]
            kind = "gcs"
            service_account = { file = "key.json" }
            "#,
        )
        .unwrap();
        assert_eq!(settings.buckets.len(), 3);
        let (StoreSettings::S3(s3), table) = settings.of("other") else { panic!("the default is s3") };
        assert_eq!(table, "default");
        assert_eq!(s3.secret_access_key, Some(Secret::Env { env: "SECRET".to_owned() }));
        assert_eq!((s3.transport.connect_timeout_ms, s3.transport.request_timeout_ms), (100, 30_000));
        assert!(s3.path_style && s3.transport.verify_length);
        assert_eq!(parse("").unwrap(), ObjectSettings::default());
    }

    #[test]
    fn refused_by_name() {
        for (text, why) in [
            ("[default]\nkind = 's3'\nendpont = 'x'", "unknown field `endpont`"),
            ("[default]\nkind = 'local'\npath = 'x'", "unknown field `path`"),
            ("[default]\nkind = 'ftp'", "unknown variant `ftp`"),
            ("[default]\nkind = 's3'\nendpoint = 'minio:9000'", "default: endpoint must begin with http://"),
            ("[default]\nkind = 's3'\nendpoint = 'http://u:pw@h'", "endpoint must not hold a user"),
            ("[default]\nkind = 's3'\nendpoint = 'http://'", "endpoint has no host"),
            ("[default]\nkind = 's3'\nendpoint = 'http://h?x=1'", "endpoint must be a plain URL"),
            ("[default]\nkind = 's3'\nregion = 'a/b'", "region may hold"),
            ("[default]\nkind = 's3'\nsession_token = 3", "a text, { env"),
            ("[default]\nkind = 's3'\ntransport.request_timeout_ms = 0", "request_timeout_ms must be"),
            ("[default]\nkind = 's3'\ntransport.rate_bytes_per_s_min = 0", "rate_bytes_per_s_min must be"),
            ("[buckets.'../x']\nkind = 'local'", "bucket name \"../x\""),
            ("[buckets.abc]\nkind = 'azure'", "buckets.abc: account must be"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains("pw"), "{error}");
        }
    }

    #[test]
    fn debug_and_dump_show_no_secret() {
        let settings = parse(
            "[default]\nkind = 's3'\naccess_key_id = 'AKID1'\nsecret_access_key = 'hunter2'\nsession_token = 'tok3'",
        )
        .unwrap();
        for shown in [format!("{settings:?}"), toml::to_string(&settings).unwrap()] {
            assert!(shown.contains("[redacted]"));
            assert!(!["AKID1", "hunter2", "tok3"].iter().any(|s| shown.contains(s)), "{shown}");
        }
    }

    #[test]
    fn time_grows_with_size() {
        let transport = TransportSettings::default();
        assert_eq!(transport.whole(0), Duration::from_secs(30));
        assert_eq!(transport.whole(8 << 20), Duration::from_secs(30 + 64));
        assert!(transport.whole(usize::MAX) > Duration::from_secs(30), "no overflow");
    }
}
