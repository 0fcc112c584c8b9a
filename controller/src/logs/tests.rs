//! Readers that wait, and agents that answer, or should not.

use super::*;

fn node(last: u8) -> NodeAddr {
    NodeAddr::try_from(std::net::Ipv4Addr::new(10, 0, 0, last)).unwrap()
}

async fn next(reader: &mut Reader) -> Option<Passed> {
    std::future::poll_fn(|cx| reader.poll_next(cx)).await
}

#[tokio::test(start_paused = true)]
async fn an_id_is_good_for_one_call_of_its_own_node() {
    let broker = Broker::default();
    let mut reader = broker.open(node(1)).unwrap();
    let id = reader.id();
    assert!(broker.claim(id, node(2)).is_none(), "another node's");
    assert!(broker.claim(Ulid::generate(), node(1)).is_none(), "unknown");
    let sender = broker.claim(id, node(1)).unwrap();
    assert!(broker.claim(id, node(1)).is_none(), "a second time");
    assert_eq!(reader.answered().await, Ok(()));
    sender.send(Passed::End).await.unwrap();
    assert_eq!(next(&mut reader).await, Some(Passed::End));
    drop(sender);
    assert_eq!(next(&mut reader).await, None);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_waited_for_so_long_and_no_longer() {
    let broker = Broker::default();
    let mut reader = broker.open(node(1)).unwrap();
    let begun = tokio::time::Instant::now();
    assert_eq!(reader.answered().await, Err(Unanswered));
    assert_eq!(begun.elapsed(), ANSWER_LIMIT);
    assert!(
        broker.claim(reader.id(), node(1)).is_none(),
        "too late is never"
    );
}

#[tokio::test]
async fn a_reader_that_goes_frees_its_place_and_is_felt_by_the_agent() {
    let broker = Broker::default();
    let waiting = broker.open(node(1)).unwrap();
    let id = waiting.id();
    drop(waiting);
    assert!(broker.claim(id, node(1)).is_none());
    let reading = broker.open(node(1)).unwrap();
    let sender = broker.claim(reading.id(), node(1)).unwrap();
    assert_eq!(broker.readers(), 1);
    drop(reading);
    sender.closed().await;
    assert_eq!(broker.readers(), 0);
}

#[tokio::test]
async fn so_many_read_at_once_and_no_more() {
    let broker = Broker::default();
    let mut readers = Vec::new();
    for _ in 0..MAX_READERS_OF_NODE {
        readers.push(broker.open(node(1)).unwrap());
    }
    assert_eq!(broker.open(node(1)).unwrap_err(), Full::Node);
    for last in 2.. {
        match broker.open(node(last)) {
            Ok(reader) => readers.push(reader),
            Err(full) => {
                assert_eq!(full, Full::Everywhere);
                break;
            }
        }
    }
    assert_eq!(readers.len(), MAX_READERS);
    // Claimed or not: a place is taken until its reader goes.
    let first = readers.remove(0);
    let sender = broker.claim(first.id(), node(1));
    assert!(broker.open(node(99)).is_err());
    drop(first);
    assert!(sender.unwrap().is_closed());
    readers.push(broker.open(node(99)).unwrap());
}
