//! What is on the server's node, read through its agent: each part by a call of its own, in pieces
//! that are passed on as they come.
//!
//! The node may be away, fall silent, or send for ever: every part has a size and a time of its own,
//! and a node that was silent once is asked for nothing more.

use std::time::Duration;

use extend_common::exit::Exit;
use extend_common::logs::{LogFileEntry, LogPiece, LogQuery, LogSource, MAX_FILES};
use extend_common::size;
use extend_proto::v1;
use tokio::time::{Instant, timeout_at};

use super::archive::{Archive, Spool};
use super::clean::Lines;
use super::{Gathering, Wanted};
use crate::cli::client::{Client, bounded};
use crate::cli::failure::Failure;
use crate::cli::view::not_understood;

/// Lines of each text: enough for days of most servers.
const LINES: u32 = 20_000;
/// No text is longer, whatever its lines are.
const MAX_TEXT: u64 = 64 * 1024 * 1024;
/// So many log files, the newest, and so much of all of them together.
const MAX_LOGS: usize = 50;
const MAX_ALL_LOGS: u64 = 512 * 1024 * 1024;
/// A node that is silent for so long sends nothing any more.
pub(super) const SILENCE: Duration = Duration::from_secs(20);
/// A text takes no longer, however steadily it drips, and neither does a list.
const MAX_TEXT_TIME: Duration = Duration::from_secs(120);
/// Two gigabytes over a slow line.
const MAX_DUMP_TIME: Duration = Duration::from_secs(3_600);
/// The controller's words for what is simply not there.
const ABSENT: [&str; 3] = ["no-container", "no-log-directory", "no-such-file"];
/// And for a node that cannot be asked for anything.
const AWAY: [&str; 5] = ["node-away", "unanswered", "broken", "not-enrolled", SILENT];
/// Our own word for one that has begun to answer and does not go on.
const SILENT: &str = "silent";

/// Adds all that its node has of a server. What cannot be had is said in the list.
pub(super) async fn gather(
    client: &mut Client,
    wanted: &Wanted,
    gathering: Gathering,
    archive: &mut Archive,
) -> Result<Gathering, Failure> {
    let mut reading = Reading {
        client,
        wanted,
        gathering,
    };
    for (name, source) in [
        ("container/inspection.txt", LogSource::Inspection),
        ("container/output.log", LogSource::Output),
        (
            "container/output-of-the-failed-one.log",
            LogSource::FailedOutput,
        ),
    ] {
        reading.text(name, source, archive).await?;
    }
    reading.logs(archive).await?;
    reading.dumps(archive).await?;
    Ok(reading.gathering)
}

struct Reading<'a> {
    client: &'a mut Client,
    wanted: &'a Wanted,
    gathering: Gathering,
}

/// How a part is taken.
enum Taking {
    /// Line by line, without secrets.
    Text(Lines),
    /// As it is.
    Bytes,
}

/// What became of a part.
enum Taken {
    /// All of it is there.
    Whole,
    /// Some of it is, for what there is of it.
    Cut(String),
    /// No more came than what is there, and why.
    Failed(Box<Failure>),
}

/// How a stream of pieces goes on.
enum Next {
    Piece(LogPiece),
    End,
    /// Its time is over.
    Late,
    /// Nothing came.
    Silent,
    Failed(Box<Failure>),
}

/// The pieces of one part.
struct Pieces {
    what: String,
    stream: tonic::Streaming<v1::LogPiece>,
    limit: Duration,
    until: Instant,
}

impl Pieces {
    async fn next(&mut self) -> Result<Next, Failure> {
        let soon = Instant::now() + SILENCE;
        let message = timeout_at(self.until.min(soon), self.stream.message()).await;
        Ok(match message {
            Ok(Ok(Some(piece))) => {
                Next::Piece(LogPiece::try_from(piece).map_err(|error| not_understood(&error))?)
            }
            Ok(Ok(None)) => Next::End,
            Ok(Err(status)) => Next::Failed(Box::new(Failure::from_status(&self.what, &status))),
            Err(_) if Instant::now() >= self.until => Next::Late,
            Err(_) => Next::Silent,
        })
    }

    fn silent(&self) -> Box<Failure> {
        let seconds = SILENCE.as_secs();
        let sentence = format!("cannot {}: nothing came for {seconds} s", self.what);
        let mut failure = Failure::new(Exit::Failed, sentence);
        SILENT.clone_into(&mut failure.code);
        Box::new(failure)
    }

    fn late(&self) -> String {
        format!("it was not over after {} s", self.limit.as_secs())
    }
}

impl Reading<'_> {
    fn query(&self, source: LogSource) -> v1::ReadLogsRequest {
        let query = LogQuery {
            source,
            tail: LINES,
            follow: false,
            after: None,
        };
        v1::ReadLogsRequest {
            selector: Some(self.wanted.selector.clone()),
            query: Some(query.into()),
        }
    }

    /// Whether the node has not turned out to be away; otherwise a part is not asked for.
    fn is_there(&self, name: &str, archive: &mut Archive) -> bool {
        let Some(why) = &self.gathering.away else {
            return true;
        };
        archive.leave_out(name, why);
        false
    }

    /// Counts a part that could not be had, and says why.
    fn failed(&mut self, failure: &Failure) -> String {
        let why = std::iter::once(&failure.sentence).chain(&failure.causes);
        let why = why.cloned().collect::<Vec<_>>().join(": ");
        if AWAY.contains(&failure.code.as_str()) || failure.is_lost() {
            self.gathering.away = Some(why.clone());
        } else if !ABSENT.contains(&failure.code.as_str()) {
            self.gathering.missing += 1;
        }
        why
    }

    async fn text(
        &mut self,
        name: &str,
        source: LogSource,
        archive: &mut Archive,
    ) -> Result<u64, Failure> {
        if !self.is_there(name, archive) {
            return Ok(0);
        }
        let is_listed = matches!(source, LogSource::File(_));
        let mut spool = archive.spool()?;
        let lines = Taking::Text(Lines::default());
        let taken = self.take(source, lines, MAX_TEXT, &mut spool).await?;
        let note = match taken {
            Taken::Whole => String::new(),
            Taken::Cut(why) => {
                self.gathering.missing += 1;
                if spool.bytes() == 0 {
                    archive.leave_out(name, &why);
                    return Ok(0);
                }
                format!("not all of it: {why}")
            }
            Taken::Failed(failure) => {
                let why = self.failed(&failure);
                // It was there a moment ago, and has another name now.
                if is_listed && ABSENT.contains(&failure.code.as_str()) {
                    self.gathering.missing += 1;
                }
                if spool.bytes() == 0 {
                    archive.leave_out(name, &why);
                    return Ok(0);
                }
                format!("not all of it: {why}")
            }
        };
        let bytes = spool.bytes();
        archive.add(name, spool, &note).await?;
        Ok(bytes)
    }

    async fn ask(
        &mut self,
        what: String,
        source: LogSource,
        limit: Duration,
    ) -> Result<Pieces, Box<Failure>> {
        let request = self.query(source);
        let stream = bounded(self.client.rpc().read_logs(request)).await;
        let stream = stream.map_err(|status| Box::new(Failure::from_status(&what, &status)))?;
        Ok(Pieces {
            what,
            stream,
            limit,
            until: Instant::now() + limit,
        })
    }

    /// Reads a part.
    async fn take(
        &mut self,
        source: LogSource,
        mut taking: Taking,
        most: u64,
        spool: &mut Spool,
    ) -> Result<Taken, Failure> {
        let limit = match taking {
            Taking::Text(_) => MAX_TEXT_TIME,
            Taking::Bytes => MAX_DUMP_TIME,
        };
        let what = format!("read the node of {}", self.wanted.name);
        let mut pieces = match self.ask(what, source, limit).await {
            Ok(pieces) => pieces,
            Err(failure) => return Ok(Taken::Failed(failure)),
        };
        let taken = loop {
            match pieces.next().await? {
                Next::Piece(LogPiece::Data { bytes, .. }) => match &mut taking {
                    Taking::Text(lines) => {
                        lines.take(&bytes, spool)?;
                        if !lines.is_text() {
                            break Taken::Cut("it is compressed, and no text".to_owned());
                        }
                    }
                    Taking::Bytes => spool.write(&bytes)?,
                },
                // Not asked for: notes, lists; a fault comes as a status.
                Next::Piece(_) => continue,
                Next::End => break Taken::Whole,
                Next::Late => break Taken::Cut(pieces.late()),
                Next::Silent => break Taken::Failed(pieces.silent()),
                Next::Failed(failure) => break Taken::Failed(failure),
            }
            if spool.bytes() > most {
                break Taken::Cut(format!("it is more than {}", size::show(most)));
            }
        };
        if let Taking::Text(lines) = taking {
            lines.finish(spool)?;
        }
        Ok(taken)
    }

    /// The files of a directory, the newest first; none when it cannot be read, which is noted.
    async fn list(
        &mut self,
        name: &str,
        source: LogSource,
        archive: &mut Archive,
    ) -> Result<Vec<LogFileEntry>, Failure> {
        if !self.is_there(name, archive) {
            return Ok(Vec::new());
        }
        let (mut files, rest) = self.listed(source).await?;
        if let Some(failure) = rest {
            let why = self.failed(&failure);
            archive.leave_out(name, &why);
        } else if files.is_empty() {
            archive.leave_out(name, "there are none");
        }
        files.sort_by(|one, other| (other.modified, &one.path).cmp(&(one.modified, &other.path)));
        Ok(files)
    }

    async fn listed(
        &mut self,
        source: LogSource,
    ) -> Result<(Vec<LogFileEntry>, Option<Box<Failure>>), Failure> {
        let what = format!("list the files of {}", self.wanted.name);
        let (mut files, mut is_cut) = (Vec::new(), false);
        let mut pieces = match self.ask(what, source, MAX_TEXT_TIME).await {
            Ok(pieces) => pieces,
            Err(failure) => return Ok((files, Some(failure))),
        };
        loop {
            match pieces.next().await? {
                // An agent lists no more, and one that does is not believed.
                Next::Piece(LogPiece::Files { files: more, cut }) => {
                    files.extend(more);
                    is_cut |= cut || files.len() > MAX_FILES;
                    files.truncate(MAX_FILES);
                }
                Next::Piece(_) => {}
                Next::End if is_cut => {
                    let words = format!(
                        "there are more than {MAX_FILES}, or deeper ones: not all are listed"
                    );
                    return Ok((files, Some(Box::new(Failure::new(Exit::Failed, words)))));
                }
                Next::End => return Ok((files, None)),
                Next::Late | Next::Silent => return Ok((files, Some(pieces.silent()))),
                Next::Failed(failure) => return Ok((files, Some(failure))),
            }
        }
    }

    async fn logs(&mut self, archive: &mut Archive) -> Result<(), Failure> {
        let files = self.list("logs/", LogSource::List, archive).await?;
        let mut left = MAX_ALL_LOGS;
        for (place, file) in files.into_iter().enumerate() {
            let name = format!("logs/{}", file.path);
            let size = size::show(file.size);
            if place >= MAX_LOGS || left == 0 {
                let why = format!("{size}, older than those that are here");
                archive.leave_out(&name, &why);
                continue;
            }
            let taken = self
                .text(&name, LogSource::File(file.path), archive)
                .await?;
            left = left.saturating_sub(taken);
        }
        Ok(())
    }

    async fn dumps(&mut self, archive: &mut Archive) -> Result<(), Failure> {
        let files = self.list("dumps/", LogSource::DumpList, archive).await?;
        let mut left = self.wanted.dump_limit;
        for file in files {
            let name = format!("dumps/{}", file.path);
            let size = size::show(file.size);
            if !self.wanted.dumps {
                let why = format!("{size}, memory of the process with all secrets in it: --dumps");
                archive.leave_out(&name, &why);
                continue;
            }
            if file.size > left {
                let why = format!("{size}, more than --dump-limit leaves room for");
                archive.leave_out(&name, &why);
                self.gathering.missing += 1;
                continue;
            }
            if !self.is_there(&name, archive) {
                continue;
            }
            let spool = archive.spool()?;
            let taken = self.dump(&name, &file, (left, spool), archive).await?;
            left = left.saturating_sub(taken);
        }
        Ok(())
    }

    /// Adds a dump that is there whole, or says why it is not. Half a one is of no use.
    async fn dump(
        &mut self,
        name: &str,
        file: &LogFileEntry,
        (left, mut spool): (u64, Spool),
        archive: &mut Archive,
    ) -> Result<u64, Failure> {
        let source = LogSource::Dump(file.path.clone());
        match self.take(source, Taking::Bytes, left, &mut spool).await? {
            Taken::Whole => {
                let bytes = spool.bytes();
                let listed = match bytes == file.size {
                    true => String::new(),
                    false => {
                        // It was written, or cut, while it was read.
                        self.gathering.missing += 1;
                        format!("; it was {} when it was listed", size::show(file.size))
                    }
                };
                let note = format!("memory of the process: may have secrets in it{listed}");
                archive.add(name, spool, &note).await?;
                return Ok(bytes);
            }
            Taken::Cut(why) => {
                self.gathering.missing += 1;
                archive.leave_out(name, &why);
            }
            Taken::Failed(failure) => {
                let why = self.failed(&failure);
                archive.leave_out(name, &why);
            }
        }
        Ok(0)
    }
}
