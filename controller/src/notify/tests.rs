//! Receivers that fail, hang, and come back. Sockets and processes are real.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::email::Sent;
use super::message::{Message, trial};
use super::{Failed, email, http, program};
use crate::config::alerts::{Email, Format, Place, Program, Tls, Webhook};

const SECRET: &str = "T0PSECRET";

fn message() -> Message {
    trial(
        "noc",
        "an<n>a & co",
        Timestamp::from_second(1_795_000_000).unwrap(),
    )
}

fn secret_file(directory: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// Answers one request so, and returns what was asked.
async fn hook(listener: &TcpListener, answer: &str) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut asked = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece).await.unwrap();
        asked.extend(&piece[..count]);
        let text = String::from_utf8_lossy(&asked);
        if count == 0 || text.ends_with('}') {
            break;
        }
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8(asked).unwrap()
}

#[tokio::test]
async fn a_webhook_is_taken_with_2xx_and_nothing_of_its_secrets_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "http://{}/services/{SECRET}",
        listener.local_addr().unwrap()
    );
    let webhook = Webhook {
        url: Place::File(secret_file(directory.path(), "url", &url)),
        format: Format::Slack,
        token_file: Some(secret_file(directory.path(), "token", SECRET)),
        ca_file: None,
    };
    let body = message();
    let ok = "HTTP/1.1 204 No Content\r\n\r\n";
    let (taken, asked) = tokio::join!(http::post(&webhook, &body), hook(&listener, ok));
    assert_eq!(taken, Ok(()));
    assert!(
        asked.starts_with(&format!("POST /services/{SECRET} HTTP/1.1\r\n")),
        "{asked}"
    );
    assert!(
        asked.contains(&format!("Bearer {SECRET}")) && asked.contains("{\"text\":\"[Extend] TEST")
    );
    assert!(
        asked.contains("sent by an&lt;n&gt;a &amp; co at"),
        "{asked}"
    );
    for (answer, lasting) in [
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", true),
        ("HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n", true),
        ("HTTP/1.1 429 Slow\r\ncontent-length: 0\r\n\r\n", false),
        ("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", false),
        // It takes the message and dies.
        ("", false),
        ("HTTP/1.1 2", false),
    ] {
        let (taken, _) = tokio::join!(http::post(&webhook, &body), hook(&listener, answer));
        let failed: Failed = taken.unwrap_err();
        assert_eq!(failed.lasting, lasting, "{answer}: {failed}");
        assert!(
            !format!("{failed:?} {webhook:?}").contains(SECRET),
            "{failed:?}"
        );
    }
    drop(listener);
    let failed = http::post(&webhook, &body).await.unwrap_err();
    assert!(
        !failed.lasting && !failed.sentence.contains(SECRET),
        "{failed}"
    );
    let inline = Place::Url(url);
    assert!(!format!("{inline:?}").contains(SECRET));
}

/// Plays one conversation: a code for each thing that is said; the last one twice for the text.
async fn smtp(listener: &TcpListener, verdict: &str) -> String {
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 mail ESMTP\r\n").await.unwrap();
    let mut said = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap() == 0 {
            return said;
        }
        said.push_str(&line);
        let word = line.split([' ', '\r']).next().unwrap_or_default();
        let answer = match word {
            "EHLO" => "250 mail\r\n".to_owned(),
            "DATA" => "354 go\r\n".to_owned(),
            "." if verdict.is_empty() => return said,
            "." => format!("{verdict}\r\n"),
            "MAIL" | "RCPT" | "QUIT" | "RSET" => "250 ok\r\n".to_owned(),
            _ => continue,
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
        if word == "." {
            return said;
        }
    }
}

async fn once(mail: &Email, body: &Message) -> Result<(), Failed> {
    email::send(mail, body, &mut Sent::default()).await
}

/// To a server of ours, in the clear.
fn mail_to(server: &TcpListener, to: &[&str]) -> Email {
    Email {
        host: "127.0.0.1".to_owned(),
        port: server.local_addr().unwrap().port(),
        tls: Tls::None,
        username: None,
        password_file: None,
        ca_file: None,
        from: "Extend <extend@example.com>".to_owned(),
        to: to.iter().map(ToString::to_string).collect(),
    }
}

#[tokio::test]
async fn a_mail_is_taken_when_the_server_says_so_after_the_text() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mail = mail_to(&listener, &["noc@example.com"]);
    let body = message();
    let (sent, said) = tokio::join!(once(&mail, &body), smtp(&listener, "250 kept"));
    assert_eq!(sent, Ok(()));
    assert!(said.contains("RCPT TO:<noc@example.com>"), "{said}");
    assert!(said.contains(&format!("<{}@extend>", body.id)), "{said}");
    for (verdict, lasting) in [("451 later", false), ("554 never", true), ("", false)] {
        let (sent, _) = tokio::join!(once(&mail, &body), smtp(&listener, verdict));
        assert_eq!(sent.unwrap_err().lasting, lasting, "{verdict}");
    }
    let secure = Email {
        tls: Tls::Starttls,
        ..mail
    };
    let (sent, said) = tokio::join!(once(&secure, &body), smtp(&listener, "250 kept"));
    assert!(
        sent.is_err() && !said.contains("MAIL FROM"),
        "never in the clear: {said}"
    );
}

/// Takes mail for everybody but one, until it is dropped; notes who was asked for.
async fn refuse(listener: &TcpListener, (who, code): (&str, &str), asked: &mut Vec<String>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 mail ESMTP\r\n").await.unwrap();
        let mut line = String::new();
        while stream
            .read_line(&mut line)
            .await
            .is_ok_and(|count| count > 0)
        {
            let word = line.split([' ', '\r']).next().unwrap_or_default();
            if word == "RCPT" {
                asked.push(line.trim().to_owned());
            }
            let answer = match word {
                "RCPT" if line.contains(who) => format!("{code} no\r\n"),
                "DATA" => "354 go\r\n".to_owned(),
                "EHLO" | "MAIL" | "RCPT" | "QUIT" | "RSET" | "." => "250 ok\r\n".to_owned(),
                _ => String::new(),
            };
            line.clear();
            if stream.write_all(answer.as_bytes()).await.is_err() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_address_that_is_refused_keeps_a_mail_from_nobody_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = ["noc@example.com", "boss@example.com"];
    let mail = mail_to(&listener, &to);
    let body = message();
    let try_once = async |refused: (&str, &str), sent: &mut Sent| {
        let mut asked = Vec::new();
        let result = tokio::select! {
            result = email::send(&mail, &body, sent) => result,
            () = refuse(&listener, refused, &mut asked) => unreachable!(),
        };
        (result, asked)
    };
    let noc = "RCPT TO:<noc@example.com>";
    let boss = "RCPT TO:<boss@example.com>";
    let mut sent = Sent::default();
    let (result, asked) = try_once(("noc@", "550"), &mut sent).await;
    assert_eq!(
        (result, asked),
        (Ok(()), vec![noc.to_owned(), boss.to_owned()])
    );
    // Refused for the moment: tried again for him alone, and in the end no longer.
    let mut sent = Sent::default();
    for number in 1..=5 {
        let (result, asked) = try_once(("noc@", "450"), &mut sent).await;
        let all = [noc, boss];
        let expected = if number == 1 { &all[..] } else { &all[..1] };
        assert_eq!(asked, expected, "{number}");
        assert_eq!(result.is_ok(), number == 5, "{number}: {result:?}");
    }
    // Nobody is taken: it is kept.
    let (result, _) = try_once(("@example", "550"), &mut Sent::default()).await;
    assert!(result.unwrap_err().lasting);
}

#[tokio::test]
async fn a_program_is_ended_with_its_children_and_gets_the_json() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let run = |script: String, timeout: u64| {
        let command = vec!["/bin/sh".to_owned(), "-c".to_owned(), script];
        let timeout = Duration::from_secs(timeout);
        async move { program::run(&Program { command, timeout }, &message()).await }
    };
    let out = path.join("out");
    let script = format!(
        "cat > {0}; echo \"$EXTEND_ALERT_STATUS\" >> {0}",
        out.display()
    );
    assert_eq!(run(script, 20).await, Ok(()));
    let told = std::fs::read_to_string(&out).unwrap();
    assert!(
        told.contains("\"status\":\"test\"") && told.ends_with("test\n"),
        "{told}"
    );
    let failed = run("exit 3".to_owned(), 20).await.unwrap_err();
    assert!(failed.sentence.contains("exit status: 3"), "{failed}");
    // It waits for a child that hangs, and holds its output.
    let pid = path.join("pid");
    let script = format!("sleep 600 & echo $! > {}; wait", pid.display());
    let failed = run(script, 1).await.unwrap_err();
    assert!(failed.sentence.contains("has not ended"), "{failed}");
    let child = std::fs::read_to_string(&pid).unwrap();
    let is_gone = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
        stat.map_or(true, |stat| stat.contains(") Z "))
    };
    until("the child is gone", is_gone).await;
    // What has left the group and holds the output writes to nobody.
    let (left, end) = (path.join("left"), path.join("end"));
    let (left, ended) = (left.display(), end.display());
    let script = format!(
        "setsid sh -c \"touch {left}; trap '' PIPE; while echo x; do sleep 0.05; done; \
         touch {ended}\" 2>/dev/null & while [ ! -e {left} ]; do sleep 0.05; done"
    );
    assert_eq!(run(script, 20).await, Ok(()));
    until("nobody reads any more", || end.exists()).await;
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let looked = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, looked).await.expect(what);
}
