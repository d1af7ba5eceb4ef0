//! The Firehose API, version 2015-08-04: one operation, one file; here they are listed and run.

pub(crate) mod create_delivery_stream;
pub(crate) mod delete_delivery_stream;
pub(crate) mod describe_delivery_stream;
pub(crate) mod list_delivery_streams;
pub(crate) mod list_tags_for_delivery_stream;
mod members;
mod put_record;
mod put_record_batch;
pub(crate) mod records;
#[cfg(test)]
mod records_tests;

use bytes::Bytes;
use millrace_catalog::{Error as CatalogError, NewStream};
use millrace_delivery::{AppendError, Appended, DeleteError};
use millrace_encode::key_id_of_arn;
use millrace_types::Batch;
use serde_json::{Value, json};

use crate::backend::Backend;
use crate::error::{ApiError, Code};
use crate::protocol::shape::Member;
use crate::protocol::tree::tree;
use crate::settings::{CONTROL_BODY_BYTES_MAX, PUT_BODY_BYTES_MAX};
use crate::shared::Shared;
use create_delivery_stream::Known;

/// `X-Amz-Target` before the dot.
pub(crate) const TARGET: &str = "Firehose_20150804";

/// An operation of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    CreateDeliveryStream,
    DeleteDeliveryStream,
    DescribeDeliveryStream,
    ListDeliveryStreams,
    ListTagsForDeliveryStream,
    PutRecord,
    PutRecordBatch,
}

/// Operations of the service that this version does not have, with what to do instead.
pub(crate) const MISSING: [(&str, &str); 5] = [
    ("UpdateDestination", "wait until nothing of the stream is pending, delete it and create it again"),
    ("TagDeliveryStream", "give the tags when the stream is created"),
    ("UntagDeliveryStream", "give the tags when the stream is created"),
    ("StartDeliveryStreamEncryption", "the destination's EncryptionConfiguration encrypts what is delivered"),
    ("StopDeliveryStreamEncryption", "there is no server-side encryption of a stream to stop"),
];

impl Operation {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::CreateDeliveryStream,
        Self::DeleteDeliveryStream,
        Self::DescribeDeliveryStream,
        Self::ListDeliveryStreams,
        Self::ListTagsForDeliveryStream,
        Self::PutRecord,
        Self::PutRecordBatch,
    ];

    /// Its name on the wire.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CreateDeliveryStream => "CreateDeliveryStream",
            Self::DeleteDeliveryStream => "DeleteDeliveryStream",
            Self::DescribeDeliveryStream => "DescribeDeliveryStream",
            Self::ListDeliveryStreams => "ListDeliveryStreams",
            Self::ListTagsForDeliveryStream => "ListTagsForDeliveryStream",
            Self::PutRecord => "PutRecord",
            Self::PutRecordBatch => "PutRecordBatch",
        }
    }

    /// Its members.
    pub(crate) fn members(self) -> &'static [Member] {
        match self {
            Self::CreateDeliveryStream => &create_delivery_stream::MEMBERS,
            Self::DeleteDeliveryStream => &delete_delivery_stream::MEMBERS,
            Self::DescribeDeliveryStream => &describe_delivery_stream::MEMBERS,
            Self::ListDeliveryStreams => &list_delivery_streams::MEMBERS,
            Self::ListTagsForDeliveryStream => &list_tags_for_delivery_stream::MEMBERS,
            Self::PutRecord => &put_record::MEMBERS,
            Self::PutRecordBatch => &put_record_batch::MEMBERS,
        }
    }

    /// Bytes of its body at most.
    pub(crate) const fn body_bytes_max(self) -> usize {
        match self {
            Self::PutRecord | Self::PutRecordBatch => PUT_BODY_BYTES_MAX,
            _ => CONTROL_BODY_BYTES_MAX,
        }
    }

    /// What a body over that limit is told.
    pub(crate) fn too_large(self) -> ApiError {
        match self {
            Self::PutRecordBatch => ApiError::invalid("Records size exceeds 4 MB limit"),
            Self::PutRecord => ApiError::validation(&[crate::protocol::shape::finding(
                "record.data",
                "Member must have length less than or equal to 1024000",
            )]),
            _ => ApiError::new(
                Code::TooLarge,
                format!("The body of {} is over {CONTROL_BODY_BYTES_MAX} bytes", self.name()),
            ),
        }
    }
}

/// The operation that the header names.
///
/// # Errors
/// `UnknownOperationException`; an operation of the service that is missing here is named.
pub(crate) fn operation(target: Option<&[u8]>) -> Result<Operation, ApiError> {
    let unknown = |message: String| ApiError::new(Code::UnknownOperation, message);
    let Some(target) = target else {
        return Err(unknown("The header X-Amz-Target is missing: it names the operation".to_owned()));
    };
    let target = String::from_utf8_lossy(target.get(..target.len().min(120)).unwrap_or_default());
    let Some((TARGET, name)) = target.split_once('.') else {
        return Err(unknown(format!("Millrace does not know the target {target}: it has {TARGET}.*")));
    };
    if let Some(found) = Operation::ALL.into_iter().find(|operation| operation.name() == name) {
        return Ok(found);
    }
    Err(unknown(match MISSING.iter().find(|(missing, _)| *missing == name) {
        Some((_, advice)) => format!("This version of Millrace does not have {name}: {advice}"),
        None => format!("Firehose has no operation {name}"),
    }))
}

/// Runs an operation whose caller is known. The answer is the body.
///
/// # Errors
/// As the operation says.
pub(crate) async fn run(shared: &Shared, operation: Operation, body: &[u8]) -> Result<Bytes, ApiError> {
    let backend = &*shared.backend;
    match operation {
        Operation::PutRecord => {
            let (name, batch) = put_record::parse(body, shared.clock.now_ms())?;
            Ok(put_record::answer(append(backend, &name, batch).await?).into())
        }
        Operation::PutRecordBatch => {
            let (name, batch) = put_record_batch::parse(body, shared.clock.now_ms())?;
            let count = batch.len();
            Ok(put_record_batch::answer(append(backend, &name, batch).await?, count).into())
        }
        Operation::ListDeliveryStreams => {
            Ok(text(&list_delivery_streams::answer(&tree(body)?, backend.names().into_iter())?))
        }
        Operation::DescribeDeliveryStream => {
            let request = tree(body)?;
            let (name, after) = describe_delivery_stream::parse(&request)?;
            let stream = backend.stream(name).ok_or_else(|| not_found(backend, name))?;
            Ok(text(&describe_delivery_stream::answer(&stream, after)))
        }
        Operation::ListTagsForDeliveryStream => {
            let request = tree(body)?;
            let name = list_tags_for_delivery_stream::parse(&request)?;
            let stream = backend.stream(name).ok_or_else(|| not_found(backend, name))?;
            Ok(text(&list_tags_for_delivery_stream::answer(&request, &stream)))
        }
        Operation::DeleteDeliveryStream => {
            let request = tree(body)?;
            let name = delete_delivery_stream::parse(&request)?;
            backend.delete(name).await.map_err(|error| delete_error(backend, name, &error))?;
            // Operations without output answer an empty body.
            Ok(Bytes::new())
        }
        Operation::CreateDeliveryStream => {
            let new = parse_create(shared, body).await?;
            let stream = backend.create(new).await.map_err(|error| create_error(backend, error))?;
            Ok(text(&json!({ "DeliveryStreamARN": stream.arn })))
        }
    }
}

async fn parse_create(shared: &Shared, body: &[u8]) -> Result<NewStream, ApiError> {
    let keys = shared.admin.key_ids().await;
    let known = Known {
        key: &|arn| key_id_of_arn(arn).is_some_and(|id| keys.iter().any(|key| key == id)),
        table: &|database, table, version| shared.backend.has_table(database, table, version),
    };
    create_delivery_stream::parse(&tree(body)?, &known)
}

/// Appends to a stream, and says in the service's words why it could not.
///
/// # Errors
/// `ResourceNotFoundException`, `ResourceInUseException`, `ServiceUnavailableException`.
pub(crate) async fn append(backend: &dyn Backend, name: &str, batch: Batch) -> Result<Appended, ApiError> {
    match backend.append(name, batch).await {
        None => Err(not_found(backend, name)),
        Some(Ok(appended)) => Ok(appended),
        Some(Err(AppendError::Deleting)) => Err(ApiError::slugged(
            Code::ResourceInUse,
            "stream.deleting",
            format!("Firehose {name} under account {} is being deleted.", backend.place().account_id),
        )),
        Some(Err(AppendError::Unavailable { slug, message })) => {
            Err(ApiError::slugged(Code::ServiceUnavailable, slug, format!("{message} ({slug})")))
        }
    }
}

fn text(value: &Value) -> Bytes {
    value.to_string().into()
}

/// No stream of that name, in the service's words.
pub(crate) fn not_found(backend: &dyn Backend, name: &str) -> ApiError {
    let account = &backend.place().account_id;
    ApiError::new(Code::ResourceNotFound, format!("Firehose {name} under account {account} not found."))
}

fn create_error(backend: &dyn Backend, error: CatalogError) -> ApiError {
    match error {
        CatalogError::StreamExists { name } => {
            let account = &backend.place().account_id;
            ApiError::slugged(
                Code::ResourceInUse,
                "stream.exists",
                format!("Firehose {name} under accountId {account} already exists"),
            )
        }
        CatalogError::Limit { .. } => ApiError::new(Code::LimitExceeded, error.to_string()),
        CatalogError::Closed => ApiError::new(Code::ServiceUnavailable, error.to_string()),
        other => {
            tracing::error!(error = &other as &dyn std::error::Error, "the catalog refused a stream");
            ApiError::slugged(Code::ServiceUnavailable, "catalog.storage", other.to_string())
        }
    }
}

fn delete_error(backend: &dyn Backend, name: &str, error: &DeleteError) -> ApiError {
    match error {
        DeleteError::NotFound => not_found(backend, name),
        DeleteError::InProgress => ApiError::slugged(
            Code::ResourceInUse,
            "stream.deleting",
            format!("Firehose {name} under account {} is being deleted.", backend.place().account_id),
        ),
        DeleteError::Storage(message) => {
            tracing::error!(stream = name, message, "a stream could not be deleted");
            ApiError::slugged(Code::ServiceUnavailable, "catalog.storage", message.clone())
        }
    }
}
