//! `extend controller backup`: the archive comes over the socket and becomes a file only when it is
//! whole, so that no half of one can be mistaken for a backup.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use extend_common::exit::Exit;
use extend_common::files::SECRET;
use extend_proto::v1;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use tonic::Status;

use crate::cli::client::bounded;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::interrupt::Interrupts;

/// The controller copies its store before it sends the first byte, which takes a while on a slow
/// disk; after that a silence of this length means that it hangs.
const SILENCE: Duration = Duration::from_secs(120);
/// The file while it is not whole.
const PART: &str = "part";

/// The options of `controller backup`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The archive to write; it must not exist yet. It holds the key of the CA: keep it safe
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    refuse_existing(&args.file)?;
    let mut client = context.client().await?;
    let mut interrupts = Interrupts::catch()?;
    let answer = bounded(client.rpc().backup(v1::BackupRequest {})).await;
    let stream = answer.map_err(|status| Failure::from_status("make a backup", &status))?;
    let mut part = Part::create(&args.file)?;
    let bytes = tokio::select! {
        bytes = receive(stream, &mut part) => bytes?,
        () = interrupts.next() => {
            return Err(Failure::new(Exit::Failed, "stopped: no backup was made"));
        }
    };
    part.complete(&args.file)?;
    context.output.say(&format!(
        "wrote the backup {} ({bytes} bytes). It holds the key of the CA: keep it safe",
        args.file.display()
    ));
    Ok(Exit::Done)
}

async fn receive(
    mut stream: tonic::Streaming<v1::BackupChunk>,
    part: &mut Part,
) -> Result<u64, Failure> {
    let failed = |status: &Status| Failure::from_status("make a backup", status);
    let mut bytes = 0_u64;
    loop {
        let next = tokio::time::timeout(SILENCE, stream.message()).await;
        let next = next.unwrap_or_else(|_| {
            Err(Status::deadline_exceeded(
                "the controller sends nothing any more",
            ))
        });
        match next.map_err(|status| failed(&status))? {
            Some(chunk) => {
                part.write(&chunk.data)?;
                bytes = bytes.saturating_add(chunk.data.len().try_into().unwrap_or(u64::MAX));
            }
            None if bytes == 0 => {
                return Err(Failure::new(
                    Exit::Failed,
                    "the controller sent an empty backup",
                ));
            }
            None => return Ok(bytes),
        }
    }
}

fn refuse_existing(file: &Path) -> Result<(), Failure> {
    if file.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "cannot write the backup {}: the file exists",
        file.display()
    ))
    .hint("name a file that does not exist"))
}

/// The file that is being written. It goes, unless it was completed.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    file: File,
    done: bool,
}

impl Part {
    fn create(file: &Path) -> Result<Self, Failure> {
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".{}.{PART}", std::process::id()));
        let path = PathBuf::from(name);
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(SECRET)
            .open(&path);
        let file = opened.map_err(|error| cannot_write(&path, &error))?;
        Ok(Self {
            path,
            file,
            done: false,
        })
    }

    fn write(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.file
            .write_all(data)
            .map_err(|error| cannot_write(&self.path, &error))
    }

    /// Gives the file its name, once it is on the disk, and only if nobody has taken the name.
    fn complete(mut self, file: &Path) -> Result<(), Failure> {
        self.file
            .sync_all()
            .map_err(|error| cannot_write(&self.path, &error))?;
        let renamed = renameat2(
            AT_FDCWD,
            &self.path,
            AT_FDCWD,
            file,
            RenameFlags::RENAME_NOREPLACE,
        );
        match renamed {
            Ok(()) => {}
            Err(nix::Error::EEXIST) => return refuse_existing(file),
            // Not every file system can promise that; then looking before has to do.
            Err(nix::Error::EINVAL) => {
                refuse_existing(file)?;
                fs::rename(&self.path, file).map_err(|error| cannot_write(file, &error))?;
            }
            Err(error) => return Err(cannot_write(file, &error.into())),
        }
        self.done = true;
        let directory = file.parent().filter(|path| !path.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))
            .and_then(|directory| directory.sync_all())
            .map_err(|error| cannot_write(file, &error))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.done {
            drop(fs::remove_file(&self.path));
        }
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::local(format!("cannot write {}", path.display()), error)
}
