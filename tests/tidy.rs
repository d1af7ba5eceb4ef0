//! The house rules as tests: layers, wrappers, lints, file sizes, first lines, dead files, strays, fuzz targets.
//!
//! Each rule is a function from facts to complaints; each is also run on a planted sample, so that a
//! rule which sees nothing any more fails.

#[path = "tidy/crates.rs"]
mod crates;
#[path = "tidy/fuzz.rs"]
mod fuzz;
#[path = "tidy/sources.rs"]
mod sources;
#[path = "tidy/tree.rs"]
mod tree;

/// Fails with all complaints at once.
fn assert_clean(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
