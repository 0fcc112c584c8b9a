//! As much of SIP as a server owes to whoever asks whether it is there: OPTIONS is answered, and
//! nothing else. Pure.
//!
//! Written from RFC 3261 (8.2.6) and on purpose without a line of the agent's: a stand-in that
//! shared its reader would agree with every mistake in it.

/// More than any question; a peer that sends more says nothing that is understood.
pub(crate) const MAX_QUESTION: usize = 8 * 1024;

/// Where the first request ends, if all of it is there. None of them has a body.
pub(crate) fn end_of_request(bytes: &[u8]) -> Option<usize> {
    let found = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    found.map(|at| at + 4)
}

/// What answers a request; nothing when it is no OPTIONS.
pub(crate) fn answer(request: &[u8], status: u16) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(request).ok()?;
    let mut lines = text.split("\r\n");
    let first = lines.next()?;
    if !(first.starts_with("OPTIONS sip:") && first.ends_with(" SIP/2.0")) {
        return None;
    }
    let (mut echoed, mut names) = (String::new(), Vec::new());
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, _) = line.split_once(':')?;
        if ["Via", "From", "To", "Call-ID", "CSeq"].contains(&name) {
            echoed += line;
            echoed += if name == "To" {
                ";tag=standin\r\n"
            } else {
                "\r\n"
            };
            names.push(name);
        }
    }
    let is_whole = names.len() == 5;
    is_whole.then(|| {
        let phrase = if status == 200 { "OK" } else { "Told to" };
        format!("SIP/2.0 {status} {phrase}\r\n{echoed}Content-Length: 0\r\n\r\n").into_bytes()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &str = "OPTIONS sip:127.0.0.1:8916 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 127.0.0.1:5;branch=z9hG4bKa;rport\r\nMax-Forwards: 70\r\n\
        From: <sip:a@127.0.0.1>;tag=b\r\nTo: <sip:127.0.0.1:8916>\r\nCall-ID: c\r\n\
        CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn options_are_answered_with_what_makes_the_answer_theirs() {
        let answer = String::from_utf8(answer(QUESTION.as_bytes(), 503).unwrap()).unwrap();
        assert_eq!(
            answer,
            "SIP/2.0 503 Told to\r\nVia: SIP/2.0/UDP 127.0.0.1:5;branch=z9hG4bKa;rport\r\n\
             From: <sip:a@127.0.0.1>;tag=b\r\nTo: <sip:127.0.0.1:8916>;tag=standin\r\n\
             Call-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(end_of_request(QUESTION.as_bytes()), Some(QUESTION.len()));
        assert_eq!(
            end_of_request(&QUESTION.as_bytes()[..QUESTION.len() - 1]),
            None
        );
    }

    #[test]
    fn nothing_else_is() {
        for other in [
            QUESTION.replace("OPTIONS sip:", "INVITE sip:"),
            QUESTION.replace("CSeq", "X"),
            QUESTION.replace("SIP/2.0\r\nVia", "HTTP/1.1\r\nVia"),
            String::new(),
        ] {
            assert_eq!(answer(other.as_bytes(), 200), None, "{other}");
        }
    }
}
