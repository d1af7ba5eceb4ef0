//! A stream whose destination is gone waits, drops nothing, and goes on by itself.

use super::store::Mood;
use super::{World, until};

#[test]
fn a_parked_stream_goes_on_when_its_destination_is_back() {
    let world = World::new(1);
    world.stream("s", |_| {});
    world.store.set(Mood::Gone);
    world.life(async {
        let node = world.start().await.unwrap();
        let mut all = Vec::new();
        for round in 0..8 {
            let records: Vec<String> = (0..5).map(|nth| format!("{round}-{nth}")).collect();
            let lines: Vec<String> = records.iter().map(|record| format!("{record}\n")).collect();
            assert!(node.put("s", &lines).await, "a parked stream takes records");
            all.extend(records);
            let parked = until("the alarm", || node.status("s").parked).await;
            assert_eq!(parked.code, "NoSuchBucket");
            let puts = world.store.puts();
            until("it asks again", || (world.store.puts() > puts).then_some(())).await;
        }
        let status = node.status("s");
        assert_eq!((status.counts.accepted, status.pending, status.balance), (40, 40, 0), "nothing is dropped");
        assert!(world.store.objects().is_empty());
        world.store.set(Mood::Fine);
        let status = node.drained("s").await;
        assert_eq!((status.counts.delivered, status.counts.failed, status.balance), (40, 0, 0));
        until("the alarm is over", || node.status("s").parked.is_none().then_some(())).await;
        assert_eq!(world.store.lines(), all);
        node.stop().await;
    });
}
