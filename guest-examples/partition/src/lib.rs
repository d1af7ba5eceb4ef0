//! Records like `region=eu;tenant=7;the rest`: the head becomes partition keys, the rest goes on.

use millrace_sdk::{Outcome, Record};

#[millrace_sdk::transform]
fn partition(record: Record) -> Result<Outcome, &'static str> {
    let text = std::str::from_utf8(record.bytes()).map_err(|_| "not UTF-8")?;
    let (mut rest, mut keys) = (text, Vec::new());
    while let Some((head, tail)) = rest.split_once(';') {
        let (name, value) = head.split_once('=').ok_or("a head without `=`")?;
        keys.push((name.to_owned(), value.to_owned()));
        rest = tail;
    }
    let outcome = Outcome::changed(rest);
    Ok(keys.into_iter().fold(outcome, |outcome, (name, value)| outcome.partition(name, value)))
}
