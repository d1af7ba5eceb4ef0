//! Functions that mean harm: a corpus of them against the real server, and canaries between tenants.

mod bombs;
mod canary;
mod corpus;
mod guests;
mod poison;
mod raw;
mod run;
mod world;
