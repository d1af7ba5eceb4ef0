//! Shapes that several operations' tables share (service model 2015-08-04).

use crate::protocol::patterns;
use crate::protocol::shape::Shape;

pub(crate) use crate::protocol::member::{only, optional, refused, required, shown, text};

/// `DeliveryStreamName`.
pub(crate) const STREAM_NAME: Shape = Shape::Text { length: (1, 64), pattern: Some(&patterns::STREAM_NAME) };
/// `RoleARN`.
pub(crate) const ROLE_ARN: Shape = Shape::Text { length: (1, 512), pattern: Some(&patterns::ROLE_ARN) };
/// `DeliveryStreamType`.
pub(crate) const STREAM_TYPE: Shape =
    Shape::Enum { values: &["DirectPut", "KinesisStreamAsSource", "MSKAsSource", "DatabaseAsSource"], extensions: &[] };
/// Strings without white space, 1–1024.
pub(crate) const NO_SPACE: Shape = text(1, 1024, &patterns::NO_SPACE);
/// Strings that are not blank, 1–1024.
pub(crate) const NOT_BLANK: Shape = text(1, 1024, &patterns::NOT_BLANK);
