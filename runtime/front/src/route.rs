//! Which route a request takes: one table of paths and methods.

use http::Method;

use crate::error::{ApiError, Code};
use crate::lambda;

/// Methods of a function and of its shadow.
const FUNCTION_METHODS: &str = "GET, HEAD, PUT";
const SHADOW_METHODS: &str = "GET, HEAD, PUT, DELETE";

/// A route with the names in its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// `POST /`: AWS JSON by `X-Amz-Target`.
    Aws,
    /// The Lambda API, whose paths begin with a date; it has a table of its own.
    Lambda,
    /// `POST /v1/delivery-streams/{name}/records`.
    Ingest(&'a str),
    /// `GET /health/live`.
    Live,
    /// `GET /health/ready`.
    Ready,
    /// `GET /metrics`.
    Metrics,
    /// `GET /v1/status`, `GET /v1/status/{stream}`.
    Status(Option<&'a str>),
    /// `GET /v1/functions`.
    Functions,
    /// `GET /v1/functions/{name}`.
    Function(&'a str),
    /// `GET /v1/functions/{name}/logs`.
    Logs(&'a str),
    /// `POST /v1/functions/{name}/promote`.
    Promote(&'a str),
    /// `POST /v1/functions/{name}/rollback`.
    RollBack(&'a str),
    /// `GET /v1/functions/{name}/shadow`.
    Shadow(&'a str),
    /// `PUT /v1/functions/{name}/shadow`.
    SetShadow(&'a str),
    /// `DELETE /v1/functions/{name}/shadow`.
    EndShadow(&'a str),
    /// `PUT /v1/functions/{name}`.
    Deploy(&'a str),
    /// `POST /v1/functions/{name}/invoke`.
    Invoke(&'a str),
    /// `GET /v1/functions/{name}/code`.
    Code(&'a str),
    /// `GET /v1/schemas`.
    Schemas,
    /// `PUT /v1/schemas/{database}/{table}`.
    PutSchema(&'a str, &'a str),
}

impl<'a> Route<'a> {
    /// Finds it. Names are taken as they stand: none that is valid needs percent-encoding.
    ///
    /// # Errors
    /// `NotFound`, or `Method` with what the path has.
    pub(crate) fn find(method: &Method, path: &'a str) -> Result<Self, ApiError> {
        let segments: Vec<&str> = path.split('/').skip(1).take(6).collect();
        let (route, allowed) = match segments.as_slice() {
            [""] => (Self::Aws, "POST"),
            [date, ..] if lambda::is_lambda(date) => return Ok(Self::Lambda),
            ["health", "live"] => (Self::Live, "GET, HEAD"),
            ["health", "ready"] => (Self::Ready, "GET, HEAD"),
            ["metrics"] => (Self::Metrics, "GET, HEAD"),
            ["v1", "delivery-streams", name, "records"] => (Self::Ingest(name), "POST"),
            ["v1", "status"] => (Self::Status(None), "GET, HEAD"),
            ["v1", "status", stream] => (Self::Status(Some(stream)), "GET, HEAD"),
            ["v1", "functions"] => (Self::Functions, "GET, HEAD"),
            ["v1", "functions", name] => match *method {
                Method::GET | Method::HEAD => (Self::Function(name), FUNCTION_METHODS),
                _ => (Self::Deploy(name), FUNCTION_METHODS),
            },
            ["v1", "functions", name, "logs"] => (Self::Logs(name), "GET, HEAD"),
            ["v1", "functions", name, "promote"] => (Self::Promote(name), "POST"),
            ["v1", "functions", name, "rollback"] => (Self::RollBack(name), "POST"),
            ["v1", "functions", name, "shadow"] => match *method {
                Method::PUT => (Self::SetShadow(name), SHADOW_METHODS),
                Method::DELETE => (Self::EndShadow(name), SHADOW_METHODS),
                _ => (Self::Shadow(name), SHADOW_METHODS),
            },
            ["v1", "functions", name, "invoke"] => (Self::Invoke(name), "POST"),
            ["v1", "functions", name, "code"] => (Self::Code(name), "GET, HEAD"),
            ["v1", "schemas"] => (Self::Schemas, "GET, HEAD"),
            ["v1", "schemas", database, table] => (Self::PutSchema(database, table), "PUT"),
            _ => {
                let path: String = path.chars().take(100).collect();
                return Err(ApiError::new(
                    Code::NotFound,
                    format!("There is no route {path}: AWS clients send POST /, see docs/api.md for the others"),
                ));
            }
        };
        if allowed.split(", ").any(|name| name == method.as_str()) {
            return Ok(route);
        }
        let hint = if route == Self::Aws {
            " This is the Firehose API: point an AWS client here as its endpoint."
        } else {
            ""
        };
        Err(ApiError::new(Code::Method(allowed), format!("This route takes {allowed} only.{hint}")))
    }

    /// True when the route's own code judges the query.
    pub(crate) const fn has_query(self) -> bool {
        !matches!(
            self,
            Self::Aws
                | Self::Ingest(_)
                | Self::Live
                | Self::Ready
                | Self::Metrics
                | Self::Status(_)
                | Self::Functions
                | Self::Schemas
                | Self::PutSchema(..)
        )
    }

    /// A short name for the counters.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Lambda => "lambda",
            Self::Ingest(_) => "ingest",
            Self::Live | Self::Ready => "health",
            Self::Metrics => "metrics",
            Self::Status(_) => "status",
            Self::Functions
            | Self::Function(_)
            | Self::Logs(_)
            | Self::Promote(_)
            | Self::RollBack(_)
            | Self::Shadow(_)
            | Self::SetShadow(_)
            | Self::EndShadow(_)
            | Self::Deploy(_)
            | Self::Invoke(_)
            | Self::Code(_) => "functions",
            Self::Schemas | Self::PutSchema(..) => "schemas",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_table() {
        let table = [
            ("POST", "/", Route::Aws),
            ("POST", "/v1/delivery-streams/s/records", Route::Ingest("s")),
            ("GET", "/health/live", Route::Live),
            ("HEAD", "/health/ready", Route::Ready),
            ("GET", "/metrics", Route::Metrics),
            ("GET", "/v1/status", Route::Status(None)),
            ("GET", "/v1/status/s", Route::Status(Some("s"))),
            ("GET", "/v1/functions", Route::Functions),
            ("PUT", "/v1/functions/f", Route::Deploy("f")),
            ("GET", "/v1/functions/f", Route::Function("f")),
            ("GET", "/v1/functions/f/logs", Route::Logs("f")),
            ("POST", "/v1/functions/f/promote", Route::Promote("f")),
            ("POST", "/v1/functions/f/rollback", Route::RollBack("f")),
            ("GET", "/v1/functions/f/shadow", Route::Shadow("f")),
            ("PUT", "/v1/functions/f/shadow", Route::SetShadow("f")),
            ("DELETE", "/v1/functions/f/shadow", Route::EndShadow("f")),
            ("POST", "/v1/functions/f/invoke", Route::Invoke("f")),
            ("GET", "/v1/functions/f/code", Route::Code("f")),
            ("GET", "/v1/schemas", Route::Schemas),
            ("PUT", "/v1/schemas/d/t", Route::PutSchema("d", "t")),
        ];
        for (method, path, wanted) in table {
            let method: Method = method.parse().expect("a method");
            assert_eq!(Route::find(&method, path).expect(path), wanted);
            assert!(matches!(Route::find(&Method::PATCH, path).expect_err(path).code, Code::Method(_)));
        }
        assert_eq!(Route::find(&Method::DELETE, "/2015-03-31/whatever").expect("its own table"), Route::Lambda);
        for path in ["/x", "//", "/v1", "/v1/functions/a/b/c", "*", "/health/live/"] {
            assert_eq!(Route::find(&Method::GET, path).expect_err(path).code, Code::NotFound);
        }
    }
}
