//! The version of the PBX, which no image of a server may be newer than.

use super::super::fleet::Fleet;
use super::super::row::Options;

impl Fleet {
    /// The newest version that an image may have; none when nobody compares.
    ///
    /// # Errors
    /// When it is compared and not known at this moment: why, in words.
    pub(in crate::core) fn newest_image(
        &self,
        options: &Options,
    ) -> Result<Option<String>, String> {
        if !self.settings.outside.portal || options.force || options.to_previous {
            return Ok(None);
        }
        let (_, portal) = self.sees_portal()?;
        match portal.version.is_empty() {
            false => Ok(Some(portal.version.clone())),
            true => Err(
                "it does not tell its version to the controller's account (hint: give it \"System \
                 Settings: Full Access\", or --force for those who know)"
                    .to_owned(),
            ),
        }
    }

    /// Lets go on what has waited for the first look at the portal.
    pub(in crate::core) fn wake_for_version(&mut self) {
        let open = self.operations.iter();
        let open = open.filter(|(_, entry)| entry.row.ended.is_none() && entry.has_queued());
        let open: Vec<_> = open.map(|(id, _)| *id).collect();
        self.backlog.extend(open);
    }
}
