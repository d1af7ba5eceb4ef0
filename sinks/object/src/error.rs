//! What can be wrong with the settings, before any object is sent.

use std::path::PathBuf;

/// Unusable settings. The text names the setting, never its secret value.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// A bucket name that cannot be a folder or a host name.
    #[error("bucket name {name:?} {why}; use 3 to 63 letters, digits, '.', '-' and '_'")]
    BucketName {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A setting with an unusable value.
    #[error("{store}: {setting} {why}")]
    Setting {
        /// The table of the settings: `default` or `buckets.NAME`.
        store: String,
        /// The option.
        setting: &'static str,
        /// What is wrong and what to do.
        why: String,
    },
    /// A credential that could not be had.
    #[error("{setting}: {why}")]
    Secret {
        /// The option.
        setting: &'static str,
        /// What is wrong and what to do.
        why: String,
    },
    /// The folder of the local buckets cannot be made or read.
    #[error("the folder {} cannot be used", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl ObjectError {
    /// A stable name of the condition, for users.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BucketName { .. } => "InvalidBucketName",
            Self::Secret { .. } => "InvalidCredentials",
            Self::Setting { .. } | Self::Folder { .. } => "InvalidSettings",
        }
    }
}
