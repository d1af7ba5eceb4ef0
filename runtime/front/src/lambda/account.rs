//! `GetAccountSettings`.

use serde_json::{Value, json};

use super::Call;
use super::package::PACKAGE_BYTES_MAX;
use crate::settings::MODULE_BYTES_MAX;

pub(super) fn get(call: &Call<'_>) -> Value {
    let account = call.backend().account();
    json!({
        "AccountLimit": {
            "TotalCodeSize": account.code_bytes_max,
            "CodeSizeUnzipped": MODULE_BYTES_MAX,
            "CodeSizeZipped": PACKAGE_BYTES_MAX,
            "ConcurrentExecutions": account.concurrency_max,
            "UnreservedConcurrentExecutions": account.concurrency_unreserved,
        },
        "AccountUsage": { "TotalCodeSize": account.code_bytes, "FunctionCount": account.functions },
    })
}
