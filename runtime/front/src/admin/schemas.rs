//! `/v1/schemas`: tables for format conversion.

use serde_json::{Value, json};

use super::Admin;
use super::functions::to_json;
use crate::error::ApiError;

/// Letters of a database's or a table's name.
const NAME_CHARS_MAX: usize = 255;

/// `PUT /v1/schemas/{database}/{table}`: the body is the definition.
pub(crate) async fn put(
    admin: &dyn Admin,
    database: &str,
    table: &str,
    definition: Vec<u8>,
) -> Result<Value, ApiError> {
    for name in [database, table] {
        let good = (1..=NAME_CHARS_MAX).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        if !good {
            return Err(ApiError::invalid(format!(
                "a database's or table's name is 1 to {NAME_CHARS_MAX} of a-z, A-Z, 0-9, _, - and ."
            )));
        }
    }
    let definition =
        String::from_utf8(definition).map_err(|_| ApiError::invalid("the table's definition is not UTF-8"))?;
    to_json(&*admin.put_table(database, table, definition).await?)
}

/// `GET /v1/schemas`.
pub(crate) fn list(admin: &dyn Admin) -> Result<Value, ApiError> {
    let tables = admin.tables().iter().map(|t| to_json(&**t)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "tables": tables }))
}
