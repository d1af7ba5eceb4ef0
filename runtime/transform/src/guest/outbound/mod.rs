//! Interface `http`: requests to hosts that a grant names. Where a request may go and how it travels is
//! decided behind [`Outbound`]; here the bounds of one call are kept. Method and
//! URL count among the bytes of the headers.

use std::time::Duration;

use millrace_outbound::{HEADER_BYTES_MAX, HEADERS_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};
pub use millrace_outbound::{OutboundRequest, OutboundResponse};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList, WasmStr};

use super::Guest;
use crate::abi::{self, RawRequest, RawResponse};

/// Requests that one call may send.
pub(crate) const REQUESTS_MAX: u32 = 50;

/// Sends requests of functions. Called on the worker thread, which it blocks.
pub trait Outbound: Send + Sync {
    /// Sends `request` and waits for the whole answer, for `timeout` at most. Which hosts a function was granted is
    /// known here and nowhere else: a host that is none of them, or whose address is not to be reached, is refused.
    ///
    /// # Errors
    /// A sentence for the function.
    fn send(&self, request: OutboundRequest, timeout: Duration) -> Result<OutboundResponse, String>;
}

/// Gives `linker` the interface. A module that imports it needs a grant to be deployed.
pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.instance(abi::HTTP)?.func_wrap("send", |mut store: StoreContextMut<'_, Guest>, (raw,): (RawRequest,)| {
        store.data_mut().count()?;
        let wanted = raw.timeout_ms.map(|ms| Duration::from_millis(u64::from(ms)));
        let request = read(&mut store, &raw)?;
        Ok((request.and_then(|request| store.data_mut().send(request, wanted)),))
    })
}

/// Copies a request out of the guest, when it is within its bounds.
fn read(store: &mut StoreContextMut<'_, Guest>, raw: &RawRequest) -> wasmtime::Result<Result<OutboundRequest, String>> {
    if raw.headers.len() > HEADERS_MAX {
        return Ok(Err(format!("a request has at most {HEADERS_MAX} headers")));
    }
    if raw.body.len() > REQUEST_BYTES_MAX {
        return Ok(Err(format!("the body of a request has at most {REQUEST_BYTES_MAX} bytes")));
    }
    let pairs: Vec<(WasmStr, WasmList<u8>)> = raw.headers.iter(&mut *store)?.collect::<wasmtime::Result<_>>()?;
    let (method, url) = (raw.method.to_str(&*store)?, raw.url.to_str(&*store)?);
    let mut head_bytes = method.len() + url.len();
    let mut headers = Vec::with_capacity(pairs.len());
    for (name, value) in &pairs {
        let (name, value) = (name.to_str(&*store)?, value.as_le_slice(&*store));
        head_bytes += name.len() + value.len();
        if head_bytes > HEADER_BYTES_MAX {
            break;
        }
        headers.push((name.into_owned(), value.to_vec()));
    }
    if head_bytes > HEADER_BYTES_MAX {
        return Ok(Err(format!("method, URL and headers of a request have at most {HEADER_BYTES_MAX} bytes")));
    }
    let body = raw.body.as_le_slice(&*store).to_vec();
    Ok(Ok(OutboundRequest { method: method.into_owned(), url: url.into_owned(), headers, body }))
}

impl Guest {
    fn send(&mut self, request: OutboundRequest, wanted: Option<Duration>) -> Result<RawResponse, String> {
        let left = self.left();
        let Some(http) = &self.shared.http else { return Err("http was not granted to this function".to_owned()) };
        if self.http_requests == REQUESTS_MAX {
            return Err(format!("one call sends at most {REQUESTS_MAX} requests"));
        }
        self.http_requests += 1;
        if left.is_zero() {
            return Err("the call has no time left".to_owned());
        }
        let timeout = wanted.map_or(left, |wanted| wanted.min(left));
        let OutboundResponse { status, headers, body } = http.send(request, timeout)?;
        let head_bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if headers.len() > HEADERS_MAX || head_bytes > HEADER_BYTES_MAX {
            return Err(format!("the answer has more than {HEADERS_MAX} headers or {HEADER_BYTES_MAX} bytes of them"));
        }
        if body.len() > RESPONSE_BYTES_MAX {
            return Err(format!("the answer's body has more than {RESPONSE_BYTES_MAX} bytes"));
        }
        Ok(RawResponse { status, headers, body })
    }
}
