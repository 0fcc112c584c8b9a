//! Words for hosts that are not as the guide wants them.

use extend_common::checkup::Check;
use extend_common::ids::NodeAddr;

use super::{Asked, Text};

pub(super) fn no_public_address(asked: &Asked, node: NodeAddr) -> Text {
    let mut line = asked.line();
    line.push_str(" -A ELASTIC_IP");
    Text::new(
        "no-public-address",
        format!(
            "cannot {} a server at {node}: nobody says what its public address is",
            asked.action()
        ),
        line,
    )
    .because("no cloud tells the node's agent, and the PBX has to be told and to let it in")
}

pub(super) fn unfit(asked: &Asked, node: NodeAddr, failed: &[Check]) -> Text {
    let role = asked.role.as_ref().map(|role| format!(" -s {role}"));
    let text = Text::new(
        "host-unfit",
        format!(
            "cannot {} a server at {node}: its host is not as the guide wants it",
            asked.action()
        ),
        format!("extend doctor -a {node}{}", role.unwrap_or_default()),
    );
    failed.iter().fold(text, |text, check| {
        text.because(format!("{check}; or --accept {}=REASON", check.name))
    })
}
