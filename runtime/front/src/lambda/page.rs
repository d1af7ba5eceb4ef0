//! Lists page by page: a marker is the key of the last item of the page before.

use serde_json::{Value, json};

use super::members::{MAX_ITEMS, TEXT};
use crate::protocol::member::optional;
use crate::protocol::shape::Member;
use crate::protocol::view::View;

/// Items of a page at most, whatever `MaxItems` says, as the service documents it.
const PAGE_ITEMS_MAX: usize = 50;

/// `Marker`: one that is no key of an item is a position all the same.
pub(super) const fn marker() -> Member {
    optional("Marker", TEXT)
}

/// `MaxItems`.
pub(super) const fn max_items() -> Member {
    optional("MaxItems", MAX_ITEMS)
}

/// Items that a request wants at most.
pub(super) fn items_max(view: View<'_>) -> usize {
    view.number("MaxItems").and_then(|items| usize::try_from(items).ok()).unwrap_or(PAGE_ITEMS_MAX).min(PAGE_ITEMS_MAX)
}

/// The page of `items`, which come with their keys, in order and from the marker on.
pub(super) fn answer(member: &str, view: View<'_>, items: impl Iterator<Item = (String, Value)>) -> Value {
    let mut items = items.peekable();
    let mut page = Vec::new();
    let mut last = None;
    for (key, item) in items.by_ref().take(items_max(view)) {
        page.push(item);
        last = Some(key);
    }
    match last {
        Some(key) if items.peek().is_some() => json!({ member: page, "NextMarker": key }),
        _ => json!({ member: page }),
    }
}
