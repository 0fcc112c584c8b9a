//! Pulling an image: patient with a large one, not with a silent registry.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::BollardRequest;
use bollard::auth::DockerCredentials;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::{CreateImageOptions, CreateImageOptionsBuilder};
use extend_common::duration::show;
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::trouble::explain;
use crate::docker::{DockerError, PullProgress, RegistryAuth};

const AUTH_HEADER: &str = "x-registry-auth";
/// Docker has at most 127 layers in an image; what says otherwise is not counted.
const MAX_LAYERS: usize = 256;
/// The Engine tells of every layer several times a second; people read slower.
const NEWS_INTERVAL: Duration = Duration::from_millis(500);
const MEGABYTE: u64 = 1_000_000;

/// The Engine reads this header in the URL's alphabet of base 64 and takes what it cannot read
/// for no credentials at all. bollard writes it in the other one, which differs as soon as a
/// password has a `?`, `>` or `~` in the wrong place.
pub(super) fn url_safe_auth(mut request: BollardRequest) -> BollardRequest {
    if let Some(value) = request.headers_mut().get_mut(AUTH_HEADER) {
        let mended = value
            .to_str()
            .map(|text| text.replace('+', "-").replace('/', "_"));
        // Neither step can fail for base 64; an unmended header is the worst that could happen.
        if let Some(mut mended) = mended.ok().and_then(|text| text.parse().ok()) {
            std::mem::swap(value, &mut mended);
            value.set_sensitive(true);
        }
    }
    request
}

/// The digest that a reference leads to, as its registry tells the Engine.
pub(super) async fn leads_to(
    client: &bollard::Docker,
    reference: &str,
    auth: Option<&RegistryAuth>,
) -> Result<String, bollard::errors::Error> {
    let told = client
        .inspect_registry_image(reference, auth.map(credentials))
        .await?;
    Ok(told.descriptor.digest.unwrap_or_default())
}

fn credentials(auth: &RegistryAuth) -> DockerCredentials {
    DockerCredentials {
        username: Some(auth.username.clone()),
        password: Some(auth.password.clone()),
        serveraddress: Some(auth.server.clone()),
        ..DockerCredentials::default()
    }
}

/// Pulls an image.
pub(super) async fn pull(
    client: &bollard::Docker,
    silence: Duration,
    reference: &str,
    auth: Option<&RegistryAuth>,
    progress: &PullProgress,
) -> Result<(), DockerError> {
    let doing = format!("pulling {reference}");
    let credentials = auth.map(credentials);
    let mut news = client.create_image(Some(options(reference)), None, credentials);
    let mut layers = Layers::default();
    let mut told = None;
    let mut given_up = Instant::now() + silence;
    loop {
        let item = match timeout_at(given_up, news.next()).await {
            Ok(Some(item)) => item.map_err(|error| explain(&doing, error))?,
            Ok(None) => return Ok(()),
            Err(_) => {
                let (limit, so_far) = (show(silence), layers.words());
                let words = format!("there was no progress for {limit} ({doing}: {so_far})");
                return Err(DockerError::Unavailable(words));
            }
        };
        // With a message bollard makes an error of it; without one it would pass for progress.
        if item.error_detail.is_some() {
            let message = format!("docker does not say why it failed ({doing})");
            return Err(DockerError::Refused {
                status: 500,
                message,
            });
        }
        if layers.note(&item) {
            given_up = Instant::now() + silence;
        }
        if told.is_none_or(|at: Instant| at.elapsed() >= NEWS_INTERVAL) {
            told = Some(Instant::now());
            progress.send_if_modified(|words| {
                let new = layers.words();
                let is_new = *words != new;
                *words = new;
                is_new
            });
        }
    }
}

/// Without a tag the Engine would fetch every tag of the repository.
pub(super) fn options(reference: &str) -> CreateImageOptions {
    let builder = CreateImageOptionsBuilder::default();
    if reference.contains('@') {
        return builder.from_image(reference).build();
    }
    let last = reference.rfind('/').map_or(0, |slash| slash + 1);
    match reference.get(last..).and_then(|name| name.split_once(':')) {
        Some((name, tag)) => {
            let repository = &reference[..last + name.len()];
            builder.from_image(repository).tag(tag).build()
        }
        None => builder.from_image(reference).tag("latest").build(),
    }
}

/// How far the layers of an image have come.
#[derive(Default)]
pub(super) struct Layers(BTreeMap<String, Layer>);

#[derive(Default)]
struct Layer {
    bytes: u64,
    extracted: u64,
    checked: bool,
    is_done: bool,
}

impl Layers {
    /// Whether there is more of the image than before. That the Engine waits for a registry, or
    /// counts the seconds to its next try, is a sign of life and no progress.
    pub(super) fn note(&mut self, item: &CreateImageInfo) -> bool {
        let (Some(id), Some(status)) = (&item.id, item.status.as_deref()) else {
            return false;
        };
        // The tag stands where layers have their id.
        if status.starts_with("Pulling from") {
            return false;
        }
        let is_new = !self.0.contains_key(id);
        if is_new && self.0.len() >= MAX_LAYERS {
            return false;
        }
        let layer = self.0.entry(id.clone()).or_default();
        let before = (layer.bytes, layer.extracted, layer.checked, layer.is_done);
        let detail = item.progress_detail.as_ref();
        let bytes = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
        match status {
            "Downloading" => {
                let current = bytes(detail.and_then(|detail| detail.current));
                layer.bytes = layer.bytes.max(current.unwrap_or_default());
            }
            "Extracting" => {
                // The last news of a download may have been left out.
                let total = bytes(detail.and_then(|detail| detail.total));
                layer.bytes = layer.bytes.max(total.unwrap_or_default());
                let current = bytes(detail.and_then(|detail| detail.current));
                layer.extracted = layer.extracted.max(current.unwrap_or_default());
            }
            "Verifying Checksum" | "Download complete" => layer.checked = true,
            "Pull complete" | "Already exists" => layer.is_done = true,
            _ => {}
        }
        is_new || before != (layer.bytes, layer.extracted, layer.checked, layer.is_done)
    }

    pub(super) fn words(&self) -> String {
        let total = self.0.len();
        if total == 0 {
            return "asking the registry".to_owned();
        }
        let done = self.0.values().filter(|layer| layer.is_done).count();
        let bytes: u64 = self.0.values().map(|layer| layer.bytes).sum();
        format!("layer {done}/{total}, {} MB", bytes / MEGABYTE)
    }
}
