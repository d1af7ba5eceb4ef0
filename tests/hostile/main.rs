//! Functions that mean harm: a corpus of them against the real server, canaries between tenants, and every import
//! that links.

mod bombs;
mod bystander;
mod canary;
mod corpus;
mod document;
mod guests;
mod imports;
mod poison;
mod raw;
mod run;
mod world;
