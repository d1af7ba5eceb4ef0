//! What one call may write, and what it sees of it.

use super::*;
use crate::testing::Store;

fn store(keys: impl IntoIterator<Item = String>) -> Store {
    Store {
        kept: keys.into_iter().map(|key| (key, b"kept".to_vec())).collect::<BTreeMap<_, _>>().into(),
        ..Store::default()
    }
}

#[test]
fn keys_and_values_have_their_sizes() {
    let mut own = Pending::default();
    let longest = "k".repeat(KEY_BYTES_MAX);
    own.write(&longest, Some(&vec![0; VALUE_BYTES_MAX])).unwrap();
    assert_eq!(own.get(&Store::default(), &longest).unwrap().unwrap().len(), VALUE_BYTES_MAX);
    for key in [String::new(), "k".repeat(KEY_BYTES_MAX + 1)] {
        assert!(own.write(&key, Some(b"v")).unwrap_err().contains("a key has 1 to 256 bytes"));
        assert!(own.write(&key, None).is_err() && own.get(&Store::default(), &key).is_err());
    }
    assert!(own.write("k", Some(&vec![0; VALUE_BYTES_MAX + 1])).unwrap_err().contains("65536 bytes, not 65537"));
    assert!(own.keys(&Store::default(), &"k".repeat(KEY_BYTES_MAX + 1), None).is_err());
}

#[test]
fn writes_of_a_call_are_bounded_by_number_and_bytes() {
    let mut own = Pending::default();
    for at in 0..WRITES_MAX {
        own.write(&format!("{at:04}"), Some(b"v")).unwrap();
    }
    assert!(own.write("one more", None).unwrap_err().contains("1000 keys"));
    own.write("0000", None).unwrap();
    own.clear();
    // The second time the same key is written its first value does not count any more.
    for _ in 0..100 {
        own.write("k", Some(&vec![0; VALUE_BYTES_MAX])).unwrap();
    }
    for at in 0..14 {
        own.write(&format!("{at:02}"), Some(&vec![0; VALUE_BYTES_MAX])).unwrap();
    }
    let left = WRITES_BYTES_MAX - own.bytes;
    assert!(left < VALUE_BYTES_MAX, "{left}");
    own.write("l", Some(&vec![0; left - 1])).unwrap();
    assert!(own.write("m", None).unwrap_err().contains("1048576 bytes"));
    own.write("l", None).unwrap();
    own.write("m", None).unwrap();
}

#[test]
fn a_listing_is_what_would_be_there() {
    let kept = store(["a1", "a2", "a3", "b1"].map(str::to_owned));
    let mut own = Pending::default();
    assert_eq!(own.keys(&kept, "a", None).unwrap(), ["a1", "a2", "a3"]);
    own.write("a2", None).unwrap();
    own.write("a3", Some(b"new")).unwrap();
    own.write("a0", Some(b"new")).unwrap();
    own.write("b0", Some(b"new")).unwrap();
    assert_eq!(own.keys(&kept, "a", None).unwrap(), ["a0", "a1", "a3"]);
    assert_eq!(own.keys(&kept, "a", Some("a0")).unwrap(), ["a1", "a3"]);
    assert_eq!(own.keys(&kept, "", Some("a3")).unwrap(), ["b0", "b1"]);
}

#[test]
fn deletions_leave_no_listing_short() {
    let names = || (0..3 * KEYS_LISTED_MAX).map(|at| format!("{at:05}"));
    let kept = store(names());
    let mut own = Pending::default();
    for key in names().take(700) {
        own.write(&key, None).unwrap();
    }
    own.write("00900.", Some(b"v")).unwrap();
    let listed = own.keys(&kept, "", None).unwrap();
    assert_eq!((listed.len(), &*listed[0], &*listed[201]), (KEYS_LISTED_MAX, "00700", "00900."));
    assert!(listed.is_sorted());
}
