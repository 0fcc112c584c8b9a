//! The metadata as EC2 serves it, and as somebody hostile would.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const TOKEN: &str = "AQAEAHsecret==";
const MAC: &str = "0a:1b:2c:3d:4e:5f";

/// A stand-in for the metadata: strict about the token.
#[derive(Clone, Default)]
struct Standin {
    pages: Arc<Mutex<BTreeMap<String, String>>>,
    /// Sent in place of every answer.
    raw: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Standin {
    fn set(&self, path: &str, body: &str) {
        let path = format!("/latest/meta-data/{path}");
        self.pages.lock().unwrap().insert(path, body.to_owned());
    }

    fn remove(&self, path: &str) {
        self.pages
            .lock()
            .unwrap()
            .remove(&format!("/latest/meta-data/{path}"));
    }

    fn instance() -> Self {
        let standin = Self::default();
        standin.set("instance-id", "i-0123456789abcdef0");
        standin.set("public-ipv4", "54.215.234.52");
        standin.set("local-ipv4", "172.31.16.139");
        standin.set("mac", MAC);
        let of_mac = |what: &str| format!("network/interfaces/macs/{MAC}/{what}");
        standin.set(&of_mac("vpc-id"), "vpc-1");
        standin.set(&of_mac("subnet-id"), "subnet-1");
        standin.set(&of_mac("security-group-ids"), "sg-2\nsg-1");
        standin
    }

    async fn serve(&self) -> Base {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let standin = self.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if stream.read(&mut byte).await.unwrap_or(0) == 0 {
                        break;
                    }
                    request.push(byte[0]);
                }
                let answer = standin.answer(&String::from_utf8(request).unwrap());
                // Whoever has read enough may be gone.
                let _ = stream.write_all(&answer).await;
            }
        });
        base.parse().unwrap()
    }

    fn answer(&self, request: &str) -> Vec<u8> {
        if let Some(raw) = self.raw.lock().unwrap().clone() {
            return raw;
        }
        let mut lines = request.split("\r\n");
        let head: Vec<_> = lines.next().unwrap().split(' ').collect();
        let headers: Vec<_> = lines.collect();
        let (status, body) = match head.as_slice() {
            ["PUT", "/latest/api/token", "HTTP/1.1"]
                if headers.contains(&"X-aws-ec2-metadata-token-ttl-seconds: 60") =>
            {
                ("200 OK", TOKEN.to_owned())
            }
            ["GET", path, "HTTP/1.1"] => {
                let token = format!("X-aws-ec2-metadata-token: {TOKEN}");
                match self.pages.lock().unwrap().get(*path) {
                    _ if !headers.contains(&token.as_str()) => ("401 Unauthorized", String::new()),
                    Some(body) => ("200 OK", body.clone()),
                    None => ("404 Not Found", "<?xml?>".to_owned()),
                }
            }
            _ => ("400 Bad Request", String::new()),
        };
        let length = body.len();
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
    }
}

#[tokio::test]
async fn an_instance_is_told_as_its_metadata_has_it() {
    let standin = Standin::instance();
    let base = standin.serve().await;
    let facts = imds::ask(&base).await.unwrap();
    let wanted = CloudFacts {
        public: Some("54.215.234.52".parse().unwrap()),
        private: Some("172.31.16.139".parse().unwrap()),
        instance: "i-0123456789abcdef0".to_owned(),
        vpc: "vpc-1".to_owned(),
        subnet: "subnet-1".to_owned(),
        security_groups: vec!["sg-1".to_owned(), "sg-2".to_owned()],
    };
    assert_eq!(facts, wanted);
    // An instance without an Elastic IP has no such page.
    standin.remove("public-ipv4");
    assert_eq!(imds::ask(&base).await.unwrap().public, None);
}

#[tokio::test]
async fn what_is_not_the_metadata_says_nothing() {
    let standin = Standin::instance();
    let base = standin.serve().await;
    let long = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n{}",
        "x".repeat(999_999)
    );
    for raw in [
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na\r\nb",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "",
        &long,
    ] {
        *standin.raw.lock().unwrap() = Some(raw.as_bytes().to_vec());
        assert!(imds::ask(&base).await.is_err(), "{}", raw.len());
    }
    *standin.raw.lock().unwrap() = None;
    // What is told may be anything.
    standin.set("public-ipv4", "<html>");
    standin.set("mac", "../../../iam/security-credentials");
    let facts = imds::ask(&base).await.unwrap();
    assert_eq!((facts.public, facts.vpc.as_str()), (None, ""));
    standin.set("instance-id", "\u{1b}[31m");
    assert!(imds::ask(&base).await.is_err());
    let nobody: Base = "http://127.0.0.1:1".parse().unwrap();
    assert!(imds::ask(&nobody).await.is_err());
}

#[tokio::test]
async fn an_address_that_is_associated_later_is_told_and_a_silent_cloud_takes_none_away() {
    let standin = Standin::instance();
    standin.remove("public-ipv4");
    let base = standin.serve().await;
    let (cloud, keeping) = keep(base);
    let mut facts = cloud.0.clone();
    tokio::spawn(keeping);
    facts.changed().await.unwrap();
    assert_eq!(cloud.facts().unwrap().public, None);
    standin.set("public-ipv4", "54.215.234.52");
    // The minutes until the next question pass at once.
    tokio::time::pause();
    tokio::time::advance(EVERY).await;
    tokio::time::resume();
    facts.changed().await.unwrap();
    let public = cloud.facts().unwrap().public;
    assert_eq!(public, Some("54.215.234.52".parse().unwrap()));
    *standin.raw.lock().unwrap() = Some(Vec::new());
    tokio::time::pause();
    tokio::time::advance(EVERY).await;
    tokio::time::resume();
    assert!(imds::ask(&base).await.is_err());
    assert_eq!(cloud.facts().unwrap().public, public);
}
