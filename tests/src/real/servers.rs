//! The servers of the fleet, and role definitions with shorter times.

use std::fs;
use std::path::Path;

/// A server of the guide, on an address of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// The word after `-s`.
    pub role: &'static str,
    /// Its portal name.
    pub name: &'static str,
    /// Its node.
    pub node: &'static str,
    /// The official name of its container.
    pub container: &'static str,
    /// Its program in the image.
    pub binary: &'static str,
    /// The first of its ports.
    pub port: u16,
}

/// The meeting server.
pub const MEETING: Server = Server {
    role: "meeting-server-only",
    name: "meeting-server-1",
    node: "127.0.2.137",
    container: "portsip.conference",
    binary: "/usr/local/bin/conf",
    port: 8928,
};
/// The queue server.
pub const QUEUE: Server = Server {
    role: "queue-server-only",
    name: "queue-server-1",
    node: "127.0.2.138",
    container: "portsip.callqueue",
    binary: "/usr/local/bin/callqueue",
    port: 8916,
};
/// The media server.
pub const MEDIA: Server = Server {
    role: "media-server-only",
    name: "media-server-1",
    node: "127.0.2.139",
    container: "portsip.mediaserver",
    binary: "/usr/local/bin/mediaserver",
    port: 8840,
};
/// The IVR server.
pub const IVR: Server = Server {
    role: "vr-server-only",
    name: "ivr-server-1",
    node: "127.0.2.140",
    container: "portsip.virtualreceptionist",
    binary: "/usr/local/bin/vr",
    port: 8922,
};
/// All of them.
pub const SERVERS: [Server; 4] = [MEETING, QUEUE, MEDIA, IVR];

/// The times of a role definition that a test changes: key and value as they stand in the file.
#[derive(Debug, Clone, Copy)]
pub struct Times(pub &'static [(&'static str, &'static str)]);

impl Times {
    /// Those of the built-in definitions.
    pub const OFFICIAL: Self = Self(&[]);
    /// Probes that come often; the graces are the official ones.
    pub const BRISK: Self = Self(&[
        ("interval", "300ms"),
        ("timeout", "250ms"),
        ("steady", "500ms"),
    ]);
    /// Everything short.
    pub const SHORT: Self = Self(&[
        ("interval", "300ms"),
        ("timeout", "250ms"),
        ("steady", "500ms"),
        ("stop_grace", "3s"),
        ("short_grace", "1s"),
        ("start_window", "5s"),
        ("settle", "2s"),
    ]);

    /// Writes the built-in definitions with these times and probes into a directory.
    ///
    /// # Panics
    /// When a definition has no such time.
    pub(super) fn write(self, probing: Probing, directory: &Path) {
        fs::create_dir_all(directory).unwrap();
        if self.0.is_empty() && probing.0.is_empty() {
            return;
        }
        let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../common/src/roles/builtin");
        for server in SERVERS {
            let file = format!("{}.toml", server.role);
            let text = fs::read_to_string(built_in.join(&file)).unwrap();
            let text = probing.replaced(&self.replaced(&text));
            fs::write(directory.join(&file), text).unwrap();
        }
    }

    fn replaced(self, text: &str) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (key, value) in self.0 {
            let before = format!("{key} = ");
            let mut found = lines.iter_mut().filter(|line| line.starts_with(&before));
            let line = found.next().expect("a definition has every time once");
            *line = format!("{key} = \"{value}\"");
        }
        lines.join("\n") + "\n"
    }
}

/// The keys of probes that a test changes, wherever a definition has such a probe: its kind, key
/// and value as they stand in the file.
#[derive(Debug, Clone, Copy)]
pub struct Probing(pub &'static [(&'static str, &'static str, &'static str)]);

impl Probing {
    fn replaced(self, text: &str) -> String {
        let mut kind = "";
        let mut lines = Vec::new();
        for line in text.lines() {
            let (key, value) = line.split_once(" = ").unwrap_or((line, ""));
            match key {
                "kind" => kind = value.trim_matches('"'),
                _ if line.starts_with('[') => kind = "",
                _ => {}
            }
            let mut changes = self.0.iter();
            let change = changes.find(|(of, what, _)| *of == kind && *what == key);
            lines.push(match change {
                Some((_, _, value)) => format!("{key} = {value}"),
                None => line.to_owned(),
            });
        }
        lines.join("\n") + "\n"
    }
}
