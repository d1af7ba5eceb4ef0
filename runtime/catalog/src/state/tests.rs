//! State and events in a real file.

use super::events::{EVENT_BYTES_OF_ONE_MAX, EVENTS_OF_ONE_MAX, NEXT_EVENT};
use super::*;

fn open(dir: &Path) -> State {
    State::open(&dir.join("state.redb")).expect("opens")
}

fn writes(pairs: &[(&str, Option<&[u8]>)]) -> BTreeMap<String, Option<Vec<u8>>> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), v.map(<[u8]>::to_vec))).collect()
}

fn there() -> bool {
    true
}

fn event(function: &str, payload: &[u8]) -> QueuedEvent {
    QueuedEvent {
        function: function.to_owned(),
        qualifier: String::new(),
        request_id: "r".to_owned(),
        accepted_ms: 1,
        attempts: 0,
        client_context: None,
        hops: 0,
        record: None,
        ended_ms: None,
        payload: payload.to_vec(),
    }
}

#[test]
fn state_belongs_to_one_function_and_survives() {
    let dir = tempfile::tempdir().expect("dir");
    {
        let state = open(dir.path());
        let three = writes(&[("a", Some(b"1")), ("ab", Some(b"2")), ("b", Some(b"3"))]);
        state.write("f", &three, there).expect("written");
        state.write("f#2", &writes(&[("a", Some(b"other"))]), there).expect("written");
        state.write("f", &writes(&[("b", None)]), there).expect("removed");
    }
    let state = open(dir.path());
    assert_eq!(state.get("f", "a").expect("read").as_deref(), Some(&b"1"[..]));
    assert_eq!(state.get("f", "b").expect("read"), None);
    assert_eq!(state.keys("f", "", None, 10).expect("keys"), ["a", "ab"]);
    assert_eq!(state.keys("f", "a", Some("a"), 10).expect("keys"), ["ab"]);
    assert_eq!(state.keys("f", "", None, 1).expect("keys"), ["a"]);
    state.forget("f").expect("forgotten");
    assert_eq!(state.keys("f", "", None, 10).expect("keys"), [""; 0]);
    assert_eq!(state.keys("f#2", "", None, 10).expect("keys"), ["a"]);
}

#[test]
fn state_over_its_limit_leaves_what_was_there() {
    let dir = tempfile::tempdir().expect("dir");
    let state = open(dir.path());
    let large = vec![0; (STATE_BYTES_MAX - ENTRY_BYTES) as usize - 1];
    state.write("f", &writes(&[("a", Some(&large))]), there).expect("just fits");
    let rest = &large[ENTRY_BYTES as usize + 2..];
    state
        .write("f", &writes(&[("a", Some(b"x")), ("b", Some(rest))]), there)
        .expect("room was given back within the call");
    let refused = state.write("f", &writes(&[("c", Some(b""))]), there);
    assert!(matches!(refused, Err(Error::Limit { .. })), "an entry costs more than its bytes: {refused:?}");
    assert_eq!(state.keys("f", "", None, 10).expect("keys"), ["a", "b"]);
    state.write("f", &writes(&[("b", None), ("c", Some(b""))]), there).expect("room again");
}

#[test]
fn what_a_call_wrote_for_a_function_that_is_gone_is_not_kept() {
    let dir = tempfile::tempdir().expect("dir");
    let state = open(dir.path());
    let late = state.write("f#1", &writes(&[("a", Some(b"1"))]), || false);
    assert!(matches!(late, Err(Error::NoFunction { .. })), "{late:?}");
    assert_eq!(state.keys("f#1", "", None, 10).expect("keys"), [""; 0]);
    assert_eq!(state.owners().expect("read"), BTreeSet::new());
}

#[test]
fn owners_that_are_in_no_catalog_are_forgotten() {
    let dir = tempfile::tempdir().expect("dir");
    let state = open(dir.path());
    for owner in ["f#1", "f#2", "f"] {
        state.write(owner, &writes(&[("a", Some(b"1"))]), there).expect("written");
    }
    state.push_event("g#3", &event("g", b"{}")).expect("taken");
    let kept = state.push_event("f#2", &event("f", b"{}")).expect("taken");
    assert_eq!(state.retain(&["f#2".to_owned()].into()).expect("done"), ["f", "f#1", "g#3"]);
    assert_eq!(state.events().expect("read"), [kept]);
    assert_eq!(state.owners().expect("read"), ["f#2".to_owned()].into());
    assert_eq!(state.get("f#1", "a").expect("read"), None);
}

#[test]
fn events_wait_in_order_until_they_are_removed() {
    let dir = tempfile::tempdir().expect("dir");
    let state = open(dir.path());
    let first = state.push_event("z", &event("z", b"{}")).expect("taken");
    let second = state.push_event("f", &event("f", &[0xff, 0])).expect("taken");
    state.update_event(&second, &QueuedEvent { attempts: 2, ..event("f", &[0xff, 0]) }).expect("kept");
    drop(state);
    let state = open(dir.path());
    assert_eq!(state.events().expect("read"), [first.clone(), second.clone()]);
    let read = state.event(&second).expect("read").expect("there");
    assert_eq!((read.attempts, read.payload.as_slice()), (2, &[0xff, 0][..]));
    state.remove_event(&first).expect("removed");
    assert_eq!((state.events().expect("read"), state.event(&first).expect("read")), (vec![second.clone()], None));
    state.forget("g").expect("nothing of it");
    assert_eq!(state.events().expect("read"), [second]);
    state.forget("f").expect("forgotten");
    assert_eq!(state.events().expect("read"), []);
}

#[test]
fn a_number_is_given_once() {
    let dir = tempfile::tempdir().expect("dir");
    let state = open(dir.path());
    let old = state.push_event("a", &event("a", b"old")).expect("taken");
    state.forget("a").expect("forgotten while its event runs");
    drop(state);
    let state = open(dir.path());
    let new = state.push_event("b", &event("b", b"new")).expect("taken");
    assert!(new.number > old.number);
    // What the running attempt does then is about an event that is gone.
    state.update_event(&old, &event("a", b"back")).expect("ignored");
    state.remove_event(&old).expect("ignored");
    assert_eq!(state.events().expect("read"), std::slice::from_ref(&new));
    assert_eq!(state.event(&new).expect("read").expect("there").payload, b"new");
    assert_eq!(state.event(&old).expect("read"), None);
}

fn set_queued(state: &State, owner: &str, queued: (u64, u64)) {
    let write = state.database.begin_write().expect("begun");
    write.open_table(QUEUED).expect("there").insert(owner, queued).expect("set");
    write.commit().expect("kept");
}

fn queued(state: &State, owner: &str) -> Option<(u64, u64)> {
    let read = state.database.begin_read().expect("begun");
    read.open_table(QUEUED).expect("there").get(owner).expect("read").map(|v| v.value())
}

#[test]
fn one_function_leaves_room_for_the_events_of_others() {
    let dir = tempfile::tempdir().expect("dir");
    let state = open(dir.path());
    let refused = |owner: &str| match state.push_event(owner, &event("f", b"{}")) {
        Err(Error::Limit { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    set_queued(&state, "f", (EVENTS_OF_ONE_MAX, 0));
    assert_eq!(refused("f"), "events of one function that wait");
    set_queued(&state, "f", (1, EVENT_BYTES_OF_ONE_MAX));
    assert_eq!(refused("f"), "bytes of events of one function that wait");
    let other = state.push_event("g", &event("g", b"{}")).expect("room for others");
    set_queued(&state, "h", (1, EVENT_BYTES_OF_ONE_MAX - 1));
    assert_eq!(refused("g"), "bytes of events that wait");
    // Room comes back with what leaves.
    state.remove_event(&other).expect("removed");
    assert_eq!(queued(&state, "g"), None);
    state.forget("f").expect("forgotten");
    let id = state.push_event("g", &event("g", b"{}")).expect("room again");
    let grown = QueuedEvent { record: Some(("d".to_owned(), "r".repeat(100))), ..event("g", b"") };
    state.update_event(&id, &grown).expect("kept");
    assert_eq!(queued(&state, "g"), Some((1, serde_json::to_vec(&grown).expect("plain data").len() as u64)));
}

#[test]
fn a_file_of_the_first_format_is_brought_up() {
    const FIRST_EVENTS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("events");
    let dir = tempfile::tempdir().expect("dir");
    let row = br#"{"function":"f","qualifier":"","request_id":"r","accepted_ms":1,"attempts":1,"client_context":null,
                   "record":null,"payload":"{}"}"#;
    {
        let database = Database::create(dir.path().join("state.redb")).expect("made");
        let write = database.begin_write().expect("begun");
        write.open_table(FIRST_EVENTS).expect("made").insert(6, &row[..]).expect("put");
        write.open_table(FIRST_EVENTS).expect("made").insert(7, &b"rubbish"[..]).expect("put");
        write.open_table(STATE).expect("made").insert("f\0key", &b"value"[..]).expect("put");
        write.open_table(USED).expect("made").insert("f", 8).expect("put");
        write.commit().expect("kept");
    }
    for _ in 0..2 {
        let state = open(dir.path());
        let known = EventId { number: 6, owner: "f".to_owned() };
        let unknown = EventId { number: 7, owner: String::new() };
        assert_eq!(state.events().expect("read"), [known.clone(), unknown.clone()]);
        let read = state.event(&known).expect("read").expect("there");
        assert_eq!((read.attempts, read.hops, read.ended_ms, read.payload.as_slice()), (1, 0, None, &b"{}"[..]));
        assert!(matches!(state.event(&unknown), Err(Error::Damaged { .. })));
        assert_eq!(queued(&state, "f"), Some((1, row.len() as u64)));
        let read = state.database.begin_read().expect("begun");
        let used = read.open_table(USED).expect("there").get("f").expect("read").map(|v| v.value());
        assert_eq!(used, Some(8 + ENTRY_BYTES));
        let next = read.open_table(COUNTERS).expect("there").get(NEXT_EVENT).expect("read").map(|v| v.value());
        assert_eq!(next, Some(8));
        assert_eq!(state.retain(&["f".to_owned()].into()).expect("done"), [""; 0], "what does not read stays");
    }
}

#[test]
fn a_read_waits_for_no_write() {
    let dir = tempfile::tempdir().expect("dir");
    let state = open(dir.path());
    state.write("f", &writes(&[("a", Some(b"1"))]), there).expect("written");
    let read_within = || {
        // The transaction of the write below is open.
        assert_eq!(state.get("f", "a").expect("read").as_deref(), Some(&b"1"[..]));
        assert_eq!(state.events().expect("read"), []);
        true
    };
    state.write("f", &writes(&[("a", Some(b"2"))]), read_within).expect("written");
    assert_eq!(state.get("f", "a").expect("read").as_deref(), Some(&b"2"[..]));
}
