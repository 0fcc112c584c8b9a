//! The command lines of PortSIP's guide "Scaling Servers on AWS for High Availability", word for
//! word, and the fleet it describes.

/// The guide's servers: type, name, private address.
pub const SERVERS: [(&str, &str, &str); 4] = [
    ("meeting-server-only", "meeting-server-1", "172.31.16.137"),
    ("queue-server-only", "queue-server-1", "172.31.16.138"),
    ("media-server-only", "media-server-1", "172.31.16.139"),
    ("vr-server-only", "ivr-server-1", "172.31.16.140"),
];

/// Every line begins with this.
pub const PREFIX: &str = "cd /opt/portsip-pbx-ha-guide/ && /bin/bash extend.sh ";

/// Deploying the servers.
pub const DEPLOY: [&str; 4] = [
    "run -s meeting-server-only \\\n-n meeting-server-1 \\\n-a 172.31.16.137",
    "run \\\n  -s queue-server-only \\\n  -n queue-server-1 \\\n  -a 172.31.16.138",
    "run \\\n  -s media-server-only \\\n  -n media-server-1 \\\n  -a 172.31.16.139",
    "run \\\n  -s vr-server-only \\\n  -n ivr-server-1 \\\n  -a 172.31.16.140",
];

/// Managing all servers; `rm` is apart, since it asks.
pub const ALL: [&str; 3] = ["start", "stop", "restart"];

/// Managing one type.
pub const ONE_TYPE: [&str; 3] = [
    "start -s media-server-only",
    "stop -s media-server-only",
    "restart -s media-server-only",
];

/// Managing one server: the guide's own mistake, since .137 is the meeting server.
pub const ONE_SERVER: [&str; 4] = [
    "start \\\n-s media-server-only \\\n-a 172.31.16.137",
    "stop \\\n-s media-server-only \\\n-a 172.31.16.137",
    "restart \\\n-s media-server-only \\\n-a 172.31.16.137",
    "rm \\\n-s media-server-only \\\n-a 172.31.16.137",
];

/// Upgrading.
pub const UPGRADE: [&str; 2] = ["upgrade", "upgrade -s media-server-only"];

/// Removing.
pub const REMOVE: [&str; 2] = ["rm -s media-server-only", "rm"];
