//! Four servers of the stand-in in the Docker Engine, with an agent process each and a controller.
//!
//! Addresses, directories and images are neither the demonstration's nor the tests'; the names and
//! ports of the containers are PortSIP's, and exist once on a machine. So the fleet waits for its
//! turn, and refuses to start beside anybody's `portsip.*`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use extend_proto::v1;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;

use crate::args::Measure;
use crate::controller::Controller;
use crate::docker::docker;
use crate::operator::Operator;
use crate::program::{Daemon, output, until};

/// Shared with the tests against the real Engine.
const TURN: &str = "/tmp/extend-real-fleet.lock";
/// The version that is deployed first; upgrades take those after it.
pub(crate) const VERSION: &str = "22.3.0";
/// Starts, hellos, first probes.
const SOON: Duration = Duration::from_secs(40);

/// A server of the guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) role: &'static str,
    pub(crate) name: &'static str,
    pub(crate) node: &'static str,
    pub(crate) container: &'static str,
    pub(crate) port: u16,
}

/// The media server.
pub(crate) const MEDIA: Server = Server {
    role: "media-server-only",
    name: "media-server-1",
    node: "127.0.3.139",
    container: "portsip.mediaserver",
    port: 8840,
};
/// All of them.
pub(crate) const SERVERS: [Server; 4] = [
    Server {
        role: "meeting-server-only",
        name: "meeting-server-1",
        node: "127.0.3.137",
        container: "portsip.conference",
        port: 8928,
    },
    Server {
        role: "queue-server-only",
        name: "queue-server-1",
        node: "127.0.3.138",
        container: "portsip.callqueue",
        port: 8916,
    },
    MEDIA,
    Server {
        role: "vr-server-only",
        name: "ivr-server-1",
        node: "127.0.3.140",
        container: "portsip.virtualreceptionist",
        port: 8922,
    },
];

/// The fleet. Everything of it is gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Fleet {
    agents: BTreeMap<&'static str, Daemon>,
    pub(crate) controller: Controller,
    pub(crate) operator: Operator,
    repository: String,
    bin: PathBuf,
    dir: PathBuf,
    _containers: Containers,
    // Last: the next fleet may come when everything above is gone.
    _turn: Flock<File>,
}

impl Fleet {
    /// A controller, an agent for each node, and four healthy servers.
    ///
    /// # Errors
    /// When there are containers of anybody else with PortSIP's names.
    pub(crate) async fn up(args: &Measure) -> anyhow::Result<Self> {
        let turn = take_turn()?;
        refuse_company()?;
        let containers = Containers::begin(&args.dir)?;
        let dir = args.dir.join("fleet");
        let image = format!("{}:{VERSION}", args.repository);
        let mut controller = Controller::new(&args.bin, &dir, &image)?;
        let operator = controller.start().await?;
        let mut fleet = Self {
            agents: BTreeMap::new(),
            controller,
            operator,
            repository: args.repository.clone(),
            bin: args.bin.clone(),
            dir,
            _containers: containers,
            _turn: turn,
        };
        for server in SERVERS {
            fleet.join(server)?;
            fleet.start_agent(server, None)?;
        }
        fleet.await_online().await?;
        for server in SERVERS {
            let words = [
                "run",
                "-s",
                server.role,
                "-n",
                server.name,
                "-a",
                server.node,
                "--yes",
                // The machine that is measured on is nobody's node.
                "--accept",
                "postgresql=benchmark",
                "--accept",
                "disk-size=benchmark",
            ];
            fleet.extend(&words)?;
        }
        fleet.await_healthy().await?;
        Ok(fleet)
    }

    /// Runs a command of the command line to its end.
    pub(crate) fn extend(&self, words: &[&str]) -> anyhow::Result<String> {
        output(&mut self.controller.extend(words), "")
    }

    /// The reference of a version of the stand-in's image.
    pub(crate) fn image(&self, version: &str) -> String {
        format!("{}:{version}", self.repository)
    }

    fn join(&self, server: Server) -> anyhow::Result<()> {
        let at = |name: &str| self.dir.join(name).display().to_string();
        let config = format!(
            "state_dir = \"{}\"\ndata_dir = \"{}\"\nhost_changes = false\nrepositories = [\"{}\"]\nroles_dir = \"{}\"\n\
             registry_credentials = \"{}\"\n",
            at(server.node),
            at(&format!("data-{}", server.node)),
            self.repository,
            at("roles.d"),
            at("no-credentials.json"),
        );
        fs::write(self.dir.join(format!("agent-{}.toml", server.node)), config)?;
        let token = self.extend(&["node", "token", "-a", server.node])?;
        let mut join = self.agent_command(&self.bin.join("extend-agent"), server);
        output(join.arg("join"), &token).map(drop)
    }

    fn agent_command(&self, program: &Path, server: Server) -> Command {
        let config = self.dir.join(format!("agent-{}.toml", server.node));
        let mut command = Command::new(program);
        command.arg("--config").arg(config);
        command
    }

    /// Starts a node's agent, of another build when one is named.
    pub(crate) fn start_agent(
        &mut self,
        server: Server,
        program: Option<&Path>,
    ) -> anyhow::Result<()> {
        let ordinary = self.bin.join("extend-agent");
        let mut command = self.agent_command(program.unwrap_or(&ordinary), server);
        command.arg("run");
        let daemon = Daemon::start(&format!("agent-{}", server.node), &self.dir, command)?;
        self.agents.insert(server.node, daemon);
        Ok(())
    }

    /// `kill -9` for a node's agent.
    pub(crate) fn kill_agent(&mut self, server: Server) -> anyhow::Result<()> {
        let agent = self.agents.remove(server.node);
        agent.context("there is no agent")?.kill()
    }

    /// SIGTERM for a node's agent, and its end.
    pub(crate) async fn stop_agent(&mut self, server: Server) -> anyhow::Result<()> {
        let agent = self.agents.remove(server.node);
        agent.context("there is no agent")?.stop().await
    }

    /// Sends a signal to the agents of all nodes.
    pub(crate) fn signal_agents(&self, signal: Signal) -> anyhow::Result<()> {
        self.agents
            .values()
            .try_for_each(|agent| agent.signal(signal))
    }

    /// The process ids of the agents.
    pub(crate) fn agent_pids(&self) -> Vec<u32> {
        self.agents.values().map(Daemon::pid).collect()
    }

    /// Waits until all nodes are online.
    pub(crate) async fn await_online(&self) -> anyhow::Result<()> {
        let count = SERVERS.len();
        self.controller.await_online(&self.operator, count).await
    }

    /// Waits until all servers are healthy, and the controller knows the runs that there are: a
    /// restart names the run that it replaces.
    pub(crate) async fn await_healthy(&self) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + SOON;
        loop {
            let shown = self.operator.servers().await?.servers;
            let settled = SERVERS.iter().try_fold(0, |settled, server| {
                let seen = shown.iter().find(|one| is_of(one, *server));
                anyhow::Ok(settled + usize::from(is_healthy(seen, &started_at(*server)?)))
            })?;
            if settled == SERVERS.len() {
                return Ok(());
            }
            if tokio::time::Instant::now() > deadline {
                bail!("only {settled} servers are healthy after {SOON:?}: {shown:#?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Tells a server's stand-in what to suffer from, at once and whole.
    pub(crate) fn control(&self, server: Server, text: &str) -> anyhow::Result<()> {
        let data = self.dir.join(format!("data-{}", server.node));
        let (directory, aside) = (data.join(server.role), "standin.control.new");
        fs::write(directory.join(aside), text)?;
        fs::rename(directory.join(aside), directory.join("standin.control"))?;
        Ok(())
    }
}

/// Since when a server's container runs, in Docker's words.
pub(crate) fn started_at(server: Server) -> anyhow::Result<String> {
    let format = "{{.State.StartedAt}}";
    docker(&["inspect", "--format", format, server.container])
}

/// The first process of a server's container.
pub(crate) fn first_process(server: Server) -> anyhow::Result<u32> {
    let pid = docker(&["inspect", "--format", "{{.State.Pid}}", server.container])?;
    Ok(pid.parse()?)
}

fn is_of(view: &v1::ServerView, server: Server) -> bool {
    let record = view.record.as_ref();
    record.is_some_and(|record| record.name == server.name)
}

fn is_healthy(view: Option<&v1::ServerView>, started_at: &str) -> bool {
    let status = view.and_then(|view| view.status.as_ref());
    let instance = status
        .and_then(|status| status.current.as_ref())
        .and_then(|current| current.instance.as_ref());
    status.is_some_and(|status| status.health() == v1::Health::Healthy)
        && instance.is_some_and(|instance| instance.started_at == started_at)
}

fn take_turn() -> anyhow::Result<Flock<File>> {
    let file = || File::create(TURN).with_context(|| format!("opening {TURN}"));
    match Flock::lock(file()?, FlockArg::LockExclusiveNonblock) {
        Ok(turn) => Ok(turn),
        Err(_) => {
            eprintln!("waiting for {TURN}: another fleet is in the Docker Engine");
            let turn = Flock::lock(file()?, FlockArg::LockExclusive);
            turn.map_err(|(_, errno)| errno.into())
        }
    }
}

fn refuse_company() -> anyhow::Result<()> {
    let found = docker(&[
        "ps",
        "--all",
        "--filter",
        "name=^portsip\\.",
        "--format",
        "{{.Names}}",
    ])?;
    if found.is_empty() {
        return Ok(());
    }
    let names = found.replace('\n', ", ");
    bail!(
        "there are containers named as PortSIP's on this machine, which stay as they are: {names}"
    )
}

/// The containers that come to be in the Engine because of this fleet.
#[derive(Debug)]
struct Containers {
    note: PathBuf,
}

impl Containers {
    /// Notes that there were none before, also for the script that calls this program.
    fn begin(dir: &Path) -> anyhow::Result<Self> {
        let note = dir.join("owns-containers");
        fs::write(&note, "")?;
        Ok(Self { note })
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        for server in SERVERS {
            for suffix in ["", ".previous", ".failed"] {
                let name = format!("{}{suffix}", server.container);
                drop(docker(&["rm", "--force", "--volumes", &name]));
            }
        }
        drop(fs::remove_file(&self.note));
    }
}

/// Waits until a program has written down that a server's port answers; unused ports are no error.
pub(crate) async fn await_port(server: Server) -> anyhow::Result<()> {
    let at: std::net::SocketAddr = format!("{}:{}", server.node, server.port).parse()?;
    until(&format!("{at} should answer"), SOON, || {
        let limit = Duration::from_millis(50);
        Ok(std::net::TcpStream::connect_timeout(&at, limit)
            .ok()
            .map(drop))
    })
    .await
}
