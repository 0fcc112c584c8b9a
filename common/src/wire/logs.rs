//! What servers write, both ways.

use extend_proto::v1;
use jiff::Timestamp;

use super::{WireError, parse, required, shown_text, time};
use crate::logs::{
    FilePosition, LogFault, LogFaultKind, LogFileEntry, LogNote, LogPiece, LogPosition, LogQuery,
    LogSource, MAX_PIECE_BYTES, MAX_TAIL,
};

/// So many files travel in one message: with the longest paths there are, they stay far below
/// [`super::MAX_MESSAGE_BYTES`].
pub const MAX_LISTED: usize = 64;

impl From<LogPosition> for v1::LogPosition {
    fn from(position: LogPosition) -> Self {
        match position {
            LogPosition::Time(at) => Self {
                seconds: at.as_second(),
                nanoseconds: at.subsec_nanosecond(),
                ..Self::default()
            },
            LogPosition::File(FilePosition {
                device,
                inode,
                offset,
            }) => Self {
                device,
                inode,
                offset,
                ..Self::default()
            },
        }
    }
}

impl TryFrom<v1::LogPosition> for LogPosition {
    type Error = WireError;

    fn try_from(position: v1::LogPosition) -> Result<Self, WireError> {
        let v1::LogPosition {
            seconds,
            nanoseconds,
            device,
            inode,
            offset,
        } = position;
        // No file has the number 0.
        if inode != 0 {
            return Ok(Self::File(FilePosition {
                device,
                inode,
                offset,
            }));
        }
        Timestamp::new(seconds, nanoseconds)
            .map(Self::Time)
            .map_err(|error| WireError::new("position", error))
    }
}

impl From<LogQuery> for v1::LogQuery {
    fn from(query: LogQuery) -> Self {
        use v1::log_query::Source;
        let source = match query.source {
            LogSource::Output => Source::Output(v1::LogOutput { failed: false }),
            LogSource::FailedOutput => Source::Output(v1::LogOutput { failed: true }),
            LogSource::File(path) => Source::File(v1::LogFile { path: path.into() }),
            LogSource::List => Source::List(v1::LogList {}),
            LogSource::Dump(path) => Source::Dump(v1::LogFile { path: path.into() }),
            LogSource::DumpList => Source::Dumps(v1::LogList {}),
            LogSource::Inspection => Source::Inspection(v1::LogInspection {}),
        };
        Self {
            source: Some(source),
            tail: query.tail,
            follow: query.follow,
            after: query.after.map(Into::into),
        }
    }
}

impl TryFrom<v1::LogQuery> for LogQuery {
    type Error = WireError;

    fn try_from(query: v1::LogQuery) -> Result<Self, WireError> {
        use v1::log_query::Source;
        let source = match required("source", query.source)? {
            Source::Output(v1::LogOutput { failed: false }) => LogSource::Output,
            Source::Output(v1::LogOutput { failed: true }) => LogSource::FailedOutput,
            Source::File(v1::LogFile { path }) => LogSource::File(parse("path", &path)?),
            Source::List(v1::LogList {}) => LogSource::List,
            Source::Dump(v1::LogFile { path }) => LogSource::Dump(parse("path", &path)?),
            Source::Dumps(v1::LogList {}) => LogSource::DumpList,
            Source::Inspection(v1::LogInspection {}) => LogSource::Inspection,
        };
        Ok(Self {
            source,
            tail: query.tail.min(MAX_TAIL),
            follow: query.follow,
            after: query.after.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<LogPiece> for v1::LogPiece {
    fn from(piece: LogPiece) -> Self {
        use v1::log_piece::Kind;
        let kind = match piece {
            LogPiece::Data { bytes, position } => Kind::Data(v1::LogData {
                data: bytes,
                position: position.map(Into::into),
            }),
            LogPiece::Note(note) => Kind::Note(note.to_wire()),
            LogPiece::Files { files, cut } => {
                let files = files.into_iter().map(Into::into).collect();
                Kind::Files(v1::LogFiles { files, cut })
            }
            LogPiece::Fault(LogFault { kind, detail }) => Kind::Fault(v1::LogFault {
                kind: kind.to_wire(),
                detail,
            }),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<v1::LogPiece> for LogPiece {
    type Error = WireError;

    fn try_from(piece: v1::LogPiece) -> Result<Self, WireError> {
        use v1::log_piece::Kind;
        match required("kind", piece.kind)? {
            Kind::Id(_) => Err(WireError::new("id", "it comes once, and first")),
            Kind::Data(v1::LogData { data, position }) => {
                if data.len() > MAX_PIECE_BYTES {
                    let problem = format!("it is longer than {MAX_PIECE_BYTES} bytes");
                    return Err(WireError::new("data", problem));
                }
                let position = position.map(TryInto::try_into).transpose()?;
                Ok(Self::Data {
                    bytes: data,
                    position,
                })
            }
            Kind::Note(note) => LogNote::from_wire(note).map(Self::Note),
            Kind::Files(v1::LogFiles { files, cut }) => {
                if files.len() > MAX_LISTED {
                    let problem = format!("there are more than {MAX_LISTED}");
                    return Err(WireError::new("files", problem));
                }
                let files = files.into_iter().map(TryInto::try_into);
                let files = files.collect::<Result<_, _>>()?;
                Ok(Self::Files { files, cut })
            }
            Kind::Fault(v1::LogFault { kind, detail }) => {
                let kind = LogFaultKind::from_wire(kind)?;
                Ok(Self::Fault(LogFault::new(kind, shown_text(detail))))
            }
        }
    }
}

impl From<LogFileEntry> for v1::LogFileEntry {
    fn from(entry: LogFileEntry) -> Self {
        Self {
            path: entry.path.into(),
            size: entry.size,
            modified_ms: entry.modified.as_millisecond(),
        }
    }
}

impl TryFrom<v1::LogFileEntry> for LogFileEntry {
    type Error = WireError;

    fn try_from(entry: v1::LogFileEntry) -> Result<Self, WireError> {
        Ok(Self {
            path: parse("path", &entry.path)?,
            size: entry.size,
            modified: time("modified_ms", entry.modified_ms)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_and_pieces_survive_the_way() {
        let at = "2026-11-22T10:13:00.123456789Z".parse().unwrap();
        let place = FilePosition {
            device: 7,
            inode: 8,
            offset: 9,
        };
        let after = [
            None,
            Some(LogPosition::Time(at)),
            Some(LogPosition::File(place)),
        ];
        let sources = [
            LogSource::Output,
            LogSource::FailedOutput,
            LogSource::File("a/b.log".parse().unwrap()),
            LogSource::List,
        ];
        for source in sources {
            for after in after {
                let query = LogQuery {
                    source: source.clone(),
                    tail: 100,
                    follow: true,
                    after,
                };
                let wire = v1::LogQuery::from(query.clone());
                assert_eq!(LogQuery::try_from(wire), Ok(query));
            }
        }
        let entry = LogFileEntry {
            path: "a.log".parse().unwrap(),
            size: 12,
            modified: Timestamp::from_millisecond(1_795_342_380_000).unwrap(),
        };
        let pieces = [
            LogPiece::Data {
                bytes: vec![0xff, 0, 10],
                position: after[1],
            },
            LogPiece::Note(LogNote::Replaced),
            LogPiece::Files {
                files: vec![entry],
                cut: true,
            },
            LogPiece::Fault(LogFault::new(LogFaultKind::Docker, "it is silent")),
        ];
        for piece in pieces {
            let wire = v1::LogPiece::from(piece.clone());
            assert_eq!(LogPiece::try_from(wire), Ok(piece));
        }
    }

    #[test]
    fn what_is_hostile_does_not_pass() {
        let file = |path: &str| v1::LogQuery {
            source: Some(v1::log_query::Source::File(v1::LogFile {
                path: path.to_owned(),
            })),
            tail: u32::MAX,
            ..v1::LogQuery::default()
        };
        assert!(LogQuery::try_from(file("../../etc/shadow")).is_err());
        assert_eq!(LogQuery::try_from(file("a")).unwrap().tail, MAX_TAIL);
        assert!(LogQuery::try_from(v1::LogQuery::default()).is_err());
        let long = v1::LogData {
            data: vec![0; MAX_PIECE_BYTES + 1],
            position: None,
        };
        let kinds = [
            v1::log_piece::Kind::Data(long),
            v1::log_piece::Kind::Id("01JD8M3Q4T00000000005NZQ8C".to_owned()),
            v1::log_piece::Kind::Note(99),
        ];
        for kind in kinds {
            let piece = v1::LogPiece { kind: Some(kind) };
            assert!(LogPiece::try_from(piece.clone()).is_err(), "{piece:?}");
        }
        let fault = v1::LogFault {
            kind: v1::LogFaultKind::Docker.into(),
            detail: "\u{1b}[31m".to_owned(),
        };
        let fault = v1::LogPiece {
            kind: Some(v1::log_piece::Kind::Fault(fault)),
        };
        let LogPiece::Fault(fault) = LogPiece::try_from(fault).unwrap() else {
            panic!("it is a fault");
        };
        assert!(!fault.detail.contains('\u{1b}'));
    }
}
