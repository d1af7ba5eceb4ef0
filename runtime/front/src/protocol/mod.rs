//! What the AWS protocols have in common: members and their constraints, checked from tables.

pub(crate) mod json;
pub(crate) mod member;
pub(crate) mod patterns;
pub(crate) mod shape;
pub(crate) mod tree;
pub(crate) mod view;
