//! Requests to hosts that the grant `http = ["api.example.com"]` names. Natively, in tests, what
//! [`stand_in`] was given answers them.

#[cfg(target_arch = "wasm32")]
use crate::guest::bindings::imports::millrace::transform::http as host;

/// A request: `Request::get("https://api.example.com/a").header("accept", "application/json").send()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// `https://host[:port]/path?query`, or `http://` where the grant says so.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, empty for none.
    pub body: Vec<u8>,
    /// Time for the whole exchange, milliseconds; never more than what the call has left.
    pub timeout_ms: Option<u32>,
}

/// An answer. Redirects are answers: the function decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A request of any method.
    pub fn new(method: &str, url: impl Into<String>) -> Self {
        Self { method: method.to_owned(), url: url.into(), headers: Vec::new(), body: Vec::new(), timeout_ms: None }
    }

    /// A `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A `POST` of `body`.
    pub fn post(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::new("POST", url) }
    }

    /// With one header more.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// With a bound on the whole exchange, milliseconds.
    #[must_use]
    pub fn timeout_ms(mut self, timeout_ms: u32) -> Self {
        self.timeout_ms = Some(timeout_ms);
        self
    }

    /// Sends it and waits for the answer.
    ///
    /// # Errors
    /// What the host says: a host that no grant names, no connection, no answer in time.
    pub fn send(self) -> Result<Response, String> {
        #[cfg(target_arch = "wasm32")]
        {
            let Self { method, url, headers, body, timeout_ms } = self;
            let answer = host::send(&host::Request { method, url, headers, body, timeout_ms })?;
            Ok(Response { status: answer.status, headers: answer.headers, body: answer.body })
        }
        #[cfg(not(target_arch = "wasm32"))]
        STAND_IN.with_borrow_mut(|answer| match answer {
            Some(answer) => answer(&self),
            None => Err("no host natively: give `http::stand_in` what answers".to_owned()),
        })
    }
}

impl Response {
    /// The first value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }
}

#[cfg(not(target_arch = "wasm32"))]
type Answer = Box<dyn FnMut(&Request) -> Result<Response, String>>;

#[cfg(not(target_arch = "wasm32"))]
thread_local! {
    static STAND_IN: std::cell::RefCell<Option<Answer>> = const { std::cell::RefCell::new(None) };
}

/// Sets what answers the requests of this thread, for tests.
#[cfg(not(target_arch = "wasm32"))]
pub fn stand_in(answer: impl FnMut(&Request) -> Result<Response, String> + 'static) {
    STAND_IN.set(Some(Box::new(answer)));
}
