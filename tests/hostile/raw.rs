//! Binaries byte by byte: what no text says, or what would be too long as text.

use crate::guests::example;

/// A number as sections have it.
pub(crate) fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or(0);
        number >>= 7;
        bytes.push(if number == 0 { low } else { low | 0x80 });
        if number == 0 {
            return bytes;
        }
    }
}

/// A section.
pub(crate) fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(content.len()), content].concat()
}

/// A good component with one more core module, which nobody instantiates.
pub(crate) fn component_with(module: &[u8]) -> Vec<u8> {
    let mut component = example("identity");
    component.extend(section(1, module));
    component
}

/// As [`component_with`], of a module of `sections`.
pub(crate) fn component_of(sections: &[Vec<u8>]) -> Vec<u8> {
    component_with(&[&b"\0asm\x01\0\0\0"[..], &sections.concat()].concat())
}

/// As [`component_of`], of one function.
pub(crate) fn one_function(code: &[u8]) -> Vec<u8> {
    functions(&[code])
}

/// As [`component_of`], of functions without parameters, in a module with a memory.
pub(crate) fn functions(codes: &[&[u8]]) -> Vec<u8> {
    let count = leb(codes.len());
    let bodies: Vec<u8> = codes
        .iter()
        .flat_map(|code| {
            let body = [&[0][..], code, &[0x0b]].concat();
            [leb(body.len()), body].concat()
        })
        .collect();
    component_of(&[
        section(1, &[1, 0x60, 0, 0]),
        section(3, &[count.clone(), vec![0; codes.len()]].concat()),
        section(5, &[1, 0, 1]),
        section(10, &[count, bodies].concat()),
    ])
}
