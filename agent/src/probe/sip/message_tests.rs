use proptest::prelude::*;

use super::*;

const TO: &str = "172.31.16.138:8916";
const FROM: &str = "172.31.16.138:40000";

fn question(transport: Transport) -> Question {
    let chance = std::array::from_fn(|at| u8::try_from(at).unwrap());
    Question::new(
        transport,
        TO.parse().unwrap(),
        FROM.parse().unwrap(),
        chance,
    )
}

/// A proper answer, with one line replaced.
fn answer(line: &str, instead: &str) -> String {
    let text = "SIP/2.0 200 OK\r\n\
        Via: SIP/2.0/UDP 172.31.16.138:40000;branch=z9hG4bK0001020304050607;rport=40000\r\n\
        From: <sip:extend-agent@172.31.16.138>;tag=1011121314151617\r\n\
        To: <sip:172.31.16.138:8916>;tag=a6c8\r\n\
        Call-ID: 08090a0b0c0d0e0f@172.31.16.138\r\n\
        CSeq: 1 OPTIONS\r\n\
        Content-Length: 0\r\n\r\n";
    assert!(text.contains(line), "{line}");
    text.replace(line, instead)
}

#[test]
fn a_question_is_what_the_standard_wants_of_it() {
    let text = question(Transport::Udp).text();
    let expected = format!(
        "OPTIONS sip:172.31.16.138:8916 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 172.31.16.138:40000;branch=z9hG4bK0001020304050607;rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:extend-agent@172.31.16.138>;tag=1011121314151617\r\n\
         To: <sip:172.31.16.138:8916>\r\n\
         Call-ID: 08090a0b0c0d0e0f@172.31.16.138\r\n\
         CSeq: 1 OPTIONS\r\n\
         Contact: <sip:extend-agent@172.31.16.138:40000>\r\n\
         Accept: application/sdp\r\n\
         User-Agent: extend-agent/{}\r\n\
         Content-Length: 0\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(text, expected);
    let text = question(Transport::Tcp).text();
    assert!(text.starts_with("OPTIONS sip:172.31.16.138:8916;transport=tcp SIP/2.0\r\n"));
    assert!(text.contains("\r\nVia: SIP/2.0/TCP "), "{text}");
}

#[test]
fn answers_of_every_kind_are_answers() {
    for (line, instead, reply) in [
        ("", "", Reply::Final(200)),
        ("200 OK", "100 Trying", Reply::Provisional),
        ("200 OK", "183 Session Progress", Reply::Provisional),
        ("200 OK", "404 Not Found", Reply::Final(404)),
        ("200 OK", "503 Überlastet", Reply::Final(503)),
        ("200 OK", "699 ", Reply::Final(699)),
        ("200 OK", "405", Reply::Final(405)),
        ("SIP/2.0 200", "sip/2.0 200", Reply::Final(200)),
        ("Via:", "v :", Reply::Final(200)),
        ("Call-ID:", "i:", Reply::Final(200)),
        ("Call-ID:", "CALL-ID:", Reply::Final(200)),
        (
            "CSeq: 1 OPTIONS",
            "cseq:\t1\r\n  OPTIONS",
            Reply::Final(200),
        ),
        (
            ";branch=",
            ";x=\";branch=no,\\\"\" ; BRANCH = ",
            Reply::Final(200),
        ),
        ("Content-Length: 0\r\n", "", Reply::Final(200)),
        ("Content-Length: 0", "l: 000", Reply::Final(200)),
    ] {
        let message = if line.is_empty() {
            answer("SIP", "SIP")
        } else {
            answer(line, instead)
        };
        let found = question(Transport::Udp).judge(message.as_bytes());
        assert_eq!(found, Some(reply), "{line} -> {instead}");
    }
}

#[test]
fn what_is_not_an_answer_to_this_question_is_none() {
    for (line, instead) in [
        (
            "branch=z9hG4bK0001020304050607",
            "branch=z9hG4bK0001020304050608",
        ),
        (";branch=z9hG4bK0001020304050607", ""),
        ("branch=", "\"branch="),
        (
            "rport=40000",
            "rport=40000, SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1",
        ),
        (
            "From:",
            "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nFrom:",
        ),
        ("08090a0b", "18090a0b"),
        ("Call-ID:", "Call-IDs:"),
        ("CSeq:", "Call-ID: other\r\nCSeq:"),
        ("1 OPTIONS", "2 OPTIONS"),
        ("1 OPTIONS", "1 INVITE"),
        ("1 OPTIONS", "1 OPTIONS 1"),
        ("1 OPTIONS", "OPTIONS"),
        ("SIP/2.0 200 OK", "OPTIONS sip:a SIP/2.0"),
        ("SIP/2.0 200 OK", "HTTP/1.1 200 OK"),
        ("SIP/2.0 200 OK", "SIP/3.0 200 OK"),
        ("200 OK", "99 OK"),
        ("200 OK", "700 OK"),
        ("200 OK", "0200 OK"),
        ("200 OK", "+20 OK"),
        ("200 OK", ""),
        ("Content-Length: 0", "Content-Length: 1"),
        ("Content-Length: 0", "Content-Length: -1"),
        ("Content-Length: 0", "Content-Length: 0\r\nl: 0"),
        (
            "Content-Length: 0",
            "Content-Length: 99999999999999999999999",
        ),
        ("To:", "T\u{f6}:"),
        ("To:", "no field\r\nTo:"),
        ("\r\n\r\n", "\r\n"),
        ("\r\n", "\n"),
    ] {
        let message = answer(line, instead);
        let found = question(Transport::Udp).judge(message.as_bytes());
        assert_eq!(found, None, "{line} -> {instead}");
    }
    let many = "X: y\r\n".repeat(MAX_FIELDS);
    let message = answer("From:", &format!("{many}From:"));
    assert_eq!(question(Transport::Udp).judge(message.as_bytes()), None);
}

#[test]
fn a_message_on_a_connection_ends_where_it_says() {
    let whole = answer("Length: 0", "Length: 3") + "abc";
    let bytes = [b"\r\n\r\n", whole.as_bytes(), b"SIP/2.0 "].concat();
    let end = 4 + whole.len();
    for count in 0..bytes.len() {
        let expected = if count < end {
            Frame::Open
        } else {
            Frame::Whole(end)
        };
        assert_eq!(frame(&bytes[..count]), expected, "{count}");
    }
    assert_eq!(frame(b"220 mail\r\nno field\r\n\r\n"), Frame::Garbage);
    assert_eq!(frame(b"SSH-2.0-OpenSSH\r\n"), Frame::Open);
    let endless = format!("SIP/2.0 200 OK\r\nl: {}\r\n\r\n", usize::MAX);
    assert_eq!(frame(endless.as_bytes()), Frame::Garbage);
}

proptest! {
    #[test]
    fn garbage_is_no_answer_and_harms_nobody(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert_eq!(question(Transport::Udp).judge(&bytes), None);
        if let Frame::Whole(end) = frame(&bytes) {
            prop_assert!(end <= bytes.len());
        }
    }

    #[test]
    fn a_damaged_answer_is_the_same_answer_or_none(
        at in 0usize..300,
        with in prop::collection::vec(any::<u8>(), 0..8),
        cut in 0usize..8,
    ) {
        let mut bytes = answer("SIP", "SIP").into_bytes();
        let at = at.min(bytes.len());
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, with);
        let found = question(Transport::Udp).judge(&bytes);
        let status = bytes.get(8..11).and_then(|three| std::str::from_utf8(three).ok()?.parse().ok());
        match found {
            Some(Reply::Final(told)) => prop_assert_eq!(Some(told), status),
            Some(Reply::Provisional) => prop_assert!(status.is_some_and(|told| told < 200)),
            None => {}
        }
        let _ = frame(&bytes);
    }

    #[test]
    fn an_answer_to_another_question_is_none(chance in any::<[u8; CHANCE]>()) {
        let ours = question(Transport::Udp);
        let other = Question::new(ours.transport, ours.to, ours.from, chance);
        let known = answer("SIP", "SIP");
        let is_same = other.branch == ours.branch && other.call == ours.call;
        prop_assert_eq!(other.judge(known.as_bytes()).is_some(), is_same);
        // What answers it as it stands is one to it.
        let echoed = other.text().replacen(&format!("OPTIONS sip:{TO} SIP/2.0"), "SIP/2.0 486 Busy", 1);
        prop_assert_eq!(other.judge(echoed.as_bytes()), Some(Reply::Final(486)));
    }
}
