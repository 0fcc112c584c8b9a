//! Lines as services write them, and what is left of them.

use super::*;

/// Every secret in the lines below has it, and nothing else has.
const CANARY: &str = "hunter2";

/// Every line becomes what is expected, and has no secret any more.
fn assert_told(lines: &[(&str, &str)]) {
    for (line, expected) in lines {
        let told = Redactor::default().line(line);
        assert_eq!(told, *expected, "{line}");
        // But for the name of a user.
        let told = told.replace("nats://hunter2", "");
        assert!(!told.contains(CANARY), "{told}");
    }
}

#[test]
fn secrets_go_and_the_rest_stays() {
    assert_told(&[
        ("password=hunter2", "password=[redacted]"),
        (
            "superuser_password = hunter2 with spaces",
            "superuser_password = [redacted]",
        ),
        ("Password: hunter2", "Password: [redacted]"),
        (
            "db.pwd=hunter2 db.host=10.0.0.1",
            "db.pwd=[redacted] db.host=10.0.0.1",
        ),
        ("a=1&token=hunter2&b=2", "a=1&token=[redacted]&b=2"),
        (
            r#"{"user":"a","api_key":"hunter2","n":1}"#,
            r#"{"user":"a","api_key":"[redacted]","n":1}"#,
        ),
        (
            r#"{"secret": "hun\"hunter2", "n": 1}"#,
            r#"{"secret": "[redacted]", "n": 1}"#,
        ),
        ("access_token='hunter2' ok", "access_token='[redacted]' ok"),
        ("Authorization: Bearer hunter2", "Authorization: [redacted]"),
        (
            r#"Proxy-Authorization: Digest username="a", response="hunter2""#,
            "Proxy-Authorization: [redacted]",
        ),
        ("sent Bearer hunter2 to it", "sent Bearer [redacted] to it"),
        ("Set-Cookie: sid=hunter2; Path=/", "Set-Cookie: [redacted]"),
        (
            "postgres://portsip:hunter2@10.0.0.1:5432/db",
            "postgres://portsip:[redacted]@10.0.0.1:5432/db",
        ),
        ("nats://hunter2:hunter2@h", "nats://hunter2:[redacted]@h"),
        ("run --password hunter2 -v", "run --password [redacted] -v"),
        (
            "run --pg-superuser-password=hunter2 x",
            "run --pg-superuser-password=[redacted]",
        ),
        (
            "a=crypto:1 AES_CM_128 inline:hunter2|2^20",
            "a=crypto:1 AES_CM_128 inline:[redacted]",
        ),
        (
            "key eyJhbGciOiJIUzI1NiJ9.e30.abcdefgh end",
            "key [redacted] end",
        ),
        ("id AKIAIOSFODNN7EXAMPLE end", "id [redacted] end"),
        (
            "x wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY1234 y",
            "x [redacted] y",
        ),
        (
            "env CLICKHOUSE_PASSWORD=hunter2",
            "env CLICKHOUSE_PASSWORD=[redacted]",
        ),
        ("password => hunter2", "password => [redacted]"),
        ("токен secret: hunter2 ж", "токен secret: [redacted]"),
    ]);
}

#[test]
fn whatever_a_secret_holds_and_wherever_it_stands_all_of_it_goes() {
    assert_told(&[
        // Whatever a password holds, its rest goes too.
        ("password=a;hunter2", "password=[redacted]"),
        (r#"password=a"hunter2"#, "password=[redacted]"),
        ("password=a hunter2)", "password=[redacted])"),
        ("password={SHA}hunter2", "password=[redacted]"),
        ("password=[hunter2", "password=[redacted]"),
        (
            r#"{"msg":"with password=hunter2","level":"info"}"#,
            r#"{"msg":"with password=[redacted]","level":"info"}"#,
        ),
        // Texts within texts.
        (
            r#""{\"password\":\"hunter2\",\"n\":1}""#,
            r#""{\"password\":\"[redacted]\",\"n\":1}""#,
        ),
        (
            r#""{\"password\":\"a\\\"hunter2\",\"n\":1}""#,
            r#""{\"password\":\"[redacted]\",\"n\":1}""#,
        ),
        // Lists and objects whole.
        (
            r#"{"tokens": ["hunter2", "hunter2"], "n": 1}"#,
            r#"{"tokens": [redacted], "n": 1}"#,
        ),
        (
            r#"{"credentials": {"user": "a", "value": {"is": "hunter2"}}, "n": 1}"#,
            r#"{"credentials": [redacted], "n": 1}"#,
        ),
        // As settings in XML, and statements in a database's log, have them.
        (
            "<password>hunter2</password>",
            "<password>[redacted]</password>",
        ),
        (
            r#"<add key="db.password" value="hunter2" />"#,
            r#"<add key="db.password" value="[redacted]" />"#,
        ),
        (
            r#"{"name": "password", "value": "hunter2"}"#,
            r#"{"name": "password", "value": "[redacted]"}"#,
        ),
        (
            "ALTER ROLE portsip WITH PASSWORD 'hunter2';",
            "ALTER ROLE portsip WITH PASSWORD '[redacted]';",
        ),
        (
            "CREATE USER a IDENTIFIED BY 'hunter2' x",
            "CREATE USER a IDENTIFIED BY '[redacted]' x",
        ),
        ("voicemail_pin=hunter2", "voicemail_pin=[redacted]"),
        ("dbpass: hunter2", "dbpass: [redacted]"),
        ("jwt_signing_key=hunter2", "jwt_signing_key=[redacted]"),
        (
            "x MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj+/A= y",
            "x [redacted] y",
        ),
    ]);
}

#[test]
fn what_is_no_secret_is_left() {
    for line in [
        "",
        "no answer to SIP OPTIONS on udp/8916 for 3 × 5 s",
        "token expired",
        "the password is wrong",
        "password:",
        "container 3f2a9c41d0aac0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffee1234 started",
        "portsip/pbx@sha256:3f2a9c41d0aac0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffee1234",
        "http://127.0.0.1:8902/svr_stats",
        "sip:1001@10.0.0.1:5060",
        "token=[redacted] and more",
        "password '' is empty",
        "/opt/PortSIP1/Media2/Server3/Recordings4/Files5/Calls6/today",
        "2026-11-30T22:53:00.123Z INFO call 7 ended",
        "/var/lib/portsip/media-server-only/log/mediaserver-2026-11-30.log",
    ] {
        assert_eq!(Redactor::default().line(line), line);
    }
}

#[test]
fn a_private_key_goes_whole_over_all_its_lines() {
    let text = "before\nx -----BEGIN EC PRIVATE KEY-----\nhunter2\nhunter2==\n-----END EC PRIVATE \
                KEY-----\nafter";
    let mut redactor = Redactor::default();
    let told: Vec<_> = text.lines().map(|line| redactor.line(line)).collect();
    let expected = [
        "before",
        "x [redacted]",
        "[redacted]",
        "[redacted]",
        "[redacted]",
        "after",
    ];
    assert_eq!(told, expected);
    let one = "k: -----BEGIN PRIVATE KEY-----hunter2-----END PRIVATE KEY----- z";
    assert_eq!(redactor.line(one), "k: [redacted]");
    assert_eq!(redactor.line("next"), "next");
}

#[test]
fn a_key_without_an_end_does_not_take_the_rest_of_the_text() {
    let mut redactor = Redactor::default();
    assert_eq!(redactor.line("-----BEGIN PRIVATE KEY-----"), REDACTED);
    let of_key = (0..1_000).filter(|_| redactor.line("a line") == REDACTED);
    assert_eq!(of_key.count(), LINES_OF_KEY);
}

#[test]
fn arguments_and_environments_are_told_by_their_names() {
    let words = [
        "im",
        "serve",
        "-t",
        "hunter2",
        "-a",
        "54.151.30.9",
        "--password",
        "hunter2",
    ];
    let told = arguments(words);
    let expected = [
        "im",
        "serve",
        "-t",
        "[redacted]",
        "-a",
        "54.151.30.9",
        "--password",
    ];
    assert_eq!(told[..7], expected);
    assert_eq!(told[7], REDACTED);
    assert_eq!(
        arguments(["--token=hunter2", "-x"]),
        ["--token=[redacted]", "-x"]
    );
    assert_eq!(
        arguments(["-c", "im serve -t hunter2 --password=hunter2"]),
        ["-c", "im serve -t [redacted] --password=[redacted]"]
    );
    let told = environment([
        "LD_LIBRARY_PATH=/usr/local/lib",
        "POSTGRES_USER=hunter2",
        "X",
    ]);
    assert_eq!(
        told,
        [
            "LD_LIBRARY_PATH=/usr/local/lib",
            "POSTGRES_USER=[redacted]",
            "X"
        ]
    );
}

#[test]
fn any_text_is_told_somehow_and_a_named_secret_never() {
    let odd = [
        "\"", "'", "=", ":", "://", "@", "-", "ä", " ", "{", "\\", "\u{0}", "token", ",",
    ];
    for one in odd {
        for two in odd {
            for three in odd {
                let line = format!("{one}{two}{three}");
                drop(Redactor::default().line(&line));
                let line = format!("{one}{two}{three} password=hunter2 {one}{two}");
                let told = Redactor::default().line(&line);
                assert!(!told.contains(CANARY), "{line} became {told}");
            }
        }
    }
}

/// Lines of one text.
fn told(lines: &[&str]) -> Vec<String> {
    let mut redactor = Redactor::default();
    lines.iter().map(|line| redactor.line(line)).collect()
}

#[test]
fn whatever_stands_around_a_name_its_secret_goes() {
    for line in [
        r#"{"msg":"REGISTER sip:a SIP/2.0\r\nAuthorization: Digest x=\"1\", response=\"hunter2\""}"#,
        r#"{"msg":"GET /\r\nCookie: sid=hunter2"}"#,
        r#"http.request.header.authorization="Basic hunter2""#,
        "'HTTP_AUTHORIZATION': 'Basic hunter2'",
        "req.headers.cookie: hunter2",
        "\u{1b}[32mAuthorization: Basic hunter2",
        r"a\npin=hunter2",
        r"a\tpassword=hunter2",
        "\u{1b}[36mpassword\u{1b}[0m=hunter2",
        "\u{1b}[36mpassword=\u{1b}[0mhunter2",
        r"{\u0022password\u0022:\u0022hunter2\u0022,\u0022n\u0022:1}",
        r"\u003cpassword\u003ehunter2\u003c/password\u003e",
        "{&quot;password&quot;:&quot;hunter2&quot;}",
        "&lt;password&gt;hunter2&lt;/password&gt;",
        r#"<password type="string">hunter2</password>"#,
        "<password><![CDATA[hunter2]]></password>",
        r#"<param name="password" type="s" value="hunter2"/>"#,
        r#""Cmd":["serve","--password","hunter2"]"#,
        "ALTER ROLE a PASSWORD 'it''s-hunter2' VALID",
        r#"{"voicemailPin":"hunter2"}"#,
        "userPin=hunter2",
        "pinCode: hunter2",
        "auth_key=hunter2",
        "INVITE sip:1001:hunter2@10.0.0.1 SIP/2.0",
        "postgres://u:hunter2/x@h/db",
        "postgres://u:a/hunter2?b@h/db",
    ] {
        let told = plain(line);
        assert!(!told.contains(CANARY), "{line}\n{told}");
        assert!(told.contains(REDACTED), "{line}\n{told}");
    }
    assert_eq!(arguments(["-t=hunter2"]), ["-t=[redacted]"]);
}

#[test]
fn what_is_no_secret_stays_beside_all_that() {
    for line in [
        "INVITE sip:1001@10.0.0.1 SIP/2.0",
        "From: <sip:1001@pbx.example>;tag=1",
        "https://10.0.0.1:8887/api?page=a@b",
        "\u{1b}[32mINFO\u{1b}[0m started",
        r"one\nline\ttwo",
        "<item name=\"a\" value=\"b\"/>",
        "spinning=3 pinged=2",
    ] {
        assert_eq!(plain(line), line);
    }
}

#[test]
fn a_value_that_goes_on_behind_its_line_goes_whole_and_what_follows_stays() {
    assert_eq!(
        told(&["\"tokens\": [", "  \"hunter2\",", "  [1]", "],", "\"n\": 1"]),
        [
            "\"tokens\": [redacted]",
            REDACTED,
            REDACTED,
            REDACTED,
            "\"n\": 1"
        ]
    );
    assert_eq!(
        told(&["\"credentials\": {", "  \"value\": \"hunter2\"", "}", "n=1"]),
        ["\"credentials\": [redacted]", REDACTED, REDACTED, "n=1"]
    );
    assert_eq!(
        told(&[
            "  password: |",
            "    hunter2",
            "",
            "    hunter2",
            "  port: 1"
        ]),
        [
            "  password: [redacted]",
            REDACTED,
            REDACTED,
            REDACTED,
            "  port: 1"
        ]
    );
    assert_eq!(
        told(&[
            "Authorization: Digest a=\"b\",",
            "  response=\"hunter2\"",
            "Via: x"
        ]),
        ["Authorization: [redacted]", REDACTED, "Via: x"]
    );
    let mut endless = vec!["secrets: {"];
    endless.resize(LINES_OF_VALUE + 2, "line");
    assert_eq!(told(&endless).last().unwrap(), "line", "not for ever");
}

#[test]
fn a_folded_header_ends_with_an_empty_line() {
    assert_eq!(
        told(&["Cookie: hunter2", "", "  at main.rs:1"]),
        ["Cookie: [redacted]", "", "  at main.rs:1"]
    );
}

#[test]
fn keys_are_found_behind_runs_that_are_none() {
    let key = "Zm9vYmFyMTIz".repeat(4);
    assert_eq!(plain(&format!("a+b+c {key}")), "a+b+c [redacted]");
    assert_eq!(plain(&format!("a+{key}")), REDACTED);
    assert_eq!(plain("password=a, , ,b , n=1"), "password=[redacted] , n=1");
}
