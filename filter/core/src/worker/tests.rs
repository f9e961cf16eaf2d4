use contract::resp::Reply;

use super::*;

#[test]
fn each_partition_admits_again_once_its_own_live_reservations_are_known() {
    let config = Config {
        partitions: 2,
        ..Config::default()
    };
    let mut worker = Worker::new(config, [1; 16], Now(0));
    let (first, second) = (Partition(0), Partition(1));
    worker.home(second, Now(0));
    for at in 1..=3 {
        worker.store_failed(Now(at), &mut Vec::new());
    }
    assert!(!worker.may_admit(first) && !worker.may_admit(second));
    let calls: Vec<CallId> = worker
        .tick(Now(3))
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::CallRedis { call, .. } => Some(call),
            _ => None,
        })
        .collect();
    let renewed = [Reply::Array(Some(vec![
        Reply::Bulk(Some(b"ok".to_vec())),
        Reply::Integer(5),
        Reply::Integer(0),
    ]))];
    worker.redis(Now(4), calls[0], Ok(&renewed));
    assert!(worker.may_admit(first) && !worker.may_admit(second));
    worker.redis(Now(5), calls[1], Ok(&renewed));
    assert!(worker.may_admit(second));
}
