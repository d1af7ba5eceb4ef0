//! The demo: flights in JSON. Cancelled ones are dropped, airport and carrier codes are cleaned up,
//! speed and lateness are added; origin and carrier become partition keys.

use std::borrow::Cow;
use std::error::Error;

use millrace_sdk::{Batch, Output, Record, log};
use serde::{Deserialize, Serialize};

/// Minutes behind the schedule from which a flight counts as late, as airlines count.
const LATE_MINUTES: i32 = 15;

#[derive(Deserialize, Serialize)]
struct Flight<'a> {
    year: i32,
    month: u8,
    day: u8,
    dep_time: Option<i32>,
    sched_dep_time: Option<i32>,
    dep_delay: Option<i32>,
    arr_time: Option<i32>,
    sched_arr_time: Option<i32>,
    arr_delay: Option<i32>,
    #[serde(borrow)]
    carrier: Cow<'a, str>,
    flight: i32,
    #[serde(borrow)]
    tailnum: Option<Cow<'a, str>>,
    #[serde(borrow)]
    origin: Cow<'a, str>,
    #[serde(borrow)]
    dest: Cow<'a, str>,
    air_time: Option<i32>,
    distance: i32,
    hour: u8,
    minute: u8,
    #[serde(borrow)]
    time_hour: Cow<'a, str>,
    #[serde(skip_deserializing)]
    speed_mph: Option<f64>,
    #[serde(skip_deserializing)]
    late: Option<bool>,
}

/// Upper case, no blanks around: what a code looks like.
fn clean(code: &mut Cow<'_, str>) {
    if code.bytes().any(|byte| byte.is_ascii_lowercase() || byte.is_ascii_whitespace()) {
        *code = Cow::Owned(code.trim().to_ascii_uppercase());
    }
}

fn turn(record: Record, out: &mut Output) -> Result<(), Box<dyn Error>> {
    let mut flight: Flight = serde_json::from_str(record.text()?)?;
    if flight.dep_time.is_none() {
        return Ok(());
    }
    clean(&mut flight.carrier);
    clean(&mut flight.origin);
    clean(&mut flight.dest);
    flight.speed_mph = flight
        .air_time
        .filter(|minutes| *minutes > 0)
        .map(|minutes| (f64::from(flight.distance) * 600.0 / f64::from(minutes)).round() / 10.0);
    flight.late = flight.arr_delay.map(|minutes| minutes > LATE_MINUTES);
    out.write(record, |buffer| serde_json::to_writer(buffer, &flight))?;
    out.partition("origin", &flight.origin);
    out.partition("carrier", &flight.carrier);
    Ok(())
}

#[millrace_sdk::transform]
fn flights(batch: &Batch, out: &mut Output) -> Result<(), String> {
    for record in batch.iter() {
        if let Err(error) = turn(record, out) {
            log!(warn, "record {}: {error}", record.sequence());
            out.fail(record, format!("not a flight: {error}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLIGHT: &str = r#"{"year":2013,"month":1,"day":1,"dep_time":517,"sched_dep_time":515,"dep_delay":2,"arr_time":830,"sched_arr_time":819,"arr_delay":16,"carrier":"ua ","flight":1545,"tailnum":"N14228","origin":"EWR","dest":"IAH","air_time":227,"distance":1400,"hour":5,"minute":15,"time_hour":"2013-01-01T10:00:00Z"}"#;

    #[test]
    fn a_flight_is_enriched_a_cancelled_one_dropped_another_thing_failed() {
        let cancelled = FLIGHT.replace("\"dep_time\":517", "\"dep_time\":null");
        let batch = Batch::of([FLIGHT.as_bytes(), cancelled.as_bytes(), b"{}"]);
        let mut out = Output::for_batch(&batch);
        flights(&batch, &mut out).unwrap();
        assert_eq!(out.len(), 1);
        let text = String::from_utf8(out.get(0).unwrap().0.to_vec()).unwrap();
        assert!(text.contains(r#""carrier":"UA""#) && text.ends_with(r#""speed_mph":370.0,"late":true}"#), "{text}");
        assert_eq!(out.failures().len(), 1);
    }
}
