//! The code of `#[millrace_sdk::handler]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemFn};

use crate::signature;

pub(crate) fn expand(arguments: &TokenStream, function: &ItemFn) -> Result<TokenStream, Error> {
    signature::check("handler", arguments, function)?;
    let name = &function.sig.ident;
    let inputs = function.sig.inputs.len();
    let Some(event) = signature::argument(function, 0).filter(|_| inputs <= 2) else {
        let text = "a handler takes an event, `(event: &[u8])` or `(event: T)` with a `T` that serde reads, and \
                    `context: &Context` behind it if it wants";
        return Err(Error::new(name.span(), text));
    };
    // Who does not take the context does not import it.
    let function_of_event = match inputs {
        1 => quote! { |event| #name(event) },
        _ => quote! { |event| #name(event, &::millrace_sdk::context()) },
    };
    let way = if signature::is_bytes(event) {
        quote! { bytes }
    } else {
        quote! { json }
    };
    let call = quote! { ::millrace_sdk::guest::#way(event, #function_of_event) };
    Ok(quote! {
        #function

        // Natively, for tests, it is a plain function whose type is checked.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn(&[u8]) -> ::std::result::Result<::std::vec::Vec<u8>, ::std::string::String> = |event| #call;

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Handler;
            type Exported = ::millrace_sdk::guest::ExportedHandler<Handler>;
            impl ::millrace_sdk::guest::Handler for Handler {
                fn handle(event: &[u8]) -> ::std::result::Result<::std::vec::Vec<u8>, ::std::string::String> {
                    #call
                }
            }
            ::millrace_sdk::guest::bindings::handler::export!(
                Exported with_types_in ::millrace_sdk::guest::bindings::handler
            );
        };
    })
}
