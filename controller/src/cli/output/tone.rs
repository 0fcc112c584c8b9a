//! Colours by meaning. The word next to them always says the same.

use anstyle::{AnsiColor, Style};

/// How something is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// On the way, or not known.
    Busy,
    /// Not as it should be.
    Bad,
    /// Of less importance.
    Faint,
}

impl Tone {
    /// The text in this tone; as it is where there is no colour.
    pub(crate) fn paint(self, text: &str, colour: bool) -> String {
        if !colour || self == Self::Plain {
            return text.to_owned();
        }
        let style = match self {
            Self::Plain => Style::new(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Busy => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Faint => Style::new().dimmed(),
        };
        format!("{style}{text}{style:#}")
    }
}
