//! Names that the server does not know: the error says the user's own spelling and the nearest name
//! that there is.

use anyhow::{Error, Result};
use bytes::Bytes;
use http::Method;
use serde_json::Value;

use crate::client::Client;
use crate::named::Named;
use crate::settings::nearest;

/// One kind of things that have names.
pub(super) struct Kind {
    /// What one is called.
    what: &'static str,
    /// Name of the error when there is none of that name.
    slug: &'static str,
    /// Route that lists all, and the member of its answer that holds them.
    list: (&'static str, &'static str),
    /// Command that lists all.
    command: &'static str,
}

pub(super) const STREAM: Kind = Kind {
    what: "delivery stream",
    slug: "stream.unknown",
    list: ("/v1/status", "streams"),
    command: "millrace status",
};
pub(super) const FUNCTION: Kind = Kind {
    what: "function",
    slug: "function.unknown",
    list: ("/v1/functions", "functions"),
    command: "millrace functions",
};

impl Kind {
    /// The answer of a request about `name`; an unknown name is told with the nearest one.
    pub(super) async fn answer(&self, client: &mut Client, name: &str, answer: Result<Value>) -> Result<Value> {
        let error = match answer {
            Err(error) if error.downcast_ref::<Named>().is_some_and(|e| e.slug() == self.slug) => error,
            other => return other,
        };
        // Without the list the server's own words must do.
        let Ok(all) = client.plain(Method::GET, self.list.0, Bytes::new()).await else { return Err(error) };
        let all = all[self.list.1].as_array().into_iter().flatten().filter_map(|one| one["name"].as_str());
        Err(self.unknown(name, &all.collect::<Vec<_>>(), error))
    }

    /// The error for `name`, where there are `all`. When it is one of them (then its version is what there is
    /// not), `error` says it already.
    fn unknown(&self, name: &str, all: &[&str], error: Error) -> Error {
        if all.contains(&name) {
            return error;
        }
        let near = match nearest(name, all.iter().copied()) {
            none if none.is_empty() => format!("; `{}` lists all", self.command),
            near => near,
        };
        Named::new(self.slug, format!("no {} {name}{near}", self.what)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_leads_to_the_nearest() {
        let said = |kind: &Kind, name: &str, all: &[&str]| {
            let servers: Error = Named::new(kind.slug, "in the server's words").into();
            let error = kind.unknown(name, all, servers);
            assert_eq!(error.downcast_ref::<Named>().map(Named::slug), Some(kind.slug));
            error.to_string()
        };
        let all = ["flights", "flights", "identity"];
        assert_eq!(said(&FUNCTION, "flihgts", &all), "no function flihgts; did you mean flights?");
        assert_eq!(said(&STREAM, "../x", &all), "no delivery stream ../x; `millrace status` lists all");
        assert_eq!(said(&FUNCTION, "x", &[]), "no function x; `millrace functions` lists all");
        assert_eq!(said(&FUNCTION, "flights", &all), "in the server's words", "a version that is not there");
    }
}
