//! Functions that mean harm: a corpus of them against the real server.

mod corpus;
mod guests;
mod poison;
mod run;
mod world;
