//! Where the record of an event goes: a function of this server, or a bucket.

use std::sync::Arc;

use millrace_catalog::{Place, QueuedEvent};
use millrace_sink::Object;

use super::record::timestamp;
use crate::error::chain;
use crate::{Error, Functions, Invocation};

/// Characters of a function's name and of a bucket's at most.
const NAME_CHARS_MAX: usize = 64;
const BUCKET_CHARS_MAX: usize = 255;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Destination {
    Function { name: String, qualifier: Option<String> },
    Bucket(String),
}

impl Destination {
    /// Reads an ARN at `place`; a sentence that names it when nothing can be sent there from here.
    pub(super) fn parse(arn: &str, place: &Place) -> Result<Self, String> {
        let is_name = |name: &str, max: usize, more: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
            (1..=max).contains(&name.len()) && name.chars().all(allowed)
        };
        if let Some(bucket) = arn.strip_prefix("arn:aws:s3:::") {
            return match is_name(bucket, BUCKET_CHARS_MAX, "._-") {
                true => Ok(Self::Bucket(bucket.to_owned())),
                false => Err(format!("the destination {arn} names no bucket: write arn:aws:s3:::NAME")),
            };
        }
        let parts: Vec<&str> = arn.split(':').collect();
        let (region, account, name, qualifier) = match parts.as_slice() {
            ["arn", "aws", "lambda", region, account, "function", name] => (*region, *account, *name, None),
            ["arn", "aws", "lambda", region, account, "function", name, qualifier] => {
                (*region, *account, *name, Some(*qualifier))
            }
            _ => {
                return Err(format!(
                    "the destination {arn} cannot be reached from here: name a function \
                     (arn:aws:lambda:…:function:NAME) or a bucket (arn:aws:s3:::NAME)"
                ));
            }
        };
        if (region, account) != (place.region.as_str(), place.account_id.as_str()) {
            return Err(format!(
                "the destination {arn} is of another region or account: functions here are \
                 arn:aws:lambda:{}:{}:function:NAME",
                place.region, place.account_id
            ));
        }
        let known = is_name(name, NAME_CHARS_MAX, "_-")
            && qualifier.is_none_or(|qualifier| qualifier == crate::LATEST || is_name(qualifier, 128, "_-"));
        if !known {
            return Err(format!("the destination {arn} names no function"));
        }
        Ok(Self::Function { name: name.to_owned(), qualifier: qualifier.map(str::to_owned) })
    }
}

impl Functions {
    /// Refuses what the records of a function's events cannot be sent to: what is not of this server, and the
    /// function itself, whose failures would feed on each other.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names it.
    pub fn check_destination(&self, function: &str, arn: &str) -> Result<(), Error> {
        let invalid = |text| Error::invalid("function.destination", text);
        match Destination::parse(arn, self.catalog.place()).map_err(invalid)? {
            Destination::Function { name, .. } if name == function => {
                Err(invalid(format!("the destination {arn} is the function itself: name another one, or a bucket")))
            }
            _ => Ok(()),
        }
    }

    /// Gives the record of an event that has ended to its destination.
    pub(super) async fn send(
        self: &Arc<Self>,
        destination: &str,
        event: &QueuedEvent,
        record: String,
    ) -> Result<(), String> {
        match Destination::parse(destination, self.catalog.place())? {
            Destination::Function { name, qualifier } => {
                let invocation = Invocation {
                    name,
                    qualifier,
                    payload: record.into_bytes(),
                    request_id: self.entropy.uuid(),
                    client_context: None,
                };
                self.accept(invocation, event.hops + 1).await.map_err(|error| chain(&error))
            }
            Destination::Bucket(bucket) => {
                // The same at each attempt: one whose answer was lost has written this object, and no other.
                let key = format!(
                    "aws/lambda/async/{}/{}-{}",
                    event.function,
                    timestamp(event.ended_ms.unwrap_or(event.accepted_ms), "%Y/%m/%d/%Y-%m-%dT%H.%M.%S"),
                    event.request_id
                );
                let sink = self.buckets.open(&bucket).map_err(|error| error.to_string())?;
                let object = Object {
                    key,
                    content: Arc::new(bytes::Bytes::from(record.into_bytes())),
                    content_type: "application/json",
                    content_encoding: None,
                    metadata: Vec::new(),
                };
                sink.put(&object).await.map(drop).map_err(|error| error.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_functions_of_this_server_and_buckets() {
        let place = Place { region: "us-east-1".to_owned(), account_id: "000000000000".to_owned() };
        let parse = |arn: &str| Destination::parse(arn, &place);
        assert_eq!(parse("arn:aws:s3:::b"), Ok(Destination::Bucket("b".to_owned())));
        let wanted = |qualifier: Option<&str>| {
            Ok(Destination::Function { name: "f".to_owned(), qualifier: qualifier.map(str::to_owned) })
        };
        assert_eq!(parse("arn:aws:lambda:us-east-1:000000000000:function:f"), wanted(None));
        assert_eq!(parse("arn:aws:lambda:us-east-1:000000000000:function:f:live"), wanted(Some("live")));
        assert_eq!(parse("arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST"), wanted(Some("$LATEST")));
        for (arn, why) in [
            ("arn:aws:sqs:us-east-1:1:q", "cannot be reached from here"),
            ("arn:aws:s3:::", "names no bucket"),
            ("arn:aws:s3:::b/key", "names no bucket"),
            ("arn:aws:lambda:eu-west-1:000000000000:function:f", "of another region or account"),
            ("arn:aws:lambda:us-east-1:111111111111:function:f", "of another region or account"),
            ("arn:aws:lambda:us-east-1:000000000000:function:", "names no function"),
            ("arn:aws:lambda:us-east-1:000000000000:function:f:", "names no function"),
        ] {
            let refused = parse(arn).expect_err(arn);
            assert!(refused.contains(arn) && refused.contains(why), "{refused}");
        }
    }
}
