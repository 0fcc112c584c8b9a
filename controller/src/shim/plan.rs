//! Which step comes next: pure. Each step leaves a state from which the next look leads on, so that
//! a run that is cut short is continued and never undone.

use super::look::{Found, Look};
use super::{EDITED, KEPT, NAME};

/// What is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Ours is in its place, PortSIP's is kept.
    Installed,
    /// PortSIP's is in its place, and nothing of ours is there.
    Uninstalled,
}

/// One change of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// What is on its way is PortSIP's: it becomes `extend.sh.portsip`.
    Keep,
    /// What is on its way is ours, and not needed any more.
    DropNext,
    /// What is kept as PortSIP's is ours: it would call itself.
    DropKept,
    /// Ours goes to `extend.sh`, where nothing is, or ours of old.
    Put,
    /// Ours and PortSIP's change places: ours is `extend.sh`, PortSIP's on its way.
    Exchange {
        /// PortSIP's.
        sha256: [u8; 32],
    },
    /// Ours that was changed by hand becomes `extend.sh.edited`, and ours goes to `extend.sh`.
    SetAside,
    /// PortSIP's goes back to `extend.sh`.
    Restore,
    /// Ours goes, and PortSIP never had one here.
    Remove,
    /// PortSIP's newer one is in its place: the older one goes.
    DropOlder,
}

/// What is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not a file.
    #[error("{0} is no file")]
    NoFile(&'static str),
    /// Somebody has only begun to write it.
    #[error("{NAME} is empty")]
    Empty,
}

impl Refused {
    /// What the operator can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoFile(name) => format!("look what it is, and move it away: ls -l {name}"),
            Self::Empty => "unpack PortSIP's package again, or remove the file".to_owned(),
        }
    }
}

/// The next step towards what is wished for; none when it is so.
///
/// # Errors
/// Says what is in the way.
pub fn next(look: &Look, wish: Wish) -> Result<Option<Step>, Refused> {
    for (name, found) in [(NAME, &look.script), (KEPT, &look.kept)] {
        if *found == Found::Odd {
            return Err(Refused::NoFile(name));
        }
    }
    if let Some(step) = tidy(look) {
        return Ok(Some(step));
    }
    match wish {
        Wish::Installed => install(look),
        Wish::Uninstalled => Ok(uninstall(look)),
    }
}

/// What an earlier run has left, and what must never be.
fn tidy(look: &Look) -> Option<Step> {
    match &look.next {
        Found::Nothing | Found::Odd => {}
        // Somebody writes it still: it was exchanged under his hands.
        Found::Theirs { .. } | Found::Empty => return Some(Step::Keep),
        Found::Ours | Found::OursOfOld | Found::OursEdited => return Some(Step::DropNext),
    }
    look.kept.is_ours().then_some(Step::DropKept)
}

fn install(look: &Look) -> Result<Option<Step>, Refused> {
    match &look.script {
        Found::Ours => Ok(None),
        Found::Nothing | Found::OursOfOld => Ok(Some(Step::Put)),
        Found::OursEdited => Ok(Some(Step::SetAside)),
        Found::Theirs { sha256 } => Ok(Some(Step::Exchange { sha256: *sha256 })),
        Found::Empty => Err(Refused::Empty),
        Found::Odd => Err(Refused::NoFile(NAME)),
    }
}

fn uninstall(look: &Look) -> Option<Step> {
    let kept = look.kept != Found::Nothing;
    match &look.script {
        Found::OursEdited => Some(Step::SetAside),
        Found::Ours | Found::OursOfOld | Found::Nothing if kept => Some(Step::Restore),
        Found::Ours | Found::OursOfOld => Some(Step::Remove),
        Found::Nothing | Found::Odd => None,
        Found::Theirs { .. } | Found::Empty => kept.then_some(Step::DropOlder),
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Keep => write!(f, "PortSIP's {NAME} is kept as {KEPT}"),
            Self::DropNext => f.write_str("what an interrupted run had left is gone"),
            Self::DropKept => write!(f, "{KEPT} was a copy of ours and is gone"),
            Self::Put => write!(f, "ours is now {NAME}"),
            Self::Exchange { .. } => write!(f, "ours is now {NAME}, in PortSIP's place"),
            Self::SetAside => write!(f, "{NAME} of ours was changed by hand: it is now {EDITED}"),
            Self::Restore => write!(f, "PortSIP's is {NAME} again, as it was"),
            Self::Remove => write!(f, "{NAME} is gone: PortSIP had none here"),
            Self::DropOlder => write!(f, "PortSIP's newer {NAME} stays, the older {KEPT} is gone"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shim::look::Version;

    const THEIRS: Found = Found::Theirs { sha256: [7; 32] };

    fn look(script: Found, kept: Found) -> Look {
        Look {
            script,
            kept,
            next: Found::Nothing,
            version: Version::default(),
        }
    }

    fn step(look: &Look, wish: Wish) -> Option<Step> {
        next(look, wish).unwrap()
    }

    #[test]
    fn to_install_what_is_there_decides() {
        let first = |script| step(&look(script, Found::Nothing), Wish::Installed);
        assert_eq!(first(Found::Ours), None);
        assert_eq!(first(Found::Nothing), Some(Step::Put));
        assert_eq!(first(Found::OursOfOld), Some(Step::Put));
        assert_eq!(first(Found::OursEdited), Some(Step::SetAside));
        let sha256 = [7; 32];
        assert_eq!(first(THEIRS), Some(Step::Exchange { sha256 }));
        let empty = next(&look(Found::Empty, THEIRS), Wish::Installed);
        assert_eq!(empty, Err(Refused::Empty));
    }

    #[test]
    fn to_uninstall_what_is_kept_decides() {
        let first = |script, kept| step(&look(script, kept), Wish::Uninstalled);
        assert_eq!(first(Found::Ours, THEIRS), Some(Step::Restore));
        assert_eq!(first(Found::Ours, Found::Nothing), Some(Step::Remove));
        assert_eq!(first(Found::Nothing, THEIRS), Some(Step::Restore));
        assert_eq!(first(Found::OursEdited, THEIRS), Some(Step::SetAside));
        assert_eq!(first(THEIRS, THEIRS), Some(Step::DropOlder));
        assert_eq!(first(THEIRS, Found::Nothing), None);
        assert_eq!(first(Found::Nothing, Found::Nothing), None);
    }

    #[test]
    fn what_was_cut_short_comes_first_and_ours_is_never_kept_as_theirs() {
        for wish in [Wish::Installed, Wish::Uninstalled] {
            for (next, first) in [
                (THEIRS, Step::Keep),
                (Found::Empty, Step::Keep),
                (Found::Ours, Step::DropNext),
                (Found::OursOfOld, Step::DropNext),
            ] {
                let look = Look {
                    next,
                    ..look(Found::Ours, THEIRS)
                };
                assert_eq!(step(&look, wish), Some(first));
            }
            let kept = step(&look(THEIRS, Found::OursOfOld), wish);
            assert_eq!(kept, Some(Step::DropKept));
            let odd = next(&look(Found::Odd, THEIRS), wish);
            assert_eq!(odd, Err(Refused::NoFile(NAME)));
        }
    }
}
