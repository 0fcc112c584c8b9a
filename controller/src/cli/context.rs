//! What every command is given: where its words go, how the controller is reached, and how it was
//! called.

use extend_common::clock::Clock;

use super::args::ConnectionArgs;
use super::client::Client;
use super::failure::Failure;
use super::output::Output;

/// The surroundings of one command.
#[derive(Debug)]
pub(crate) struct Context {
    /// The only way to stdout and stderr.
    pub(crate) output: Output,
    /// The socket, and how long to try.
    pub(crate) connection: ConnectionArgs,
    /// The time.
    pub(crate) clock: Clock,
    /// The arguments as they were given, without the program's name.
    pub(crate) arguments: Vec<String>,
}

impl Context {
    /// Connects to the controller.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        Ok(Client::connect(&self.connection.socket).await?)
    }

    /// This same command, to be pasted into a shell.
    pub(crate) fn again(&self) -> String {
        let mut words = vec!["extend".to_owned()];
        words.extend(self.arguments.iter().map(|word| shell_word(word)));
        words.join(" ")
    }

    /// The same with one option more.
    pub(crate) fn again_with(&self, option: &str) -> String {
        format!("{} {option}", self.again())
    }
}

/// A word as a shell takes it: quoted where it has to be.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,@=+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::shell_word;

    #[test]
    fn words_survive_being_pasted() {
        assert_eq!(shell_word("portsip/pbx:22"), "portsip/pbx:22");
        assert_eq!(shell_word("two words"), "'two words'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word(""), "''");
    }
}
