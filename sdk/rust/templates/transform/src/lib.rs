//! Orders in a currency of the settings go on with their total; the others are dropped.

use millrace_sdk::{Outcome, setting};
use serde::{Deserialize, Serialize};

/// A record as it comes, JSON. `&str` borrows from the record: text without escapes, not copied.
#[derive(Deserialize)]
struct Order<'a> {
    id: u64,
    currency: &'a str,
    price: f64,
    count: u32,
}

/// A record as it goes on.
#[derive(Serialize)]
struct Priced<'a> {
    id: u64,
    currency: &'a str,
    total: f64,
}

#[millrace_sdk::transform]
fn price(order: Order) -> Result<Outcome, String> {
    if order.count == 0 {
        return Err(format!("order {} is of nothing", order.id));
    }
    if setting("CURRENCY").is_some_and(|currency| currency != order.currency) {
        return Ok(Outcome::dropped());
    }
    let total = order.price * f64::from(order.count);
    let size = if total >= 100.0 { "large" } else { "small" };
    Ok(Outcome::json(&Priced { id: order.id, currency: order.currency, total }).partition("size", size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_gets_its_total() {
        let order = Order { id: 1, currency: "EUR", price: 2.5, count: 4 };
        let priced = Outcome::changed(r#"{"id":1,"currency":"EUR","total":10.0}"#).partition("size", "small");
        assert_eq!(price(order), Ok(priced));
    }

    #[test]
    fn an_order_of_nothing_fails() {
        let order = Order { id: 7, currency: "EUR", price: 1.0, count: 0 };
        assert_eq!(price(order), Err("order 7 is of nothing".to_owned()));
    }
}
