//! One bucket at a remote store: one PUT, or equal parts for what is larger; then its length is asked for.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use millrace_sink::{Content, Object, Sink, SinkError, Stored};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, GetOptions, MultipartUpload, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
};

use crate::access::Access;
use crate::classify::{self, Place};

/// Largest object in bytes that is sent as one PUT, from memory.
const WHOLE_BYTES_MAX: u64 = 16 << 20;
/// Bytes of every part but the last. S3 takes 10,000 parts: objects up to 78 GiB.
const PART_BYTES: usize = 8 << 20;
/// Parts on their way at once: what an object costs in memory is this many times [`PART_BYTES`].
const PARTS_AT_ONCE: usize = 2;

#[cfg(test)]
mod tests;

/// One bucket at a remote store.
pub(crate) struct Remote {
    access: Access,
    bucket: String,
    location: String,
    verify_length: bool,
    /// The store has refused the credentials: a new client, with fresh ones, is to be made.
    stale: AtomicBool,
}

/// Credentials are in `access`.
impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("location", &self.location).finish_non_exhaustive()
    }
}

/// An attempt that failed.
enum Failure {
    /// Reading our own bytes.
    Content(std::io::Error),
    /// The store.
    Store(object_store::Error),
}

impl From<object_store::Error> for Failure {
    fn from(error: object_store::Error) -> Self {
        Self::Store(error)
    }
}

impl Remote {
    /// `location` is for people: `s3://bucket at http://host`.
    pub(crate) fn new(access: Access, bucket: &str, location: String, verify_length: bool) -> Self {
        Self { access, bucket: bucket.to_owned(), location, verify_length, stale: AtomicBool::new(false) }
    }

    /// True once the store has refused the credentials.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Relaxed)
    }

    /// The store and the path of a key.
    pub(crate) fn find(&self, key: &str) -> Result<(std::sync::Arc<dyn ObjectStore>, Path), String> {
        self.access.find(key)
    }

    /// What a read has failed of.
    pub(crate) fn explain_read(&self, error: &object_store::Error, key: &str) -> SinkError {
        let error = classify::explain(error, self.place(key));
        if classify::is_about_credentials(&error.code) {
            self.stale.store(true, Ordering::Relaxed);
        }
        error
    }

    fn place<'a>(&'a self, key: &'a str) -> Place<'a> {
        Place { bucket: &self.bucket, key, location: &self.location }
    }

    fn explain(&self, failure: Failure, key: &str) -> SinkError {
        match failure {
            Failure::Content(error) => {
                let what = format!("its bytes could not be read: {error}");
                SinkError::retry("ContentUnreadable", self.place(key).say(&what, "it is tried again"))
            }
            Failure::Store(error) => {
                let error = classify::explain(&error, self.place(key));
                if classify::is_about_credentials(&error.code) {
                    self.stale.store(true, Ordering::Relaxed);
                }
                error
            }
        }
    }

    /// A store that answers 200 may still hold nothing, or a part.
    async fn verify(&self, store: &dyn ObjectStore, path: &Path, key: &str, sent: u64) -> Result<(), SinkError> {
        let head = GetOptions { head: true, ..GetOptions::default() };
        let found = match store.get_opts(path, head).await {
            Ok(found) => found.meta.size,
            Err(error) => {
                let mut error = self.explain(Failure::Store(error), key);
                match error.code.as_str() {
                    "NotFound" => {
                        let what = "the store answered the put with success and does not have the object";
                        error = SinkError::retry("NotStored", self.place(key).say(what, "it is put again"));
                    }
                    "AccessDenied" => error.message.push_str(
                        "; it was put, but its length could not be asked for: transport.verify_length = false goes without",
                    ),
                    _ => {}
                }
                return Err(error);
            }
        };
        if found == sent {
            return Ok(());
        }
        let what = format!("{sent} bytes were sent and acknowledged, {found} are stored");
        Err(SinkError::retry("LengthMismatch", self.place(key).say(&what, "it is put again")))
    }
}

#[async_trait]
impl Sink for Remote {
    async fn put(&self, object: &Object) -> Result<Stored, SinkError> {
        let refuse = |code: &str, what: String| {
            SinkError::operator(code, self.place(&object.key).say(&what, "change the prefix of the delivery stream"))
        };
        let (store, path) =
            self.access.find(&object.key).map_err(|why| refuse("UnsupportedKey", format!("the key {why}")))?;
        let attributes = attributes(object).map_err(|why| refuse("InvalidMetadata", why))?;
        let length = object.content.len();
        let put = if length <= WHOLE_BYTES_MAX {
            put_whole(&*store, &path, &*object.content, attributes).await
        } else {
            put_parts(&*store, &path, &*object.content, attributes).await
        };
        let etag = put.map_err(|failure| self.explain(failure, &object.key))?;
        if self.verify_length {
            self.verify(&*store, &path, &object.key, length).await?;
        }
        Ok(Stored { etag })
    }

    fn location(&self) -> String {
        self.location.clone()
    }
}

/// Headers of the object. What a header cannot hold is refused here: `object_store` would panic.
fn attributes(object: &Object) -> Result<Attributes, String> {
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::ContentType, object.content_type.into());
    if let Some(encoding) = object.content_encoding {
        attributes.insert(Attribute::ContentEncoding, encoding.into());
    }
    for (name, value) in &object.metadata {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            return Err(format!("the metadata name {name:?} cannot be a header"));
        }
        if !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Err(format!("the metadata value of {name:?} cannot be a header"));
        }
        attributes.insert(Attribute::Metadata(name.clone().into()), value.clone().into());
    }
    Ok(attributes)
}

async fn put_whole(
    store: &dyn ObjectStore,
    path: &Path,
    content: &dyn Content,
    attributes: Attributes,
) -> Result<Option<String>, Failure> {
    // At most `WHOLE_BYTES_MAX`, so it fits.
    let bytes = content.read(0, content.len() as usize).await.map_err(Failure::Content)?;
    let options = PutOptions { attributes, ..PutOptions::default() };
    Ok(store.put_opts(path, PutPayload::from(bytes), options).await?.e_tag)
}

async fn put_parts(
    store: &dyn ObjectStore,
    path: &Path,
    content: &dyn Content,
    attributes: Attributes,
) -> Result<Option<String>, Failure> {
    let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
    let mut upload = store.put_multipart_opts(path, options).await?;
    match send_parts(&mut *upload, content).await {
        Ok(etag) => Ok(etag),
        Err(failure) => {
            // Its parts would lie about and cost until someone looks for them.
            if let Err(error) = upload.abort().await {
                tracing::debug!(%path, %error, "an upload in parts could not be aborted");
            }
            Err(failure)
        }
    }
}

async fn send_parts(upload: &mut dyn MultipartUpload, content: &dyn Content) -> Result<Option<String>, Failure> {
    let length = content.len();
    let mut sending = FuturesUnordered::new();
    let mut offset = 0;
    while offset < length {
        if sending.len() == PARTS_AT_ONCE {
            sending.next().await.transpose()?;
        }
        let part = PART_BYTES.min(usize::try_from(length - offset).unwrap_or(PART_BYTES));
        let bytes = content.read(offset, part).await.map_err(Failure::Content)?;
        sending.push(upload.put_part(PutPayload::from(bytes)));
        offset += part as u64;
    }
    while let Some(sent) = sending.next().await {
        sent?;
    }
    Ok(upload.complete().await?.e_tag)
}
