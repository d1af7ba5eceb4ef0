//! The code of `#[millrace_sdk::transform]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemFn};

use crate::signature;

pub(crate) fn expand(arguments: &TokenStream, function: &ItemFn) -> Result<TokenStream, Error> {
    signature::check("transform", arguments, function)?;
    let name = &function.sig.ident;
    let call = match function.sig.inputs.len() {
        1 => {
            check_record(function)?;
            quote! { ::millrace_sdk::guest::each(batch, out, #name) }
        }
        2 => quote! { #name(batch, out).map_err(|error| ::std::string::ToString::to_string(&error)) },
        _ => {
            let text = "a transform takes one record, `(record: Record)` or `(record: T)` with a `T` that serde \
                        reads, or a batch, `(batch: &Batch, out: &mut Output)`";
            return Err(Error::new(name.span(), text));
        }
    };
    Ok(quote! {
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
            type Exported = ::millrace_sdk::guest::ExportedTransform<Transform>;
            impl ::millrace_sdk::guest::Transform for Transform {
                fn transform(
                    batch: &::millrace_sdk::Batch,
                    out: &mut ::millrace_sdk::Output,
                ) -> ::std::result::Result<(), ::std::string::String> {
                    #call
                }
            }
            ::millrace_sdk::guest::bindings::transform::export!(
                Exported with_types_in ::millrace_sdk::guest::bindings::transform
            );
        };
    })
}

/// Refuses spellings that compile and do not do what they seem to.
fn check_record(function: &ItemFn) -> Result<(), Error> {
    if let Some(record) = signature::argument(function, 0).filter(|ty| signature::is_raw(ty)) {
        let text = "a transform takes `Record`, whose `bytes()` and `text()` are the record as it came; a type that \
                    serde reads is read from the record's JSON";
        return Err(Error::new_spanned(record, text));
    }
    let Some(answer) = signature::result(function) else { return Ok(()) };
    if signature::is_raw(answer) {
        let text = "bytes and text go on by `Outcome::changed(…)`: answer an `Outcome`; a type that serde writes \
                    becomes JSON";
        return Err(Error::new_spanned(answer, text));
    }
    if signature::is_named(answer, "Option") {
        let text = "nothing to go on is `Outcome::dropped()`: answer an `Outcome`, and `Outcome::json(…)` for the rest";
        return Err(Error::new_spanned(answer, text));
    }
    Ok(())
}
