//! Shards that lag share what the disk has and leave its last part to those that do not.

use super::*;

const PARKED: u32 = 12;
const CAPACITY: u64 = 60 * SEGMENT_BYTES;

#[test]
fn many_parked_shards_are_refused_and_the_healthy_one_never_is() {
    run(async {
        let disk = FakeDisk::new(1);
        disk.set_capacity(CAPACITY);
        let (journal, _) = open_with(&disk, JournalSettings { tail_bytes: 0, ..small() }).unwrap();
        let healthy = shard(1);
        let mut refused = vec![0u64; PARKED as usize];
        for tag in 0..900 {
            for stream in 0..PARKED {
                match journal.append(shard(10 + stream), batch(tag, 1, 900)).await {
                    Ok(_) => {}
                    Err(Error::ShardFull { shard: which, limit_bytes, .. }) => {
                        assert_eq!(which, shard(10 + stream));
                        assert!(limit_bytes < CAPACITY);
                        refused[stream as usize] += 1;
                    }
                    Err(other) => panic!("parked {stream} at {tag}: {other}"),
                }
            }
            let first = journal.append(healthy, batch(tag, 3, 900)).await;
            let first = first.unwrap_or_else(|error| panic!("the healthy one at {tag}: {error}"));
            journal.commit(done(healthy, first.get() + 3)).await.unwrap();
            // The keeper is as fast as the load: what lags is settled, what is decided is removed.
            until("the keeper keeps up", || settle::is_idle(&journal.handle.shared)).await;
        }
        assert!(refused.iter().all(|times| *times > 100), "each parked one: {refused:?}");
        let held: Vec<u64> =
            (0..PARKED).map(|stream| journal.shard(shard(10 + stream)).unwrap().backlog_bytes).collect();
        let (least, most) = (held.iter().min().unwrap(), held.iter().max().unwrap());
        assert!(most - least <= SEGMENT_BYTES, "equal shares: {held:?}");
        let free = CAPACITY - disk_used(&disk);
        assert!(free >= held.iter().sum::<u64>() / 3 - SEGMENT_BYTES, "the last quarter is free: {free} of {held:?}");
        journal.close().await;
    });
}

fn disk_used(disk: &FakeDisk) -> u64 {
    CAPACITY - Disk::free_bytes(disk, &dir()).unwrap()
}

#[test]
fn a_shard_that_keeps_up_has_no_share_and_a_lone_lagging_one_has_most() {
    run(async {
        let disk = FakeDisk::new(1);
        let limit = 16 * SEGMENT_BYTES;
        let settings = JournalSettings { disk_bytes_max: Some(limit), tail_bytes: 0, ..small() };
        let (journal, _) = open_with(&disk, settings).unwrap();
        let refused = loop {
            match journal.append(shard(1), batch(1, 1, 900)).await {
                Ok(_) => {}
                Err(refused) => break refused,
            }
        };
        let Error::ShardFull { backlog_bytes, limit_bytes, .. } = refused else { panic!("{refused:?}") };
        // Room is 16 segments less the one reserved ahead: 3/8 of it.
        assert!((4 * SEGMENT_BYTES..=7 * SEGMENT_BYTES).contains(&backlog_bytes), "{backlog_bytes}");
        assert!(limit_bytes >= 4 * SEGMENT_BYTES);
        // One that begins now lies in the newest segment, with all the room that is left.
        for tag in 0..20 {
            journal.append(shard(2), batch(tag, 1, 900)).await.unwrap();
        }
        journal.commit(done(shard(1), 60)).await.unwrap();
        let taken = loop {
            if let Ok(first) = journal.append(shard(1), batch(1, 1, 900)).await {
                break first;
            }
            let next = journal.shard(shard(1)).unwrap().watermark.get() + 60;
            journal.commit(done(shard(1), next)).await.unwrap();
        };
        assert!(taken.get() > 200, "taken again when it has caught up a little");
    });
}
