//! Everything that is shown: names, kinds, labels and what they mean. docs/metrics.md has the same.
//!
//! Names say their unit; a role that no definition of this controller has is `other`. Labels come
//! from closed sets and from names of servers and addresses of nodes, which have a bound.

/// What kind of value it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Goes up while the process lives.
    Counter,
    /// How often a value was below each of some bounds.
    Histogram,
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// As it is exposed.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

macro_rules! table {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Definition = Definition {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )*

        /// Every metric, in the order in which they are shown.
        pub const ALL: &[Definition] = &[$($constant),*];
    };
}

table! {
    SERVERS = Gauge "extend_servers" ["role", "health"]
        "Servers by role and health, as their agents told it last; unknown where the agent is away. Containers that no record claims count as unclaimed.";
    RESTARTS = Counter "extend_server_restarts_total" ["role", "reason"]
        "Restarts of servers since the controller's start: by their agent (hung, ended, memory), by Docker's own policy (docker), by an operator's restart (operator).";
    QUARANTINES = Counter "extend_server_quarantines_total" ["role"]
        "How often agents have given up restarting a server since the controller's start.";
    SESSIONS = Gauge "extend_sessions" ["role", "source"]
        "Sessions of all servers of a role, as the portal counts them (portal) or the nodes (node); absent where nobody counts.";
    FAILING = Gauge "extend_servers_failing" ["role"]
        "Servers of which a probe fails, from its first failure on.";
    SPARED = Gauge "extend_servers_spared" ["role"]
        "Servers that are unhealthy and are not restarted because they carry calls.";
    HELD = Gauge "extend_servers_held" ["role"]
        "Servers whose restarts are held because many of their role, or of the fleet, fail at once.";
    WARNED = Gauge "extend_servers_warned" ["role", "warning"]
        "Servers with something that no restart would mend: a disk that fills up (disk), memory that grows (memory), a port that does not answer (probe).";
    PROBES_FAILING = Gauge "extend_probes_failing" ["role", "probe"]
        "Points of all servers of a role that have passed before and fail now, by kind of probe.";
    PROBES_SLOWEST = Gauge "extend_probes_slowest_seconds" ["role", "probe"]
        "The longest that an answer to a probe took last among all servers of a role, in seconds, by kind of probe.";
    PORTAL_SERVERS = Gauge "extend_portal_servers" ["role", "state"]
        "Servers by role and how the PBX's portal shows them; absent without a portal.";
    PORTAL_SEEN = Gauge "extend_portal_last_seen_timestamp_seconds" []
        "When the PBX's portal was last seen, in seconds since 1970; absent before the first time.";

    AGENTS = Gauge "extend_agents" ["state"]
        "Nodes by the state of their agents.";
    CONNECTED = Gauge "extend_agent_connections" []
        "Agents that have a session with this controller.";
    SILENCE = Gauge "extend_agent_heartbeat_age_seconds" []
        "Seconds since the connected agent that has been silent longest was heard; absent while none is connected.";
    TROUBLED = Gauge "extend_agents_troubled" ["trouble"]
        "Connected agents whose Docker Engine does not answer (docker), or that cannot write their own state (ledger).";
    HANDSHAKES = Counter "extend_handshakes_total" ["face", "result"]
        "Connections on the controller's TLS faces by what became of them, since the controller's start.";

    OPEN = Gauge "extend_operations_open" ["verb"]
        "Operations that have not ended.";
    BEGUN = Counter "extend_operations_begun_total" ["verb"]
        "Operations that were begun since the controller's start.";
    ENDED = Counter "extend_operations_ended_total" ["verb", "outcome"]
        "Operations that have ended since the controller's start, by the worst end of their servers.";
    TOOK = Histogram "extend_operation_duration_seconds" ["verb"]
        "Seconds from the submission of an operation to its end.";

    ROWS = Gauge "extend_whitelist_rows" ["enforcer", "state"]
        "Addresses by how they stand with each enforcer of the whitelist at its last look; all zero when that came to nothing.";
    LIST_EXPIRES = Gauge "extend_whitelist_earliest_expiry_timestamp_seconds" ["enforcer"]
        "When the first entry of ours lapses unless it is renewed, in seconds since 1970; absent where none does.";
    LIST_LOOKED = Gauge "extend_whitelist_last_look_timestamp_seconds" ["enforcer"]
        "When an enforcer looked last, in seconds since 1970; absent before its first look.";
    LIST_TROUBLE = Gauge "extend_whitelist_trouble" ["enforcer"]
        "1 while an enforcer could not look, or not do what follows.";

    CERTIFICATES = Gauge "extend_certificate_expiry_timestamp_seconds" ["certificate"]
        "When a certificate ends, in seconds since 1970: the node's that ends first (node), the controller's own (controller), the authority's (authority).";

    SERVER_STATE = Gauge "extend_server_state" ["server", "node", "role", "health"]
        "1 for the health that a server has; other values of the label are absent.";
    SERVER_AGENT_RESTARTS = Gauge "extend_server_agent_restarts" ["server", "node", "role"]
        "Restarts that the server's agent has begun since its ledger was made.";
    SERVER_DOCKER_RESTARTS = Gauge "extend_server_docker_restarts" ["server", "node", "role"]
        "Restarts by Docker's own policy since the container was last started on purpose.";
    SERVER_SESSIONS = Gauge "extend_server_sessions" ["server", "node", "role", "source"]
        "Sessions of a server, as the portal counts them (portal) or its node (node); absent where nobody counts.";
    SERVER_MEMORY = Gauge "extend_server_memory_bytes" ["server", "node", "role"]
        "Memory of the server's container, in bytes.";
    SERVER_DUMPS = Gauge "extend_server_dumps" ["server", "node", "role"]
        "Crash dumps in the server's directory.";
    SERVER_DUMP_BYTES = Gauge "extend_server_dumps_size_bytes" ["server", "node", "role"]
        "Crash dumps in the server's directory, in bytes.";
    SERVER_PROBE = Gauge "extend_server_probe_slowest_seconds" ["server", "node", "role", "probe"]
        "How long the slowest answer to a kind of probe took last, in seconds.";
    NODE_CPU = Gauge "extend_node_cpu_ratio" ["server", "node", "role"]
        "Share of all processors of a server's node that is in use, from 0 to 1.";
    NODE_LOAD = Gauge "extend_node_load1" ["server", "node", "role"]
        "Average of runnable tasks over a minute on a server's node.";
    NODE_MEMORY = Gauge "extend_node_memory_bytes" ["server", "node", "role"]
        "Main memory of a server's node, in bytes.";
    NODE_MEMORY_USED = Gauge "extend_node_memory_used_bytes" ["server", "node", "role"]
        "Main memory of a server's node that is not available to new programs, in bytes.";
    NODE_DISK = Gauge "extend_node_disk_bytes" ["server", "node", "role"]
        "Size of the fullest file system that a server depends on, in bytes.";
    NODE_DISK_FREE = Gauge "extend_node_disk_free_bytes" ["server", "node", "role"]
        "What an unprivileged process may still write to the fullest file system that a server depends on, in bytes.";
    NODE_CLOCK = Gauge "extend_node_clock_offset_seconds" ["server", "node", "role"]
        "Seconds by which the clock of a server's node is ahead of the controller's; negative: behind.";
    LEFT_OUT = Gauge "extend_servers_without_series" []
        "Servers beyond the bound of 500 (by address), which have no extend_server_… and extend_node_… series of their own.";

    COMMITS = Histogram "extend_store_commit_duration_seconds" []
        "Seconds from handing a batch to the store to its answer.";
    COMMIT_ROWS = Histogram "extend_store_commit_rows" []
        "Rows written by one commit.";
    COMMITS_FAILED = Counter "extend_store_commit_failures_total" []
        "Commits that failed since the controller's start; after each the memory is read again.";
    STORE_SIZE = Gauge "extend_store_size_bytes" []
        "Size of the store's database and its write-ahead log, in bytes.";
    QUEUE = Gauge "extend_engine_queue_depth" []
        "Inputs that wait for the engine.";
    QUEUE_LIMIT = Gauge "extend_engine_queue_limit" []
        "Inputs that may wait for the engine; beyond it, callers do.";
    TURNS = Histogram "extend_engine_turn_inputs" []
        "Inputs that the engine took at once.";
    EPOCH = Gauge "extend_epoch" []
        "The epoch of this controller: raised at each start, and after a commit that failed.";
    BUILD = Gauge "extend_build_info" ["version"]
        "1; the label is the version of the controller.";

    PROCESS_START = Gauge "process_start_time_seconds" []
        "When the controller started, in seconds since 1970.";
    PROCESS_CPU = Counter "process_cpu_seconds_total" []
        "Seconds of processor time, the system's share included.";
    PROCESS_RESIDENT = Gauge "process_resident_memory_bytes" []
        "Resident memory, in bytes.";
    PROCESS_FDS = Gauge "process_open_fds" []
        "Open file descriptors.";
    PROCESS_MAX_FDS = Gauge "process_max_fds" []
        "File descriptors that may be open.";
}
