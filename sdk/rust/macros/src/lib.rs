//! The attribute `#[millrace_sdk::transform]`; see `millrace-sdk`.

use proc_macro::TokenStream;
use quote::quote;
use syn::{ItemFn, parse_macro_input};

/// Makes a function the module's `transform`. It has one of two forms:
///
/// - `fn f(record: Record) -> Outcome` (or `-> Result<Outcome, E>` with `E: Display`), called for
///   each record; an error fails the record;
/// - `fn f(batch: &Batch, out: &mut Output) -> Result<(), E>` with `E: Display`, called for the
///   batch; an error fails the whole of it, and the host tries again.
#[proc_macro_attribute]
pub fn transform(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if !arguments.is_empty() {
        return error(proc_macro2::Span::call_site(), "`transform` takes no arguments");
    }
    let function = parse_macro_input!(item as ItemFn);
    let name = &function.sig.ident;
    let call = match function.sig.inputs.len() {
        1 => quote! { ::millrace_sdk::guest::each(batch, out, #name) },
        2 => quote! { #name(batch, out).map_err(|error| ::std::string::ToString::to_string(&error)) },
        _ => {
            return error(
                name.span(),
                "a transform takes one record, `(record: Record)`, or a batch, `(batch: &Batch, out: &mut Output)`",
            );
        }
    };
    if let Some(token) = &function.sig.asyncness {
        return error(token.span, "a transform is not async: the host runs it on a thread of its own");
    }
    quote! {
        #function

        // Natively, for tests, it is a plain function whose type is checked.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn(
            &::millrace_sdk::Batch,
            &mut ::millrace_sdk::Output,
        ) -> ::std::result::Result<(), ::std::string::String> = |batch, out| #call;

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Transform;
            type Exported = ::millrace_sdk::guest::Exported<Transform>;
            impl ::millrace_sdk::guest::Transform for Transform {
                fn transform(
                    batch: &::millrace_sdk::Batch,
                    out: &mut ::millrace_sdk::Output,
                ) -> ::std::result::Result<(), ::std::string::String> {
                    #call
                }
            }
            ::millrace_sdk::guest::bindings::export!(Exported with_types_in ::millrace_sdk::guest::bindings);
        };
    }
    .into()
}

fn error(span: proc_macro2::Span, text: &str) -> TokenStream {
    syn::Error::new(span, text).to_compile_error().into()
}
