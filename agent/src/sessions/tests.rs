//! The kernel's tables as it writes them, and as nobody may be misled by them.

use std::net::UdpSocket;

use super::*;

/// As a kernel 6.18 wrote it: two sockets of root's, one of them with 20 packets waiting, a
/// connected one, one that has dropped eleven, an ephemeral one, and one of 888.
const UDP: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops            \n \
1892: 0100007F:88B8 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 9609094 2 0000000012599be5 0       \n \
1893: 0100007F:88B9 00000000:0000 07 00000000:00004100 00:00000000 00000000     0        0 9609095 2 00000000abbf7d56 0       \n \
6892: 0100007F:9C40 0100007F:88B8 01 00000000:00000000 00:00000000 00000000     0        0 9609097 2 000000009a09b8f4 0       \n \
7892: 0100007F:A028 00000000:0000 07 00000000:00001D40 00:00000000 00000000     0        0 9609099 2 0000000078d71ed8 11      \n \
8417: 00000000:A235 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 9609119 2 0000000055ed68ac 0       \n \
8892: 0100007F:A410 00000000:0000 07 00000000:00000000 00:00000000 00000000   888        0 9609122 2 0000000089f72067 0       \n\
15508: 0100007F:FDE8 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 9609096 2 0000000037b33a18 0       \n";

const UDP6: &str = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n \
6894: 00000000000000000000000000000000:9C42 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000   888        0 9609098 2 00000000aab14fed 0\n";

fn how(uid: u32) -> SessionsDefinition {
    SessionsDefinition {
        udp: "35000-65000".parse().unwrap(),
        uid,
        sockets: 4,
        drain: Duration::from_secs(1800),
        spare: std::time::Duration::from_secs(1800),
    }
}

fn read(table: &str, uid: u32) -> Result<Vec<Socket>, String> {
    sockets(table.as_bytes(), &how(uid))
}

fn socket(inode: u64, queued: u64, dropped: u64) -> Socket {
    Socket {
        port: 35_000,
        inode,
        queued,
        dropped,
    }
}

fn count(before: &[Socket], now: &[Socket]) -> Option<u64> {
    sessions(before, now, 4).sessions
}

#[test]
fn sockets_of_the_user_in_the_range_are_found() {
    let found = read(UDP, 888).unwrap();
    let expected = Socket {
        port: 42_000,
        inode: 9_609_122,
        queued: 0,
        dropped: 0,
    };
    assert_eq!(found, [expected]);
    assert_eq!(read(UDP6, 888).unwrap()[0].port, 40_002);
    let of_root = read(UDP, 0).unwrap();
    let ports: Vec<u16> = of_root.iter().map(|socket| socket.port).collect();
    assert_eq!(ports, [35_000, 35_001, 40_000, 41_000, 41_525, 65_000]);
    assert_eq!((of_root[1].queued, of_root[3].dropped), (0x4100, 11));
    assert_eq!(read(UDP, 1), Ok(Vec::new()), "nobody else's");
    let narrow = SessionsDefinition {
        udp: "35002-39999".parse().unwrap(),
        ..how(0)
    };
    assert_eq!(sockets(UDP.as_bytes(), &narrow), Ok(Vec::new()));
    let head = UDP.lines().next().unwrap().to_owned() + "\n";
    assert_eq!(read(&head, 888), Ok(Vec::new()), "a table without sockets");
}

#[test]
fn a_table_that_is_not_understood_says_nothing() {
    let line = UDP.lines().nth(6).unwrap();
    let with = |from: &str, to: &str| UDP.replace(line, &line.replacen(from, to, 1));
    for (damaged, words) in [
        (String::new(), "it is empty"),
        ("nonsense\n".to_owned(), "does not begin"),
        (UDP.replace(" drops", ""), "does not begin"),
        (
            UDP.lines().skip(1).collect::<Vec<_>>().join("\n"),
            "does not begin",
        ),
        (with("A410", "GGGG"), "line 7 is no socket"),
        (with("A410", "1A410"), "line 7 is no socket"),
        (with("0100007F", "0100007"), "line 7 is no socket"),
        (with("0100007F", "x100007F"), "line 7 is no socket"),
        (with("888", "-888"), "line 7 is no socket"),
        (with("888", "8888888888"), "line 7 is no socket"),
        (with("9609122", "inode"), "line 7 is no socket"),
        (
            with("00000000:00000000 00:", "00000000 00:"),
            "line 7 is no socket",
        ),
        (with("8892:", "8892"), "line 7 is no socket"),
        (with(" 2 ", " "), "line 7 is no socket"),
        (with(" 2 ", " 2 2 "), "line 7 is no socket"),
        (UDP.replace(line, "\0"), "line 7 is no socket"),
        (UDP.replace(line, &"7".repeat(4000)), "line 7 is no socket"),
        // Cut off, and every number in it still one.
        (UDP.trim_end().to_owned(), "line 8 is no socket"),
        (UDP[..UDP.len() - 40].to_owned(), "line 8 is no socket"),
    ] {
        let told = read(&damaged, 888).expect_err(&damaged);
        assert!(told.contains(words), "{told}: {damaged}");
    }
    let bytes = [UDP.as_bytes(), &[0xff, 0xfe, b'\n']].concat();
    sockets(bytes.as_slice(), &how(888)).unwrap_err();
}

#[test]
fn a_session_has_four_sockets_and_a_part_of_one_counts() {
    for (sockets, expected) in [(0, 0), (1, 1), (4, 1), (5, 2), (164, 41)] {
        let all: Vec<Socket> = (0..sockets).map(|inode| socket(inode, 0, 0)).collect();
        assert_eq!(count(&all, &all), Some(expected), "{sockets}");
    }
    assert_eq!(sessions(&[], &[socket(1, 0, 0)], 0).sessions, Some(1));
}

#[test]
fn what_nobody_reads_is_no_session() {
    let live = socket(1, 0, 0);
    for (before, now, expected) in [
        // It waits, and more has come.
        (socket(1, 160, 0), socket(1, 320, 0), 0),
        // There is no more room.
        (socket(1, 212_992, 3), socket(1, 212_992, 53), 0),
        // One packet that has just come is nothing.
        (live, socket(1, 160, 0), 1),
        // It was read, and the next has come already.
        (socket(1, 160, 0), socket(1, 160, 0), 1),
        (socket(1, 320, 0), socket(1, 160, 0), 1),
        (socket(1, 320, 0), live, 1),
        // It drops what is too much, and is read.
        (socket(1, 0, 3), socket(1, 0, 53), 1),
        // Another socket has the port by now.
        (socket(1, 160, 0), socket(2, 320, 0), 1),
    ] {
        assert_eq!(
            count(&[before], &[now]),
            Some(expected),
            "{before:?} {now:?}"
        );
    }
    let told = sessions(&[socket(1, 1, 0)], &[socket(1, 2, 0), socket(2, 0, 0)], 1);
    assert_eq!(told.sessions, Some(1));
    assert_eq!(told.note, "1 socket is not read by anybody");
}

#[test]
fn only_what_is_known_three_times_is_over() {
    let none = || SessionCount {
        sessions: Some(0),
        note: String::new(),
    };
    let some = SessionCount {
        sessions: Some(1),
        ..none()
    };
    let mut tally = Tally::begun();
    assert!(!tally.is_over() && tally.is_undecided());
    tally = tally.after(none()).after(none());
    assert!(!tally.is_over() && tally.is_undecided());
    for between in [some, unknown("no")] {
        let again = tally.after(between).after(none()).after(none());
        assert!(!again.is_over() && again.is_undecided(), "{again:?}");
        assert!(again.after(none()).is_over());
    }
    let never = Tally::never("nobody knows");
    assert!(!never.is_over() && !never.is_undecided());
}

#[tokio::test(start_paused = true)]
async fn a_first_look_alone_says_nothing_and_another_run_begins_anew() {
    let source = MemorySessions::new();
    let of = |started: &str| Counted {
        stamp: Stamp::default(),
        instance: Instance {
            container_id: "c1".to_owned(),
            started_at: started.to_owned(),
        },
        every: SOON,
        how: how(888),
    };
    let (wanted, wanted_from) = watch::channel(None);
    let (found_to, mut found) = watch::channel(None);
    let task = tokio::spawn(run(Arc::new(source.clone()), wanted_from, found_to));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(source.looks(), 0, "nobody has asked");
    let mut next = async || {
        found.changed().await.unwrap();
        found.borrow_and_update().clone().unwrap()
    };
    source.set(41);
    wanted.send_replace(Some(of("first")));
    assert_eq!(next().await.1, Tally::begun());
    assert_eq!(next().await.1.count.sessions, Some(41));
    source.set_unknown("no such file");
    assert_eq!(next().await.1.count, unknown("no such file"));
    source.set(0);
    // The one before could not be read: there is nothing to compare with.
    assert_eq!(next().await.1.count, unknown("no such file"));
    for quiet in 1..=QUIET {
        assert_eq!(next().await.1.quiet, quiet);
    }
    wanted.send_replace(Some(of("second")));
    let (counted, tally) = next().await;
    assert_eq!((counted, tally), (of("second"), Tally::begun()));
    wanted.send_replace(None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let looks = source.looks();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(source.looks(), looks);
    drop(wanted);
    task.await.unwrap();
}

#[test]
fn the_kernel_shows_real_sockets_and_whether_they_are_read() {
    let uid = nix::unistd::geteuid().as_raw();
    let source = KernelSessions::default();
    let one = UdpSocket::bind("127.0.0.1:0").unwrap();
    let six = UdpSocket::bind("[::1]:0").unwrap();
    let ports = [
        one.local_addr().unwrap().port(),
        six.local_addr().unwrap().port(),
    ];
    let look = |port: u16| {
        let how = SessionsDefinition {
            udp: port.to_string().parse().unwrap(),
            uid,
            ..how(uid)
        };
        source.look(&how).unwrap()
    };
    for port in ports {
        assert_eq!(look(port).len(), 1, "{port}");
    }
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let send = || {
        sender
            .send_to(&[0; 160], one.local_addr().unwrap())
            .unwrap()
    };
    send();
    let first = look(ports[0]);
    send();
    let second = look(ports[0]);
    assert_eq!(count(&first, &second), Some(0), "{first:?} {second:?}");
    one.recv(&mut [0; 200]).unwrap();
    one.recv(&mut [0; 200]).unwrap();
    let third = look(ports[0]);
    assert_eq!(count(&second, &third), Some(1), "{second:?} {third:?}");
    drop(one);
    assert!(look(ports[0]).is_empty());
}

#[test]
fn without_the_hosts_users_or_tables_nobody_can_tell() {
    let root = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = root.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let look = || KernelSessions::below(root.path()).look(&how(888));
    let everybody = "         0          0 4294967295\n";
    assert!(look().unwrap_err().contains("uid_map"));
    put("self/uid_map", everybody);
    assert!(look().unwrap_err().contains("net/udp: No such file"));
    put("net/udp", UDP);
    assert_eq!(look().unwrap().len(), 1, "there need be no IPv6");
    put("net/udp6", UDP6);
    assert_eq!(look().unwrap().len(), 2);
    put("net/udp6", "garbled\n");
    assert!(look().unwrap_err().contains("net/udp6: it does not begin"));
    put("net/udp6", UDP6);
    put("self/uid_map", "         0       1000          1\n");
    assert!(look().unwrap_err().contains("other numbers for users"));
}
