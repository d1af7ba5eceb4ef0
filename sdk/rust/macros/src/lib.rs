//! The attributes `#[millrace_sdk::transform]` and `#[millrace_sdk::handler]`; see `millrace-sdk`.

mod handler;
mod signature;
mod transform;

use proc_macro::TokenStream;
use syn::{ItemFn, parse_macro_input};

/// Makes a function the module's `transform`. It has one of three forms:
///
/// - `fn f(record: Record) -> Outcome` (or `-> Result<Outcome, E>` with `E: Display`), called for
///   each record; an error fails the record;
/// - `fn f(record: T) -> Result<U, E>`, the same over JSON, with a `T` that serde reads and a `U`
///   that it writes, or an `Outcome`; a record that is not a `T` fails;
/// - `fn f(batch: &Batch, out: &mut Output) -> Result<(), E>` with `E: Display`, called for the
///   batch; an error fails the whole of it, and the host tries again.
#[proc_macro_attribute]
pub fn transform(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    transform::expand(&arguments.into(), &function).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a function the module's `handle`. It has one of two forms, each with or without
/// `context: &Context` behind the event:
///
/// - `fn f(event: &[u8]) -> Result<Vec<u8>, E>` with `E: Display`: the event as it came;
/// - `fn f(event: T) -> Result<U, E>` with a `T` that serde reads and a `U` that it writes: JSON.
#[proc_macro_attribute]
pub fn handler(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    handler::expand(&arguments.into(), &function).unwrap_or_else(syn::Error::into_compile_error).into()
}
