//! Makes hostile guests: components around `guest-examples/wat/component.wat`, and core modules as wit-bindgen leaves them.

use millrace_tests::guests::tree;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Parameters and result of `transform`, as the frame has them.
const SIGNATURE: &str = "(type $transform) (param $payload i32) (param $bytes i32) (param $ends i32) (param $records i32) \
     (param $arrivals i32) (param i32) (param $keys i32) (param i32) (param $key_ends i32) (param i32) (param $first i64) (result i32)";
/// The answer that gives every record as it is.
pub(crate) const IDENTITY: &str =
    "(call $identity (local.get $payload) (local.get $bytes) (local.get $ends) (local.get $records))";

/// The text of `guest-examples/wat/NAME.wat`.
pub(crate) fn text(name: &str) -> String {
    let path = tree().join(format!("guest-examples/wat/{name}.wat"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Assembles `text`.
pub(crate) fn assemble(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// The guest of `guest-examples/wat/NAME.wat`.
pub(crate) fn example(name: &str) -> Vec<u8> {
    assemble(&text("component").replace(";; BODY", &text(name)))
}

/// A component whose `transform` is `code`, beside further core `items`.
pub(crate) fn guest(code: &str, items: &str) -> Vec<u8> {
    assemble(&frame(code, items))
}

/// As [`guest`], as text.
pub(crate) fn frame(code: &str, items: &str) -> String {
    text("component").replace(";; BODY", &format!("(func $transform {SIGNATURE} {code}) {items}"))
}

/// As [`guest`], with each text of `changes` in the frame replaced.
pub(crate) fn changed(code: &str, items: &str, changes: &[(&str, &str)]) -> Vec<u8> {
    let mut frame = frame(code, items);
    for (from, to) in changes {
        assert!(frame.contains(from), "the frame has no {from}");
        frame = frame.replace(from, to);
    }
    assemble(&frame)
}

/// As [`guest`], with a `realloc` of its own, whose parameters are `$old $bytes $align $size`.
pub(crate) fn realloc(body: &str, code: &str) -> Vec<u8> {
    let frame = frame(code, "");
    let (head, rest) = frame.split_once("(func (export \"realloc\")").expect("the frame's realloc");
    let (_, tail) = rest.split_once("(func (export \"reset\")").expect("what follows it");
    assemble(&format!(
        "{head}(func (export \"realloc\") (param $old i32) (param $bytes i32) (param $align i32) (param $size i32) \
         (result i32) {body}) (func (export \"reset\"){tail}"
    ))
}

/// As [`guest`], whose answer is the identity's, changed by `code`, which finds it in `$a`.
pub(crate) fn answer(code: &str) -> Vec<u8> {
    guest(&format!("(local $a i32) (local $b i32) (local $i i32) (local.set $a {IDENTITY}) {code} (local.get $a)"), "")
}

/// As [`guest`], a component that imports the instances of `imports` too; `lowered` are core functions
/// by name, type and how they are made, for use in `code`.
pub(crate) fn importing(imports: &str, lowered: &[(&str, &str, &str)], code: &str, items: &str) -> Vec<u8> {
    let made: String = lowered.iter().map(|(name, _, made)| format!("(core func ${name} {made})\n")).collect();
    let given: String = lowered.iter().map(|(name, ..)| format!("(export \"{name}\" (func ${name}))")).collect();
    let taken: String =
        lowered.iter().map(|(name, ty, _)| format!("(import \"more\" \"{name}\" (func ${name} {ty}))\n")).collect();
    changed(
        code,
        items,
        &[
            ("(core module $libc", &format!("{imports}\n(core module $libc")),
            ("(core module $main", &format!("{made}(core module $main")),
            ("(import \"host\" \"log\"", &format!("{taken}(import \"host\" \"log\"")),
            (
                "(with \"libc\" (instance $libc))",
                &format!("(with \"libc\" (instance $libc)) (with \"more\" (instance {given}))"),
            ),
        ],
    )
}

/// A core module whose `transform` is `code`, with the component type of our world inside.
pub(crate) fn core(imports: &str, code: &str, items: &str) -> Vec<u8> {
    let frame = text("component");
    let between = |from: &str, to: &str| {
        let (_, rest) = frame.split_once(from).expect("the frame");
        format!("{from}{}", rest.split_once(to).expect("the frame").0)
    };
    let helpers = between("(func $alloc", ";; BODY");
    let libc = between("(memory (export", "(core instance $libc");
    let libc = libc.trim_end().strip_suffix(')').expect("the module's bracket");
    let libc = libc.replace("(func (export \"reset\")", "(func");
    let libc = libc.replace("(export \"realloc\")", "$realloc (export \"cabi_realloc\")");
    typed(
        &assemble(&format!(
            "(module {imports} {libc} {helpers} (func $transform {SIGNATURE} {code}) {items} \
             (export \"transform\" (func $transform)))"
        )),
        "transform",
    )
}

/// `module` with the component type of a world of `wit/transform` inside.
pub(crate) fn typed(module: &[u8], world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(tree().join("wit/transform")).expect("the worlds");
    let world = resolve.select_world(&[package], Some(world)).expect("the world");
    embed(module, &resolve, world)
}

/// `module` with the component type of the world `of` another package inside.
pub(crate) fn foreign(module: &str, wit: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("other.wit", wit).expect("a package");
    let world = resolve.select_world(&[package], None).expect("one world");
    embed(&assemble(module), &resolve, world)
}

pub(crate) fn embed(module: &[u8], resolve: &Resolve, world: wit_parser::WorldId) -> Vec<u8> {
    let mut module = module.to_vec();
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).expect("a component type");
    module
}
