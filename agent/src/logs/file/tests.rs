//! Files as services leave them, and as somebody who controls a service would like them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use extend_common::logs::{LogPiece, LogSource, MAX_FILES, MAX_PIECE_BYTES, MAX_TAIL};
use extend_common::roles::RoleSet;
use nix::sys::stat::Mode;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

const LIMIT: Duration = Duration::from_secs(10);

/// A node's data directory with a media server's log directory in it.
struct Place {
    data: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            data: tempfile::tempdir().unwrap(),
        };
        fs::create_dir_all(place.log("")).unwrap();
        place
    }

    fn log(&self, name: &str) -> PathBuf {
        self.data.path().join("media-server-only/log").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.log(name), text).unwrap();
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(self.log(name))
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn directory(&self) -> LogDirectory {
        let roles = RoleSet::built_in().unwrap();
        let role = roles.find("media-server-only").unwrap().unwrap();
        LogDirectory::of(role, self.data.path(), Kept::Logs).unwrap()
    }

    fn begin(&self, name: &str, tail: u32, follow: bool, after: Option<LogPosition>) -> Reader {
        let path: LogPath = name.parse().unwrap();
        let query = LogQuery {
            source: LogSource::File(path.clone()),
            tail,
            follow,
            after,
        };
        let (sender, pieces) = mpsc::channel(super::super::out::QUEUED);
        let directory = self.directory();
        let task = tokio::spawn(async move { read(directory, path, &query, &Out(sender)).await });
        Reader {
            pieces,
            task,
            last: None,
        }
    }

    /// All of it, read once.
    async fn whole(&self, name: &str, tail: u32) -> Result<String, Stop> {
        let mut reader = self.begin(name, tail, false, None);
        let mut text = String::new();
        while let Some(LogPiece::Data { bytes, .. }) = reader.pieces.recv().await {
            assert!(bytes.len() <= MAX_PIECE_BYTES);
            text.push_str(&String::from_utf8(bytes).unwrap());
        }
        reader.task.await.unwrap().map(|()| text)
    }

    async fn fault(&self, name: &str) -> LogFaultKind {
        match self.whole(name, 10).await {
            Err(Stop::Fault(fault)) => fault.kind,
            other => panic!("{name}: {other:?}"),
        }
    }
}

struct Reader {
    pieces: mpsc::Receiver<LogPiece>,
    task: JoinHandle<Result<(), Stop>>,
    last: Option<LogPosition>,
}

impl Reader {
    async fn next(&mut self) -> LogPiece {
        let next = timeout(LIMIT, self.pieces.recv()).await;
        next.expect("nothing came").expect("it ended")
    }

    async fn text(&mut self, expected: &str) {
        let mut text = String::new();
        while text.len() < expected.len() {
            match self.next().await {
                LogPiece::Data { bytes, position } => {
                    text.push_str(&String::from_utf8(bytes).unwrap());
                    self.last = position;
                }
                other => panic!("{other:?} after {text:?}"),
            }
        }
        assert_eq!(text, expected);
    }

    async fn note(&mut self, expected: LogNote) {
        assert_eq!(self.next().await, LogPiece::Note(expected));
    }
}

#[tokio::test]
async fn the_last_lines_are_those_at_the_end() {
    let place = Place::new();
    let long = "x".repeat(40_000);
    for (text, tail, expected) in [
        ("a\nb\nc\n", 2, "b\nc\n"),
        ("a\nb\nc", 2, "b\nc"),
        ("a\nb\n", 9, "a\nb\n"),
        ("a\n", 0, ""),
        ("", 5, ""),
        ("\n\n\n", 2, "\n\n"),
        (
            &format!("{long}\n{long}\nend\n"),
            2,
            &format!("{long}\nend\n"),
        ),
    ] {
        place.write("a.log", text);
        assert_eq!(place.whole("a.log", tail).await.unwrap(), expected);
    }
    // More than a block of the search, and of the reading.
    let lines: String = (0..50_000).map(|n| format!("line {n}\n")).collect();
    place.write("a.log", &lines);
    assert_eq!(place.whole("a.log", MAX_TAIL).await.unwrap(), lines);
    let last = place.whole("a.log", 30_000).await.unwrap();
    assert!(last.starts_with("line 20000\n") && last.ends_with("line 49999\n"));
}

#[tokio::test]
async fn a_file_is_followed_across_everything_that_rotation_does() {
    let place = Place::new();
    place.write("a.log", "old\nlast\n");
    let mut reader = place.begin("a.log", 1, true, None);
    reader.text("last\n").await;
    place.append("a.log", "more\n");
    reader.text("more\n").await;

    // Renamed and made anew, with something written to the old one at the last moment.
    fs::rename(place.log("a.log"), place.log("a.log.1")).unwrap();
    place.append("a.log.1", "to the old one\n");
    place.write("a.log", "to the new one\n");
    reader.text("to the old one\n").await;
    reader.note(LogNote::FileReplaced).await;
    reader.text("to the new one\n").await;

    // Cut.
    place.write("a.log", "cut\n");
    reader.note(LogNote::FileTruncated).await;
    reader.text("cut\n").await;

    // Renamed, and made anew only later.
    fs::rename(place.log("a.log"), place.log("a.log.2")).unwrap();
    reader.note(LogNote::FileAwaited).await;
    place.append("a.log.2", "still the old one\n");
    reader.text("still the old one\n").await;
    reader.note(LogNote::FileAwaited).await;
    place.write("a.log", "again\n");
    reader.note(LogNote::FileReplaced).await;
    reader.text("again\n").await;

    drop(reader.pieces);
    place.append("a.log", "nobody reads\n");
    let ended = timeout(LIMIT, reader.task).await.unwrap().unwrap();
    assert_eq!(ended, Err(Stop::Gone));
}

#[tokio::test]
async fn a_file_that_is_made_later_is_awaited_by_a_follower_only() {
    let place = Place::new();
    assert_eq!(place.fault("a.log").await, LogFaultKind::NoFile);
    let mut reader = place.begin("a.log", 10, true, None);
    reader.note(LogNote::FileAwaited).await;
    place.write("a.log", "first\n");
    reader.text("first\n").await;
}

#[tokio::test]
async fn a_reader_who_comes_back_goes_on_where_he_was() {
    let place = Place::new();
    place.write("a.log", "one\ntwo\n");
    let mut reader = place.begin("a.log", 10, true, None);
    reader.text("one\ntwo\n").await;
    let after = reader.last;
    drop(reader);
    place.append("a.log", "three\n");
    let mut again = place.begin("a.log", 10, true, after);
    again.text("three\n").await;
    drop(again);
    // The file he was in is gone: what there is now, and a word about the rest.
    fs::rename(place.log("a.log"), place.log("a.log.1")).unwrap();
    place.write("a.log", "new\n");
    let mut again = place.begin("a.log", 10, true, after);
    again.note(LogNote::Gap).await;
    again.text("new\n").await;
}

#[tokio::test]
async fn nothing_but_a_regular_file_below_the_directory_is_opened() {
    let place = Place::new();
    let outside = place.data.path().join("secret");
    fs::write(&outside, "secret\n").unwrap();
    fs::create_dir(place.log("real")).unwrap();
    place.write("real/a.log", "fine\n");
    symlink(&outside, place.log("link.log")).unwrap();
    symlink(place.log("real/a.log"), place.log("inner.log")).unwrap();
    symlink(place.log("real"), place.log("linked")).unwrap();
    symlink("/", place.log("root")).unwrap();
    nix::unistd::mkfifo(&place.log("pipe"), Mode::S_IRWXU).unwrap();

    assert_eq!(place.whole("real/a.log", 10).await.unwrap(), "fine\n");
    for name in [
        "link.log",
        "inner.log",
        "linked/a.log",
        "root/etc",
        "pipe",
        "real",
    ] {
        assert_eq!(place.fault(name).await, LogFaultKind::NotAFile, "{name}");
    }
    assert_eq!(place.fault("real/b.log").await, LogFaultKind::NoFile);

    // The service may put a link in the place of the directory itself.
    fs::rename(place.log(""), place.data.path().join("aside")).unwrap();
    symlink(
        place.data.path(),
        place.data.path().join("media-server-only/log"),
    )
    .unwrap();
    assert_eq!(place.fault("secret").await, LogFaultKind::NoDirectory);
    assert!(matches!(
        place.directory().list(),
        Err(Trouble::NoDirectory(_))
    ));
}

#[tokio::test]
async fn a_link_that_takes_a_followed_files_place_is_not_read() {
    let place = Place::new();
    let outside = place.data.path().join("secret");
    fs::write(&outside, "secret\n").unwrap();
    place.write("a.log", "fine\n");
    let mut reader = place.begin("a.log", 10, true, None);
    reader.text("fine\n").await;
    fs::remove_file(place.log("a.log")).unwrap();
    symlink(&outside, place.log("a.log")).unwrap();
    reader.note(LogNote::FileAwaited).await;
    fs::remove_file(place.log("a.log")).unwrap();
    place.write("a.log", "back\n");
    reader.note(LogNote::FileReplaced).await;
    reader.text("back\n").await;
}

#[tokio::test]
async fn the_list_has_what_can_be_read_and_an_end() {
    let place = Place::new();
    fs::create_dir_all(place.log("b/c/d")).unwrap();
    place.write("b/two.log", "22");
    place.write("b/c/three.log", "333");
    place.write("a.log", "1");
    place.write("\u{1b}[31m", "hostile");
    symlink("/etc/passwd", place.log("link")).unwrap();
    let (files, cut) = place.directory().list().unwrap();
    let seen: Vec<_> = files
        .iter()
        .map(|file| (file.path.to_string(), file.size))
        .collect();
    let expected = [("a.log", 1), ("b/c/three.log", 3), ("b/two.log", 2)];
    assert_eq!(seen, expected.map(|(path, size)| (path.to_owned(), size)));
    assert!(cut, "what lies deeper is not listed");
    let age = jiff::Timestamp::now().duration_since(files[0].modified);
    assert!(age.as_secs().abs() < 60, "{age:?}");

    let place = Place::new();
    for number in 0..=MAX_FILES {
        place.write(&format!("{number}.log"), "");
    }
    let (sender, mut pieces) = mpsc::channel(99);
    list(place.directory(), &Out(sender)).await.unwrap();
    let (mut listed, mut ends) = (0, Vec::new());
    while let Some(piece) = pieces.recv().await {
        let LogPiece::Files { files, cut } = piece else {
            panic!("{piece:?}");
        };
        listed += files.len();
        ends.push(cut);
    }
    assert_eq!(listed, MAX_FILES);
    assert_eq!(ends.iter().filter(|cut| **cut).count(), 1);
    assert_eq!(ends.last(), Some(&true));
}

#[test]
fn every_built_in_role_has_a_log_directory_of_its_own() {
    for role in RoleSet::built_in().unwrap().iter() {
        let found = LogDirectory::of(role, std::path::Path::new("/data"), Kept::Logs).unwrap();
        let expected = format!("/data/{}/log", role.role);
        assert_eq!(found.shown(), expected);
    }
}
