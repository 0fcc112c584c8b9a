use std::net::SocketAddr;
use std::path::Path;

use extend_common::roles::RoleSet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::config::Config;
use crate::daemon::{DaemonOptions, engine_config};
use crate::engine::Engine;
use crate::store::{MemoryStore, StoreHandle};

/// More than any socket takes that nobody reads from.
const LARGE: usize = 64 * 1024 * 1024;

async fn face(text: Option<String>, end: &CancellationToken) -> SocketAddr {
    let text_of = "address = \"127.0.0.1\"\n";
    let config = Config::parse(Path::new("controller.toml"), text_of).unwrap();
    let roles = RoleSet::built_in().unwrap();
    let settings = engine_config(&config, &DaemonOptions::default(), roles, false);
    let store = StoreHandle::in_place(MemoryStore::new());
    let (engine, _) = Engine::start(store, settings, end.clone()).await.unwrap();
    let text: Option<Arc<str>> = text.map(Arc::from);
    let metrics = Metrics::made_by(move |_| {
        let text = text.clone();
        Box::pin(async move { text })
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(Face::new(engine, metrics).serve(listener, end.clone()));
    address
}

async fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// The first line of an answer, and no more than that.
async fn status(stream: &mut TcpStream) -> String {
    let mut line = [0; 12];
    stream.read_exact(&mut line).await.unwrap();
    String::from_utf8(line.to_vec()).unwrap()
}

#[tokio::test]
async fn scrapers_that_do_not_read_hold_up_nobody_who_asks_for_health() {
    let end = CancellationToken::new();
    let _guard = end.clone().drop_guard();
    let address = face(Some("x".repeat(LARGE)), &end).await;
    let mut held = Vec::new();
    for _ in 0..SCRAPES {
        let mut stream = ask(address, "/metrics").await;
        assert_eq!(status(&mut stream).await, "HTTP/1.1 200");
        held.push(stream);
    }
    // Many more than there are places for everybody.
    for _ in 0..3 * AT_ONCE {
        let mut one_more = ask(address, "/metrics").await;
        assert_eq!(status(&mut one_more).await, "HTTP/1.1 503");
    }
    let mut healths = Vec::new();
    for _ in 0..AT_ONCE {
        let mut stream = ask(address, "/healthz").await;
        assert_eq!(status(&mut stream).await, "HTTP/1.1 200");
        healths.push(stream);
    }
    // Their time is over: they are cut off, and others have their turn.
    tokio::time::pause();
    tokio::time::advance(LIMIT).await;
    tokio::time::resume();
    for stream in &mut held {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.len() < LARGE);
    }
    let mut next = ask(address, "/metrics").await;
    assert_eq!(status(&mut next).await, "HTTP/1.1 200");
}

#[tokio::test]
async fn without_an_answer_of_the_engine_there_are_no_metrics() {
    let end = CancellationToken::new();
    let _guard = end.clone().drop_guard();
    let address = face(None, &end).await;
    let mut stream = ask(address, "/metrics").await;
    assert_eq!(status(&mut stream).await, "HTTP/1.1 503");
}
