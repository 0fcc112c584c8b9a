//! One script on one node, over the system's own `ssh`.
//!
//! Owns how `ssh` is called and what is made of its end. The script goes in by standard input,
//! and what it needs after it: nothing stands in an argument that is not the same for every node.
//! Whoever the operator is, his `~/.ssh/config`, agent and known hosts count.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use extend_common::ids::NodeAddr;
use extend_common::wire::shown_text;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

/// What a script says at most; the rest is not read.
const MAX_OUTPUT: u64 = 256 * 1024;
/// A line longer than this is not one of ours.
const MAX_LINE: usize = 1024;
/// What is shown of the words of `ssh`.
const LAST_WORDS: usize = 6;
/// `ssh` itself ends with this when there was no connection, or no longer.
const SSH_FAILED: i32 = 255;

/// How nodes are reached.
#[derive(Debug, Clone)]
pub(super) struct Ssh {
    /// As whom.
    pub(super) user: String,
    /// With which key; none leaves it to the configuration and the agent.
    pub(super) key: Option<PathBuf>,
    /// Further options, `KEY=VALUE`.
    pub(super) options: Vec<String>,
    /// Whether somebody is there to be asked for a password.
    pub(super) asks: bool,
}

/// What follows the script on standard input.
#[derive(Debug, Clone)]
pub(super) enum Payload {
    /// Nothing.
    None,
    /// The same for every node.
    Shared(Arc<[u8]>),
    /// A secret.
    Secret(Zeroizing<Vec<u8>>),
}

impl Payload {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::None => &[],
            Self::Shared(bytes) => bytes,
            Self::Secret(bytes) => bytes,
        }
    }
}

/// What a script told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Its lines, key and value.
    pub(super) facts: Vec<(String, String)>,
    /// What whoever it called said last.
    pub(super) log: Vec<String>,
    /// `ssh` had not met this host before and remembers its key from now on.
    pub(super) new_host_key: bool,
}

/// Why a script did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// There is no `ssh` here.
    NoSsh(String),
    /// There was no connection.
    NoConnection(Vec<String>),
    /// There was one, and it did not last.
    Lost(Vec<String>),
    /// The user may not become root.
    NoRoot(Vec<String>),
    /// The script says why.
    Failed {
        /// In its words.
        why: String,
        /// What whoever it called said last.
        log: Vec<String>,
    },
    /// It ended without a word.
    Silent(Vec<String>),
}

impl Ssh {
    /// Runs `script` as root on `node`, followed by `payload`.
    pub(super) async fn run(
        &self,
        node: NodeAddr,
        script: &str,
        payload: &Payload,
    ) -> Result<Told, Trouble> {
        let mut child = self
            .command(node, script.len())
            .spawn()
            .map_err(|error| Trouble::NoSsh(error.to_string()))?;
        let (out, err, code) = talk(&mut child, script, payload)
            .await
            .map_err(|error| Trouble::Silent(vec![error.to_string()]))?;
        judge(&out, &err, code)
    }

    fn command(&self, node: NodeAddr, length: usize) -> Command {
        let mut command = Command::new("ssh");
        command.arg("-T");
        // The first word about an option counts: the operator's come first.
        for option in &self.options {
            command.args(["-o", option]);
        }
        if let Some(key) = &self.key {
            command
                .arg("-i")
                .arg(key)
                .args(["-o", "IdentitiesOnly=yes"]);
        }
        if !self.asks {
            command.args(["-o", "BatchMode=yes"]);
        }
        for option in [
            "StrictHostKeyChecking=accept-new",
            "ConnectTimeout=10",
            "ServerAliveInterval=5",
            "ServerAliveCountMax=3",
            "ForwardAgent=no",
            "ClearAllForwardings=yes",
            "RemoteCommand=none",
        ] {
            command.args(["-o", option]);
        }
        command.args(["-l", &self.user, "--", &node.to_string()]);
        command.arg(self.remote_command(length));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Reads the script from standard input and leaves what follows to it. Without a backslash and
    /// with no quote inside, every login shell takes it for the same.
    fn remote_command(&self, length: usize) -> String {
        let sudo = if self.user == "root" { "" } else { "sudo -n " };
        format!("{sudo}sh -c 's=$(head -c {length}); eval \"$s\"'")
    }
}

/// Says everything and hears everything, at the same time: neither side may wait for the other.
async fn talk(
    child: &mut Child,
    script: &str,
    payload: &Payload,
) -> std::io::Result<(String, String, Option<i32>)> {
    let mut stdin = child.stdin.take();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let say = async {
        if let Some(stdin) = &mut stdin {
            // Who ends early does not read on; the reason is in what it said.
            let _ = stdin.write_all(script.as_bytes()).await;
            let _ = stdin.write_all(payload.bytes()).await;
        }
        drop(stdin);
    };
    let ((), out, err) = tokio::join!(say, hear(stdout), hear(stderr));
    let status = child.wait().await?;
    Ok((out?, err?, status.code()))
}

async fn hear(from: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let mut heard = Vec::new();
    if let Some(mut from) = from {
        (&mut from).take(MAX_OUTPUT).read_to_end(&mut heard).await?;
        // One that goes on must not wait for us.
        tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    }
    Ok(String::from_utf8_lossy(&heard).into_owned())
}

/// What is made of what was said. Pure.
fn judge(out: &str, err: &str, code: Option<i32>) -> Result<Told, Trouble> {
    let mut told = Told {
        new_host_key: err.contains(NEW_HOST),
        ..Told::default()
    };
    for line in out.lines().filter(|line| line.len() <= MAX_LINE) {
        let Some((key, value)) = line
            .strip_prefix("extend ")
            .and_then(|line| line.split_once(' '))
        else {
            continue;
        };
        let value = shown_text(value.trim().to_owned());
        match key {
            "log" => told.log.push(value),
            key => told.facts.push((key.to_owned(), value)),
        }
    }
    let has = |wanted: &str| told.facts.iter().any(|(key, _)| key == wanted);
    if let Some((_, why)) = told.facts.iter().find(|(key, _)| key == "failed") {
        return Err(Trouble::Failed {
            why: why.clone(),
            log: told.log,
        });
    }
    if code == Some(0) && has("begun") {
        return Ok(told);
    }
    let words = last_words(err);
    if code == Some(SSH_FAILED) {
        return Err(if has("begun") {
            Trouble::Lost(words)
        } else {
            Trouble::NoConnection(words)
        });
    }
    if !has("begun") && words.iter().any(|line| line.contains("sudo")) {
        return Err(Trouble::NoRoot(words));
    }
    Err(Trouble::Silent(words))
}

/// What `ssh` says of a host that it had not met.
const NEW_HOST: &str = "Permanently added";

/// The last lines that say something: not the frame of `@` around a changed key, and not that a
/// host was new.
fn last_words(text: &str) -> Vec<String> {
    let says = |line: &&str| line.chars().any(char::is_alphanumeric) && !line.contains(NEW_HOST);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(says).collect();
    let from = lines.len().saturating_sub(LAST_WORDS);
    let last = lines.get(from..).unwrap_or_default();
    last.iter()
        .map(|line| shown_text((*line).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(user: &str) -> Ssh {
        Ssh {
            user: user.to_owned(),
            key: Some("/home/anna/key.pem".into()),
            options: vec!["Port=2222".to_owned()],
            asks: false,
        }
    }

    #[test]
    fn ssh_is_called_with_the_operators_options_first() {
        let node = "172.31.16.137".parse().unwrap();
        let command = ssh("ubuntu").command(node, 1234);
        let words: Vec<_> = command
            .as_std()
            .get_args()
            .map(|w| w.to_str().unwrap())
            .collect();
        assert_eq!(
            words.join(" "),
            "-T -o Port=2222 -i /home/anna/key.pem -o IdentitiesOnly=yes -o BatchMode=yes \
             -o StrictHostKeyChecking=accept-new -o ConnectTimeout=10 -o ServerAliveInterval=5 \
             -o ServerAliveCountMax=3 -o ForwardAgent=no -o ClearAllForwardings=yes \
             -o RemoteCommand=none -l ubuntu -- 172.31.16.137 \
             sudo -n sh -c 's=$(head -c 1234); eval \"$s\"'"
        );
        let root = ssh("root").remote_command(7);
        assert_eq!(root, "sh -c 's=$(head -c 7); eval \"$s\"'");
    }

    #[test]
    fn the_end_of_ssh_and_what_was_said_decide() {
        let told = judge(
            "Welcome!\nextend begun 1\nextend os x y\nextend log a\n",
            "",
            Some(0),
        );
        let told = told.unwrap();
        assert_eq!(
            told.facts.last().unwrap(),
            &("os".to_owned(), "x y".to_owned())
        );
        assert_eq!(told.log, ["a"]);
        let failed = judge(
            "extend begun 1\nextend failed no room\nextend log E: x\n",
            "",
            Some(1),
        );
        let (why, log) = ("no room".to_owned(), vec!["E: x".to_owned()]);
        assert_eq!(failed, Err(Trouble::Failed { why, log }));

        let denied = "Warning: Permanently added '10.0.0.1' (ED25519)\n\nubuntu@10.0.0.1: Permission denied (publickey).\n";
        let Err(Trouble::NoConnection(words)) = judge("", denied, Some(255)) else {
            panic!("there was no connection")
        };
        assert_eq!(
            words.last().unwrap(),
            "ubuntu@10.0.0.1: Permission denied (publickey)."
        );
        let lost = judge(
            "extend begun 1\n",
            "Connection to 10.0.0.1 closed.\n",
            Some(255),
        );
        assert!(matches!(lost, Err(Trouble::Lost(_))), "{lost:?}");
        let sudo = judge("", "sudo: a password is required\n", Some(1));
        assert_eq!(
            sudo,
            Err(Trouble::NoRoot(vec![
                "sudo: a password is required".to_owned()
            ]))
        );
        let none = judge("", "bash: line 1: sudo: command not found\n", Some(127));
        assert!(matches!(none, Err(Trouble::NoRoot(_))), "{none:?}");
        let cut = judge("extend begun 1\n", "sh: 9: Syntax error\n", Some(2));
        assert!(matches!(cut, Err(Trouble::Silent(_))), "{cut:?}");
        let silent = judge("", "", Some(0));
        assert!(
            matches!(silent, Err(Trouble::Silent(_))),
            "nothing ran: {silent:?}"
        );
    }

    #[test]
    fn the_frame_around_a_changed_key_is_left_out() {
        let words = last_words(
            "@@@@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n@@@@@\nHost key verification failed.\n",
        );
        assert_eq!(
            words,
            [
                "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @",
                "Host key verification failed."
            ]
        );
    }
}
