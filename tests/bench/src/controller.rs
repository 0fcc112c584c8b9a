//! A controller process of this measurement's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::operator::Operator;
use crate::program::Daemon;

/// Its address: neither the demonstration's nor the tests'.
const ADDRESS: &str = "127.0.3.133";
/// A start on a busy machine.
const STARTS: Duration = Duration::from_secs(30);

/// A controller with its own state.
#[derive(Debug)]
pub(crate) struct Controller {
    program: PathBuf,
    dir: PathBuf,
    daemon: Option<Daemon>,
}

impl Controller {
    /// Configures one in `dir`, with the times that ship.
    pub(crate) fn new(bin: &Path, dir: &Path, image: &str) -> anyhow::Result<Self> {
        fs::create_dir_all(dir)?;
        let at = dir.display();
        let config = format!(
            "address = \"{ADDRESS}\"\nstate_dir = \"{at}/controller\"\n\
             socket = \"{at}/controller.sock\"\nimage = \"{image}\"\nimage_pull = \"missing\"\n\
             roles_dir = \"{at}/roles.d\"\n\n[listen]\nagents = \"{ADDRESS}:7443\"\n\
             enrolment = \"{ADDRESS}:7444\"\nhttp = \"{ADDRESS}:7480\"\n\n\
             [pbx]\naddress = \"{ADDRESS}\"\n"
        );
        fs::write(dir.join("controller.toml"), config)?;
        Ok(Self {
            program: bin.join("extend"),
            dir: dir.to_owned(),
            daemon: None,
        })
    }

    /// The operators' socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("controller.sock")
    }

    /// A command of the command line.
    pub(crate) fn extend(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("EXTEND_SOCKET", self.socket())
            .env("NO_COLOR", "1")
            .args(words);
        command
    }

    /// Starts the process and waits until it answers what `extend status` asks.
    pub(crate) async fn start(&mut self) -> anyhow::Result<Operator> {
        let mut command = Command::new(&self.program);
        command
            .arg("controller")
            .arg("--config")
            .arg(self.dir.join("controller.toml"));
        self.daemon = Some(Daemon::start("controller", &self.dir, command)?);
        let deadline = tokio::time::Instant::now() + STARTS;
        loop {
            match self.answer().await {
                Ok(operator) => return Ok(operator),
                Err(error) if tokio::time::Instant::now() > deadline => {
                    return Err(error.context("the controller does not answer"));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
            self.running()?.check()?;
        }
    }

    async fn answer(&self) -> anyhow::Result<Operator> {
        let operator = Operator::connect(&self.socket()).await?;
        operator.servers().await?;
        Ok(operator)
    }

    fn running(&mut self) -> anyhow::Result<&mut Daemon> {
        self.daemon.as_mut().context("there is no controller")
    }

    /// Its process id.
    pub(crate) fn pid(&mut self) -> anyhow::Result<u32> {
        Ok(self.running()?.pid())
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.daemon.take().context("there is no controller")?.kill()
    }

    /// SIGTERM, and its end.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        let daemon = self.daemon.take().context("there is no controller")?;
        daemon.stop().await
    }

    /// Waits until all of the nodes, which are so many, are online.
    pub(crate) async fn await_online(
        &self,
        operator: &Operator,
        count: usize,
    ) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + STARTS;
        loop {
            let nodes = operator.nodes().await?;
            let online = nodes
                .iter()
                .filter(|node| node.state() == extend_proto::v1::NodeState::Online)
                .count();
            if online == count {
                return Ok(());
            }
            if tokio::time::Instant::now() > deadline {
                anyhow::bail!("only {online} of {count} nodes are online after {STARTS:?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
