//! What the attributes read of a function's signature, and what they refuse of any.

use proc_macro2::{Span, TokenStream};
use syn::{Error, FnArg, GenericArgument, ItemFn, PathArguments, ReturnType, Type};

/// Refuses what no function of a module can be. `what` is `transform` or `handler`.
pub(crate) fn check(what: &str, arguments: &TokenStream, function: &ItemFn) -> Result<(), Error> {
    if !arguments.is_empty() {
        return Err(Error::new(Span::call_site(), format!("`{what}` takes no arguments")));
    }
    let signature = &function.sig;
    if let Some(token) = &signature.asyncness {
        let text = format!("a {what} is not async: the host runs it on a thread of its own");
        return Err(Error::new(token.span, text));
    }
    if let Some(parameter) = signature.generics.type_params().next() {
        let text = format!("a {what} has no type parameters: the host has one to call");
        return Err(Error::new_spanned(parameter, text));
    }
    if let Some(receiver) = signature.receiver() {
        return Err(Error::new_spanned(receiver, format!("a {what} is a function, not a method")));
    }
    Ok(())
}

/// The type of argument `index`, without parentheses around it.
pub(crate) fn argument(function: &ItemFn, index: usize) -> Option<&Type> {
    match function.sig.inputs.get(index)? {
        FnArg::Typed(argument) => Some(bare(&argument.ty)),
        FnArg::Receiver(_) => None,
    }
}

/// `T` of a function that is written as `-> Result<T, …>`.
pub(crate) fn result(function: &ItemFn) -> Option<&Type> {
    let ReturnType::Type(_, answer) = &function.sig.output else { return None };
    let Type::Path(path) = bare(answer) else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Result")?;
    let PathArguments::AngleBracketed(given) = &last.arguments else { return None };
    match given.args.first()? {
        GenericArgument::Type(answer) => Some(bare(answer)),
        _ => None,
    }
}

/// Whether it is written as `&[u8]`.
pub(crate) fn is_bytes(ty: &Type) -> bool {
    match ty {
        Type::Reference(to) => matches!(bare(&to.elem), Type::Slice(of) if is_named(&of.elem, "u8")),
        _ => false,
    }
}

/// Whether it is written as bytes or text of any kind: serde reads and writes these, as arrays and
/// as strings of JSON, which nobody means who takes or answers a record.
pub(crate) fn is_raw(ty: &Type) -> bool {
    let is_bytes_of = |of: &Type| matches!(of, Type::Slice(of) if is_named(&of.elem, "u8"));
    match ty {
        Type::Reference(to) => is_bytes_of(bare(&to.elem)) || is_named(&to.elem, "str") || is_raw(bare(&to.elem)),
        Type::Array(of) => is_named(&of.elem, "u8"),
        Type::Path(path) => path.path.segments.last().is_some_and(|last| {
            let PathArguments::AngleBracketed(of) = &last.arguments else { return last.ident == "String" };
            last.ident == "Vec" && matches!(of.args.first(), Some(GenericArgument::Type(of)) if is_named(of, "u8"))
        }),
        _ => false,
    }
}

/// Whether it is written with this last name.
pub(crate) fn is_named(ty: &Type, name: &str) -> bool {
    matches!(bare(ty), Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == name))
}

fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Paren(inner) => bare(&inner.elem),
        Type::Group(inner) => bare(&inner.elem),
        _ => ty,
    }
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;
    use quote::quote;
    use syn::{Error, ItemFn, parse_quote};

    use crate::{handler, transform};

    fn refused(expanded: Result<TokenStream, Error>) -> String {
        expanded.expect_err("it is refused").to_string()
    }

    fn of_transform(function: ItemFn) -> String {
        refused(transform::expand(&TokenStream::new(), &function))
    }

    fn of_handler(function: ItemFn) -> String {
        refused(handler::expand(&TokenStream::new(), &function))
    }

    #[test]
    fn what_a_function_cannot_be_is_said() {
        let arguments = quote!(fast);
        let function = parse_quote!(
            fn f(record: Record) -> Outcome {}
        );
        assert_eq!(refused(transform::expand(&arguments, &function)), "`transform` takes no arguments");
        let text = of_handler(parse_quote!(
            async fn f(event: &[u8]) -> Result<Vec<u8>, String> {}
        ));
        assert!(text.starts_with("a handler is not async"), "{text}");
        let text = of_transform(parse_quote!(
            fn f<T>(record: T) -> Outcome {}
        ));
        assert!(text.starts_with("a transform has no type parameters"), "{text}");
        let text = of_transform(parse_quote!(
            fn f(&self) -> Outcome {}
        ));
        assert_eq!(text, "a transform is a function, not a method");
    }

    #[test]
    fn a_wrong_number_of_arguments_shows_the_right_ones() {
        let text = of_transform(parse_quote!(
            fn f() -> Outcome {}
        ));
        assert!(text.contains("(record: Record)") && text.contains("out: &mut Output"), "{text}");
        let text = of_handler(parse_quote!(
            fn f(a: A, b: &Context, c: C) -> Result<R, E> {}
        ));
        assert!(text.contains("(event: &[u8])") && text.contains("context: &Context"), "{text}");
        assert_eq!(
            text,
            of_handler(parse_quote!(
                fn f() -> Result<R, E> {}
            ))
        );
    }

    #[test]
    fn bytes_and_text_are_not_mistaken_for_json() {
        for function in [
            parse_quote!(
                fn f(record: &[u8]) -> Outcome {}
            ),
            parse_quote!(
                fn f(record: &str) -> Outcome {}
            ),
            parse_quote!(
                fn f(record: String) -> Outcome {}
            ),
            parse_quote!(
                fn f(record: std::vec::Vec<u8>) -> Outcome {}
            ),
        ] {
            let text = of_transform(function);
            assert!(text.starts_with("a transform takes `Record`"), "{text}");
        }
        for function in [
            parse_quote!(
                fn f(record: Record) -> Result<Vec<u8>, E> {}
            ),
            parse_quote!(
                fn f(record: Record) -> std::result::Result<&'static str, E> {}
            ),
            parse_quote!(
                fn f(record: Record) -> anyhow::Result<[u8; 4]> {}
            ),
        ] {
            let text = of_transform(function);
            assert!(text.contains("Outcome::changed"), "{text}");
        }
        let text = of_transform(parse_quote!(
            fn f(order: Order) -> Result<Option<Order>, E> {}
        ));
        assert!(text.contains("Outcome::dropped()"), "{text}");
    }

    #[test]
    fn right_ones_pass() {
        for function in [
            parse_quote!(
                fn f(record: Record<'_>) -> Outcome {}
            ),
            parse_quote!(
                fn f(order: Vec<Order>) -> Result<Vec<Order>, E> {}
            ),
            parse_quote!(
                fn f(batch: &Batch, out: &mut Output) -> Result<(), String> {}
            ),
        ] {
            transform::expand(&TokenStream::new(), &function).expect("a transform");
        }
        let expanded = handler::expand(
            &TokenStream::new(),
            &parse_quote!(
                fn f(event: &[u8]) -> Result<Vec<u8>, E> {}
            ),
        );
        let text = expanded.expect("a handler").to_string();
        assert!(text.contains("guest :: bytes") && !text.contains("context"), "{text}");
        let expanded = handler::expand(
            &TokenStream::new(),
            &parse_quote!(
                fn f(event: String, context: &Context) -> Result<R, E> {}
            ),
        );
        let text = expanded.expect("a handler").to_string();
        assert!(text.contains("guest :: json") && text.contains("context"), "{text}");
    }
}
