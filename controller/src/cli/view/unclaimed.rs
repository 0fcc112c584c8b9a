//! Containers that bear the name of a service without a record, as `extend status` shows them.

use extend_common::hint::split_hint;
use extend_common::ids::ServerName;
use extend_common::status::{ContainerState, Found};
use extend_common::wire::shown_text;
use extend_proto::v1;
use serde::Serialize;

use super::{not_understood, text};
use crate::cli::failure::Failure;
use crate::cli::output::table::Table;
use crate::cli::output::text::short_hash;

/// A container that bears the name of a service without a record.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Unclaimed {
    /// Its node.
    pub(crate) address: String,
    /// Its name.
    pub(crate) container: String,
    /// Docker's id.
    pub(crate) container_id: String,
    /// The role whose name it bears.
    pub(crate) r#type: String,
    /// The portal name that it was started with; null when it cannot be taken over.
    pub(crate) name: Option<ServerName>,
    /// Docker's word for its state.
    pub(crate) container_state: Option<ContainerState>,
    /// The image that it was made from.
    pub(crate) image: Option<String>,
    /// The version in the image's label.
    pub(crate) version: Option<String>,
    /// Why it cannot be taken over.
    pub(crate) obstacle: Option<String>,
}

impl TryFrom<v1::UnclaimedView> for Unclaimed {
    type Error = Failure;

    fn try_from(view: v1::UnclaimedView) -> Result<Self, Failure> {
        let found = view.found.map(Found::try_from).transpose();
        let found = found.map_err(|e| not_understood(&e))?;
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(Self {
            address: shown_text(view.node),
            container: shown_text(view.container_name),
            container_id: shown_text(view.container_id),
            r#type: shown_text(view.role),
            name: found.as_ref().map(|found| found.name.clone()),
            container_state: found.as_ref().map(|found| found.state),
            image: found.as_ref().map(|found| found.image.reference.clone()),
            version: found.and_then(|found| some(found.image.version)),
            obstacle: text(view.obstacle),
        })
    }
}

impl Unclaimed {
    /// What can be done about it: the command that takes it over, or why there is none.
    fn what_to_do(&self) -> String {
        match (&self.name, &self.obstacle) {
            (Some(_), _) => format!("extend adopt -a {}", self.address),
            (None, Some(obstacle)) => format!("cannot be: {}", split_hint(obstacle).0),
            (None, None) => String::new(),
        }
    }
}

/// The unclaimed containers as a table.
pub(crate) fn unclaimed_table(unclaimed: &[Unclaimed], wide: bool) -> Table {
    let heading = vec![
        "UNCLAIMED CONTAINER",
        "TYPE",
        "ADDRESS",
        "ID",
        "NAME",
        "TO TAKE IT OVER",
    ];
    let mut table = Table::new(heading).sparing(if wide { &[] } else { &["ID", "TYPE", "NAME"] });
    for container in unclaimed {
        let name = container.name.as_ref().map(ToString::to_string);
        table.row(vec![
            container.container.clone().into(),
            container.r#type.clone().into(),
            container.address.clone().into(),
            short_hash(&container.container_id).into(),
            name.unwrap_or_default().into(),
            container.what_to_do().into(),
        ]);
    }
    table
}
