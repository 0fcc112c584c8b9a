//! Images that no deployment needs any more. Called by the parent.

use super::{Executor, StepError};
use crate::core::entry::Entry;
use crate::core::step::Done;
use crate::docker::DockerError;

impl Executor {
    /// Removes an image, unless it is needed under another identity, or somebody uses it.
    pub(super) async fn retire(&self, identity: &str, entry: &Entry) -> Result<Done, StepError> {
        let Some(image) = self.docker.image(identity).await? else {
            return Ok(Done::Effect);
        };
        for needed in entry.needed_images() {
            let needed = self.docker.image(&needed.identity).await?;
            if needed.is_some_and(|needed| needed.id == image.id) {
                return Ok(Done::Kept);
            }
        }
        match self.docker.remove_image(&image.id).await {
            Ok(()) => {
                tracing::info!(identity, "an image that was not needed any more is removed");
                Ok(Done::Effect)
            }
            Err(error @ DockerError::Refused { .. }) => {
                tracing::info!(identity, %error, "an image that is not needed any more stays");
                Ok(Done::Kept)
            }
            Err(error) => Err(error.into()),
        }
    }
}
