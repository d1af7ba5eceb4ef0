//! The Lambda API, version 2015-03-31, as REST with JSON.

pub(crate) mod backend;
pub(crate) mod backend_error;
