//! The compiled guest examples that the tests deploy.

use std::path::PathBuf;

use anyhow::Context as _;
use bytes::Bytes;

/// The repository's root.
#[must_use]
pub fn tree() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().map_or_else(|| own.clone(), PathBuf::from)
}

/// The module of guest example `name`: from `MILLRACE_TEST_GUESTS`, else from where
/// `guest-examples/` builds it; a `.wat` file beside them is assembled by the server's own deploy.
///
/// # Errors
/// When it is not built, with the command that builds it.
pub fn module(name: &str) -> anyhow::Result<Bytes> {
    let folder = std::env::var_os("MILLRACE_TEST_GUESTS")
        .map_or_else(|| tree().join("guest-examples/target/wasm32-unknown-unknown/release"), PathBuf::from);
    let built = folder.join(format!("{}.wasm", name.replace('-', "_")));
    let bytes = std::fs::read(&built).with_context(|| {
        format!(
            "{} is not there: cd guest-examples && cargo build --release --target wasm32-unknown-unknown",
            built.display()
        )
    })?;
    Ok(bytes.into())
}
