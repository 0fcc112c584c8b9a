//! The image of a deployment, on this node and checked: what is there already, or fetched when there
//! is room for it.
//!
//! Called by the parent, for a deployment and ahead of one. Which images a node accepts is
//! `core::image`'s to decide.

use extend_common::hint::with_hint;
use extend_common::record::{ImageRequest, PullPolicy};
use extend_common::roles::RoleDefinition;
use extend_common::size;
use extend_common::status::ResolvedImage;

use super::images::unfit;
use super::{Executor, StepError, blocking};
use crate::core::entry::Entry;
use crate::core::image::{
    ImageProblem, as_pinned, check_labels, check_newest, check_repository, repository, room_needed,
};
use crate::docker::{Image, PullProgress};

/// An image that will do.
pub(super) struct Obtained {
    pub(super) image: ResolvedImage,
    /// It was not on the node before.
    pub(super) fetched: bool,
}

/// Where it comes from.
struct Order<'a> {
    request: &'a ImageRequest,
    entry: &'a Entry,
    progress: &'a PullProgress,
}

impl Executor {
    /// Fetches and checks an image.
    pub(super) async fn obtain(
        &self,
        request: &ImageRequest,
        entry: &Entry,
        role: &RoleDefinition,
        progress: &PullProgress,
    ) -> Result<Obtained, StepError> {
        let reference = &request.reference;
        let unfit = |problem| unfit(&problem, self.settings.facts.node, reference);
        check_repository(reference, &self.settings.repositories).map_err(unfit)?;
        let order = Order {
            request,
            entry,
            progress,
        };
        let (image, fetched) = match &request.pin {
            Some(pin) => self.pinned(&order, pin).await?,
            None => self.by_reference(&order).await?,
        };
        let serving = entry.serving.as_ref().filter(|_| !request.allow_older);
        let serving = serving.map(|served| served.image.version.as_str());
        let resolved = check_labels(reference, &image, &role.image, serving).map_err(unfit)?;
        if let Some(newest) = &request.newest {
            check_newest(&resolved, newest).map_err(unfit)?;
        }
        let image = match &request.pin {
            Some(pin) => as_pinned(resolved, &image, pin).map_err(unfit)?,
            None => resolved,
        };
        Ok(Obtained { image, fetched })
    }

    /// What the reference leads to.
    async fn by_reference(&self, order: &Order<'_>) -> Result<(Image, bool), StepError> {
        let reference = &order.request.reference;
        let there = self.docker.image(reference).await?;
        if let (PullPolicy::Missing, Some(image)) = (order.request.pull, &there) {
            return Ok((image.clone(), false));
        }
        let image = self.fetch_with_room(order, reference).await?;
        let is_new = there.is_none_or(|before| before.id != image.id);
        Ok((image, is_new))
    }

    /// Exactly the image that was asked for: nobody else is asked when it is there.
    async fn pinned(&self, order: &Order<'_>, pin: &str) -> Result<(Image, bool), StepError> {
        let reference = &order.request.reference;
        let refuse = |problem| unfit(&problem, self.settings.facts.node, reference);
        let there = self.docker.image(pin).await?;
        if pin.contains('@') {
            if repository(pin) != repository(reference) {
                let (reference, pin) = (reference.clone(), pin.to_owned());
                return Err(refuse(ImageProblem::ForeignPin { reference, pin }));
            }
            return match there {
                Some(image) => Ok((image, false)),
                None => Ok((self.fetch_with_room(order, pin).await?, true)),
            };
        }
        // An id says nothing of where an image is from: it has to be the reference's, or one that
        // has served here.
        let of_reference = self.docker.image(reference).await?;
        let is_known = |image: &Image| {
            of_reference.as_ref().is_some_and(|it| it.id == image.id)
                || order.entry.has_had(pin)
                || image
                    .repo_digests
                    .iter()
                    .any(|digest| repository(digest) == repository(reference))
        };
        match (there.filter(is_known), &of_reference) {
            (Some(image), _) => Ok((image, false)),
            (None, Some(other)) => Err(refuse(ImageProblem::OtherBuild {
                reference: reference.clone(),
                pin: pin.to_owned(),
                found: other.id.clone(),
            })),
            (None, None) => Err(self.not_here(pin)),
        }
    }

    async fn fetch_with_room(&self, order: &Order<'_>, what: &str) -> Result<Image, StepError> {
        self.check_room(order).await?;
        self.fetch(what, order.progress).await?;
        let image = self.docker.image(what).await?;
        image.ok_or_else(|| self.not_here(what))
    }

    fn not_here(&self, what: &str) -> StepError {
        let words = format!("there is no image {what} on this node");
        let node = self.settings.facts.node;
        let hint = match what.starts_with("sha256:") {
            true => format!("on {node}: docker load it again"),
            false => format!("on {node}: docker pull {what}"),
        };
        StepError::Permanent(with_hint(words, hint))
    }

    /// Whether the Engine's disk has room for another image. Where that cannot be told, the pull
    /// will tell.
    async fn check_room(&self, order: &Order<'_>) -> Result<(), StepError> {
        let Some(root) = self.docker.data_root().await else {
            return Ok(());
        };
        let (host, path) = (self.host.clone(), root.clone());
        let Some(free) = blocking(move || host.free_space(&path)).await? else {
            return Ok(());
        };
        let reference = &order.request.reference;
        let serving = order.entry.serving.as_ref().map(|served| &served.image);
        let alike = serving.filter(|i| repository(&i.reference) == repository(reference));
        let size = match alike {
            Some(image) => self.docker.image(&image.identity).await?.map(|i| i.size),
            None => None,
        };
        let needed = room_needed(size);
        if free >= needed {
            return Ok(());
        }
        let words = format!(
            "there is no room for {reference}: {} are free in {}, and {} are needed",
            size::show(free),
            root.display(),
            size::show(needed)
        );
        let hint = format!("on {}: docker system df", self.settings.facts.node);
        Err(StepError::Permanent(with_hint(words, hint)))
    }
}
