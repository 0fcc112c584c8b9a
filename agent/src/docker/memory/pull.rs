//! Pulls of a simulated Engine.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::images::{Pull, RegistryAnswer};
use super::{MemoryDocker, closed};
use crate::core::image::repository;
use crate::docker::{DockerError, Image, PullProgress, RegistryAuth};

/// What the progress of every simulated image says.
const LAYERS: u32 = 4;

impl MemoryDocker {
    pub(super) async fn pull_image(
        &self,
        reference: &str,
        auth: Option<&RegistryAuth>,
        progress: &PullProgress,
    ) -> Result<(), DockerError> {
        let doing = format!("pulling {reference}");
        let silence = self.shared.timeouts.pull_silence;
        self.until_up(silence, &doing).await?;
        let answer = self.change(|state, now| {
            let at = state.since_origin(now);
            let username = auth.map(|auth| auth.username.clone());
            state.images.pulls.push(Pull {
                at,
                reference: reference.to_owned(),
                username,
            });
            state.images.answer(reference)
        });
        progress.send_replace("asking the registry".to_owned());
        match answer {
            RegistryAnswer::Refuses(error) => Err(error),
            RegistryAnswer::Hangs => {
                self.pass(silence, &doing).await?;
                let limit = extend_common::duration::show(silence);
                let words =
                    format!("there was no progress for {limit} ({doing}: asking the registry)");
                Err(DockerError::Unavailable(words))
            }
            RegistryAnswer::Serves(image, takes) => {
                self.transfer(&image, takes, &doing, progress).await?;
                self.change(|state, _| {
                    state.version += 1;
                    state.images.add(reference, image);
                });
                Ok(())
            }
        }
    }

    /// Where a reference leads, without fetching anything.
    pub(super) async fn ask_registry(
        &self,
        reference: &str,
        auth: Option<&RegistryAuth>,
    ) -> Result<String, DockerError> {
        let doing = format!("asking the registry for {reference}");
        let silence = self.shared.timeouts.registry;
        self.until_up(silence, &doing).await?;
        let answer = self.change(|state, now| {
            let at = state.since_origin(now);
            let username = auth.map(|auth| auth.username.clone());
            state.images.questions.push(Pull {
                at,
                reference: reference.to_owned(),
                username,
            });
            state.images.answer(reference)
        });
        match answer {
            RegistryAnswer::Refuses(error) => Err(error),
            RegistryAnswer::Hangs => {
                self.pass(silence, &doing).await?;
                Err(DockerError::Unavailable(format!("no answer ({doing})")))
            }
            RegistryAnswer::Serves(image, _) => {
                let wanted = repository(reference);
                let digests = image.repo_digests.iter();
                let mut digests = digests.filter_map(|digest| digest.split_once('@'));
                let found = digests.find(|(of, _)| *of == wanted);
                found.map(|(_, digest)| digest.to_owned()).ok_or_else(|| {
                    let message = format!("docker names no digest ({doing})");
                    DockerError::Refused {
                        status: 500,
                        message,
                    }
                })
            }
        }
    }

    async fn transfer(
        &self,
        image: &Image,
        takes: Duration,
        doing: &str,
        progress: &PullProgress,
    ) -> Result<(), DockerError> {
        if self.look(|state, _| state.images.find(&image.id).is_some()) {
            return Ok(());
        }
        for layer in 1..=LAYERS {
            self.pass(takes / LAYERS, doing).await?;
            progress.send_replace(format!("layer {layer}/{LAYERS}, {} MB", layer * 10));
        }
        Ok(())
    }

    /// Lets time pass while the daemon is up; a frozen one is silent, one that goes breaks off.
    async fn pass(&self, time: Duration, doing: &str) -> Result<(), DockerError> {
        let mut wake = self.shared.wake.subscribe();
        let run = self.look(|state, _| state.run);
        let end = Instant::now() + time;
        loop {
            wake.mark_unchanged();
            self.until_up(self.shared.timeouts.pull_silence, doing)
                .await?;
            if self.look(|state, _| state.run) != run {
                return Err(closed(doing));
            }
            tokio::select! {
                () = sleep_until(end) => return Ok(()),
                _ = wake.changed() => {}
            }
        }
    }
}
