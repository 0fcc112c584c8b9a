//! The fleet: a controller, and an agent for each node. What an operator does with it is in
//! `operator`.

mod operator;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use tempfile::TempDir;

use super::bystanders::Bystanders;
use super::engine::Engine;
use super::images::{self, IMAGE, REPOSITORY};
use super::process::{Daemon, Running, tail};
use super::servers::{Probing, Server, Times};
use super::wait::until;

/// The controller's address.
pub const CONTROLLER: &str = "127.0.2.133";
/// The PBX's address, as the servers are told.
pub const PBX: &str = "54.151.30.9";
/// Container names and ports exist once on a machine: one fleet at a time.
const TURN: &str = "/tmp/extend-real-fleet.lock";
/// What a start, a hello or the look of a status may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

/// What a fleet is made of.
#[derive(Debug)]
pub struct Setup {
    engine: Engine,
    servers: Vec<Server>,
    times: Times,
    probing: Probing,
}

impl Setup {
    /// Nodes for some servers, on the Engine of this machine, with short times.
    #[must_use]
    pub fn of(servers: &[Server]) -> Self {
        Self {
            engine: Engine::of_this_machine(),
            servers: servers.to_vec(),
            times: Times::SHORT,
            probing: Probing(&[]),
        }
    }

    /// With other times.
    #[must_use]
    pub fn with(self, times: Times) -> Self {
        Self { times, ..self }
    }

    /// With other probes.
    #[must_use]
    pub fn probing(self, probing: Probing) -> Self {
        Self { probing, ..self }
    }

    /// On another Engine.
    #[must_use]
    pub fn on(self, engine: &Engine) -> Self {
        Self {
            engine: engine.clone(),
            ..self
        }
    }

    /// A controller and an agent for each node, all online.
    ///
    /// # Panics
    /// When anything is not as it has to be.
    #[must_use]
    pub fn up(self) -> Fleet {
        Fleet::up(self)
    }
}

/// A fleet.
#[derive(Debug)]
pub struct Fleet {
    engine: Engine,
    bin: PathBuf,
    controller: Option<Daemon>,
    agents: BTreeMap<&'static str, Daemon>,
    bystanders: Bystanders,
    dir: TempDir,
    // Last: the next fleet may come when everything above is gone.
    _turn: Flock<File>,
}

impl Fleet {
    fn up(setup: Setup) -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "these tests give directories to 888 and speak to Docker: run them as root"
        );
        let turn = Flock::lock(File::create(TURN).unwrap(), FlockArg::LockExclusive);
        let dir = tempfile::Builder::new().prefix("xf").tempdir().unwrap();
        let engine = setup.engine;
        engine.remove_ours();
        images::release(&engine, "22.3.0", &[], IMAGE);
        let bystanders = Bystanders::start(&engine, dir.path());
        let mut fleet = Self {
            bin: programs(),
            controller: None,
            agents: BTreeMap::new(),
            bystanders,
            engine,
            dir,
            _turn: turn.map_err(|(_, why)| why).unwrap(),
        };
        setup.times.write(setup.probing, &fleet.path("roles.d"));
        fleet.write_configuration(&setup.servers);
        fleet.start_controller();
        for server in &setup.servers {
            fleet.join(server.node);
            fleet.start_agent(server.node);
        }
        for server in &setup.servers {
            fleet.await_node(server.node, "online");
        }
        fleet
    }

    fn write_configuration(&self, servers: &[Server]) {
        let at = |name: &str| self.path(name).display().to_string();
        let controller = format!(
            "address = \"{CONTROLLER}\"\nstate_dir = \"{}\"\nsocket = \"{}\"\n\
             image = \"{IMAGE}\"\nimage_pull = \"missing\"\nroles_dir = \"{}\"\n\n\
             [listen]\nagents = \"{CONTROLLER}:7443\"\nenrolment = \"{CONTROLLER}:7444\"\n\
             http = \"{CONTROLLER}:7480\"\n\n[pbx]\naddress = \"{PBX}\"\n",
            at("controller"),
            at("controller.sock"),
            at("roles.d"),
        );
        fs::write(self.path("controller.toml"), controller).unwrap();
        for server in servers {
            let agent = format!(
                "state_dir = \"{}\"\ndata_dir = \"{}\"\ndocker_socket = \"{}\"\n\
                 host_changes = false\nrepositories = [\"{REPOSITORY}\"]\nroles_dir = \"{}\"\n\
                 registry_credentials = \"{}\"\n",
                self.agent_state(server.node).display(),
                self.data(server.node).display(),
                self.engine.socket().display(),
                at("roles.d"),
                at("no-credentials.json"),
            );
            fs::write(self.path(&format!("agent-{}.toml", server.node)), agent).unwrap();
        }
    }

    /// A file or directory of this fleet's own.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where an agent keeps its ledger.
    #[must_use]
    pub fn agent_state(&self, node: &str) -> PathBuf {
        self.path(&format!("state-{node}"))
    }

    /// Where a node's services keep their data.
    #[must_use]
    pub fn data(&self, node: &str) -> PathBuf {
        self.path(&format!("data-{node}"))
    }

    /// The Engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Gives the fleet's tag to a new release.
    pub fn release(&self, version: &str) {
        images::release(&self.engine, version, &[], IMAGE);
    }

    /// Makes an image that something is wrong with.
    pub fn flawed(&self, version: &str, options: &[&str], reference: &str) {
        images::release(&self.engine, version, options, reference);
    }

    // The controller.

    /// Starts the controller, and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn start_controller(&mut self) {
        self.start_controller_that(None);
    }

    /// Starts the controller, and waits until it answers; it dies when it reaches `point`.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn start_controller_that(&mut self, crash_at: Option<&str>) {
        assert!(self.controller.is_none(), "there is a controller");
        let mut command = Command::new(self.bin.join("extend"));
        command
            .arg("controller")
            .env_remove("EXTEND_CRASH_AT")
            .arg("--config")
            .arg(self.path("controller.toml"));
        if let Some(point) = crash_at {
            command.env("EXTEND_CRASH_AT", point);
        }
        let daemon = Daemon::start("the controller", command, &self.path("controller.log"));
        self.controller = Some(daemon);
        until("the controller should answer", SOON, || {
            let daemon = self.controller.as_mut().unwrap();
            let ended = daemon.ended();
            assert!(
                ended.is_none(),
                "the controller ended: {ended:?}\n{}",
                daemon.tail()
            );
            let list = self.extend(&["node", "list", "-o", "json"]);
            if list.code == 0 {
                Ok(())
            } else {
                Err(list.to_string())
            }
        });
    }

    /// `kill -9` for the controller.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill_controller(&mut self) {
        self.controller
            .take()
            .expect("there is a controller")
            .kill();
    }

    /// SIGTERM for the controller, and its end.
    ///
    /// # Panics
    /// When it does not run, or does not end.
    pub fn stop_controller(&mut self) {
        self.controller
            .take()
            .expect("there is a controller")
            .stop();
    }

    /// Waits until the controller has died by itself.
    ///
    /// # Panics
    /// When it does not.
    pub fn await_controller_crash(&mut self, point: &str) {
        let why = format!(
            "die at {point} (are the programs built with failpoints? cargo build --workspace)"
        );
        let mut controller = self.controller.take().expect("there is a controller");
        let status = controller.wait(&why, SOON);
        assert!(!status.success(), "{status}\n{}", controller.tail());
    }

    // The agents.

    fn join(&self, node: &str) {
        let token = self
            .extend(&["node", "token", "-a", node])
            .expect(0, "a token is made");
        let mut command = self.agent_command(node);
        command.arg("join");
        let joined = Running::start(command, &token.stdout).end();
        joined.expect(0, "the node should join with its token");
    }

    fn agent_command(&self, node: &str) -> Command {
        let mut command = Command::new(self.bin.join("extend-agent"));
        let config = self.path(&format!("agent-{node}.toml"));
        command
            .env_remove("EXTEND_CRASH_AT")
            .arg("--config")
            .arg(config);
        command
    }

    /// Starts a node's agent.
    ///
    /// # Panics
    /// When it runs already.
    pub fn start_agent(&mut self, node: &'static str) {
        self.start_agent_that(node, None);
    }

    /// Starts a node's agent; it kills itself when it reaches `point`.
    ///
    /// # Panics
    /// When it runs already.
    pub fn start_agent_that(&mut self, node: &'static str, crash_at: Option<&str>) {
        let mut command = self.agent_command(node);
        command.arg("run");
        if let Some(point) = crash_at {
            command.env("EXTEND_CRASH_AT", point);
        }
        let log = self.path(&format!("agent-{node}.log"));
        let daemon = Daemon::start(&format!("the agent of {node}"), command, &log);
        let before = self.agents.insert(node, daemon);
        assert!(before.is_none(), "there is an agent on {node}");
    }

    /// `kill -9` for a node's agent.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill_agent(&mut self, node: &str) {
        self.agents.remove(node).expect("there is an agent").kill();
    }

    /// SIGTERM for a node's agent, and its end.
    ///
    /// # Panics
    /// When it does not run, or does not end.
    pub fn stop_agent(&mut self, node: &str) {
        self.agents.remove(node).expect("there is an agent").stop();
    }

    /// Waits until a node's agent has killed itself.
    ///
    /// # Panics
    /// When it does not.
    pub fn await_crash(&mut self, node: &str, point: &str) {
        use std::os::unix::process::ExitStatusExt as _;
        let why = format!(
            "kill itself at {point} (are the programs built with failpoints? cargo build --workspace)"
        );
        let mut agent = self.agents.remove(node).expect("there is an agent");
        let status = agent.wait(&why, SOON);
        assert_eq!(status.signal(), Some(9), "{status}\n{}", agent.tail());
    }

    /// The agent's process id.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn agent_pid(&self, node: &str) -> u32 {
        self.agents[node].pid()
    }

    fn logs(&self) -> String {
        let files = fs::read_dir(self.dir.path())
            .into_iter()
            .flatten()
            .flatten();
        let logs = files.map(|file| file.path());
        let logs = logs.filter(|path| path.extension().is_some_and(|end| end == "log"));
        logs.map(|path| tail(&path)).collect()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        if failed {
            eprintln!("{}", self.logs());
            eprintln!("{}", self.engine.ask(&["ps", "--all"]).stdout);
        }
        self.controller = None;
        self.agents.clear();
        self.engine.remove_ours();
        if !failed {
            self.bystanders.check();
        }
    }
}

/// The directory with the programs under test.
fn programs() -> PathBuf {
    let directory = match std::env::var_os("EXTEND_TEST_BIN") {
        Some(directory) => PathBuf::from(directory),
        None => {
            let test = std::env::current_exe().unwrap();
            // target/PROFILE/deps/TEST
            test.ancestors().nth(2).map(Path::to_owned).unwrap()
        }
    };
    for program in ["extend", "extend-agent"] {
        assert!(
            directory.join(program).is_file(),
            "there is no {program} in {}: cargo build --workspace",
            directory.display()
        );
    }
    directory
}
