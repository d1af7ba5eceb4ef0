//! From settings and credentials to a client of one bucket: S3, Azure Blob, Google Cloud Storage.

use std::sync::Arc;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::HttpClient;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, RetryConfig};

use crate::key::{self, Spelled};
use crate::settings::REGION_DEFAULT;
use crate::wire::Shared;
use crate::{AzureSettings, GcsSettings, Lookup, ObjectError, S3Settings, Secret};

/// The client of one bucket at a remote store.
pub(crate) enum Access {
    /// Any key: see [`Spelled`].
    S3 {
        /// Objects with ordinary keys.
        plain: Arc<AmazonS3>,
        /// Makes a client below another base URL; holds credentials.
        builder: Box<AmazonS3Builder>,
        /// URL of the bucket.
        base: String,
    },
    /// Keys without empty segments.
    Other(Arc<dyn ObjectStore>),
}

impl Access {
    /// The client and path under which `key` is stored exactly as it stands; `Err` says why not.
    pub(crate) fn find(&self, key: &str) -> Result<(Arc<dyn ObjectStore>, Path), String> {
        match (self, key::spell(key)?) {
            (Self::S3 { plain, .. }, Spelled::Plain(path)) => Ok((Arc::clone(plain) as _, path)),
            (Self::S3 { builder, base, .. }, Spelled::Below { head, rest }) => {
                let below = builder.as_ref().clone().with_endpoint(format!("{base}/{head}")).build();
                Ok((Arc::new(below.map_err(|_| "gives no URL")?), rest))
            }
            (Self::Other(store), Spelled::Plain(path)) => Ok((Arc::clone(store), path)),
            (Self::Other(_), Spelled::Below { .. }) => {
                Err("has an empty segment ('//' or a leading '/'), which this kind of store cannot be sent".to_owned())
            }
        }
    }
}

/// One attempt for each call: retries belong to the caller of `put`.
fn no_retry() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

/// Plain HTTP where the endpoint says so; nothing else is read from these by a shared client.
fn options(endpoint: Option<&str>) -> ClientOptions {
    ClientOptions::new().with_allow_http(endpoint.is_some_and(|e| e.starts_with("http://")))
}

fn resolve(secret: Option<&Secret>, setting: &'static str, lookup: &Lookup) -> Result<Option<String>, ObjectError> {
    secret.map(|secret| secret.resolve(setting, &**lookup)).transpose()
}

fn missing(setting: &'static str, why: &str) -> ObjectError {
    ObjectError::Secret { setting, why: why.to_owned() }
}

/// The server of an S3 store.
pub(crate) fn s3_endpoint(s3: &S3Settings) -> String {
    let region = s3.region.as_deref().unwrap_or(REGION_DEFAULT);
    let endpoint = s3.endpoint.clone().unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    endpoint.trim_end_matches('/').to_owned()
}

fn s3_base(s3: &S3Settings, bucket: &str) -> String {
    let endpoint = s3_endpoint(s3);
    match endpoint.split_once("://") {
        Some((scheme, rest)) if !s3.path_style => format!("{scheme}://{bucket}.{rest}"),
        _ => format!("{endpoint}/{bucket}"),
    }
}

/// A client of `bucket` at an S3 store.
pub(crate) fn s3(s3: &S3Settings, bucket: &str, http: HttpClient, lookup: &Lookup) -> Result<Access, ObjectError> {
    const HOW: &str = "is missing; set it, or MILLRACE_S3_ACCESS_KEY_ID and MILLRACE_S3_SECRET_ACCESS_KEY";
    let id = resolve(s3.access_key_id.as_ref(), "access_key_id", lookup)?;
    let secret = resolve(s3.secret_access_key.as_ref(), "secret_access_key", lookup)?;
    let token = resolve(s3.session_token.as_ref(), "session_token", lookup)?;
    let base = s3_base(s3, bucket);
    let mut builder = AmazonS3Builder::new()
        .with_access_key_id(id.ok_or_else(|| missing("access_key_id", HOW))?)
        .with_secret_access_key(secret.ok_or_else(|| missing("secret_access_key", HOW))?)
        .with_region(s3.region.as_deref().unwrap_or(REGION_DEFAULT))
        .with_bucket_name(bucket)
        // In this mode the URL is taken as it is, so both styles and odd keys are spelled here.
        .with_virtual_hosted_style_request(true)
        .with_endpoint(&base)
        .with_client_options(options(Some(&base)))
        .with_retry(no_retry())
        .with_http_connector(Shared(http));
    if let Some(token) = token {
        builder = builder.with_token(token);
    }
    let plain = builder.clone().build().map_err(|_| missing("endpoint", "cannot be used with these credentials"))?;
    Ok(Access::S3 { plain: Arc::new(plain), builder: Box::new(builder), base })
}

/// A client of a container at Azure.
pub(crate) fn azure(
    azure: &AzureSettings,
    container: &str,
    http: HttpClient,
    lookup: &Lookup,
) -> Result<Access, ObjectError> {
    let key = resolve(azure.access_key.as_ref(), "access_key", lookup)?;
    let sas = resolve(azure.sas_token.as_ref(), "sas_token", lookup)?;
    let client_secret = resolve(azure.client_secret.as_ref(), "client_secret", lookup)?;
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(&azure.account)
        .with_container_name(container)
        .with_client_options(options(azure.endpoint.as_deref()))
        .with_retry(no_retry())
        .with_http_connector(Shared(http));
    if let Some(endpoint) = &azure.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
    }
    builder = match (key, sas, (&azure.client_id, client_secret, &azure.tenant_id)) {
        (Some(key), None, (None, None, None)) => builder.with_access_key(key),
        (None, Some(sas), (None, None, None)) => builder.with_config(AzureConfigKey::SasKey, sas),
        (None, None, (Some(id), Some(secret), Some(tenant))) => {
            builder.with_client_secret_authorization(id, secret, tenant)
        }
        _ => {
            let why = "give exactly one of access_key, sas_token, and client_id with client_secret and tenant_id";
            return Err(missing("access_key", why));
        }
    };
    // The builder's own text may repeat a part of a credential.
    let store = builder
        .build()
        .map_err(|_| missing("access_key", "or another credential is not in the form that Azure gives"))?;
    Ok(Access::Other(Arc::new(store)))
}

/// A client of `bucket` at Google.
pub(crate) fn gcs(gcs: &GcsSettings, bucket: &str, http: HttpClient, lookup: &Lookup) -> Result<Access, ObjectError> {
    let account = resolve(gcs.service_account.as_ref(), "service_account", lookup)?;
    let bearer = resolve(gcs.bearer_token.as_ref(), "bearer_token", lookup)?;
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_client_options(options(gcs.endpoint.as_deref()))
        .with_retry(no_retry())
        .with_http_connector(Shared(http));
    if let Some(endpoint) = &gcs.endpoint {
        builder = builder.with_base_url(endpoint.trim_end_matches('/'));
    }
    builder = match (account, bearer) {
        (Some(account), None) => builder.with_service_account_key(account),
        (None, Some(bearer)) => builder.with_bearer_token(bearer),
        _ => return Err(missing("service_account", "give exactly one of service_account and bearer_token")),
    };
    let store = builder.build().map_err(|_| missing("service_account", "is not the JSON key of a service account"))?;
    Ok(Access::Other(Arc::new(store)))
}
