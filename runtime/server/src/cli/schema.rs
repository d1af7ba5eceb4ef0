//! `millrace schema put|list`: tables that a stream's format conversion can name.

use std::path::PathBuf;

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::{Args, Subcommand};
use http::Method;

use super::functions::escape;
use super::{Endpoint, read_file};

/// Bytes of a definition.
const DEFINITION_BYTES_MAX: u64 = 1 << 20;

/// `millrace schema`.
#[derive(Debug, Args)]
pub(super) struct Schema {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    pub(super) endpoint: Endpoint,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Register a table, or its next version.
    Put {
        /// DATABASE.TABLE
        table: String,
        /// JSON: {"columns":[{"name":"a","type":"bigint"}, …]} with Hive types.
        file: PathBuf,
    },
    /// List registered tables.
    List,
}

impl Schema {
    pub(super) async fn run(self) -> Result<()> {
        let mut client = self.endpoint.connect().await?;
        match self.verb {
            Verb::Put { table, file } => {
                let (database, name) = table.split_once('.').context("name the table as DATABASE.TABLE")?;
                let definition = read_file(&file, DEFINITION_BYTES_MAX)?;
                let path = format!("/v1/schemas/{}/{}", escape(database), escape(name));
                let made = client.plain(Method::PUT, &path, Bytes::from(definition)).await?;
                println!("{table} version {} registered", made["version"]);
            }
            Verb::List => {
                let answer = client.plain(Method::GET, "/v1/schemas", Bytes::new()).await?;
                let tables = answer["tables"].as_array().cloned().unwrap_or_default();
                if tables.is_empty() {
                    let at = &self.endpoint.endpoint;
                    println!("no tables at {at}; register one: millrace schema put DATABASE.TABLE FILE");
                }
                for table in &tables {
                    let text = |name: &str| table[name].as_str().unwrap_or_default();
                    println!("{}.{} version {}", text("database"), text("name"), table["version"]);
                }
            }
        }
        Ok(())
    }
}
