//! Images of the stand-in: one for each version and flaw, made when first wanted and kept.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use super::engine::Engine;
use super::process::Running;

/// The reference that the fleet's servers are deployed from.
pub const IMAGE: &str = "extend.test/pbx:22";
/// The repository that `agent.toml` allows.
pub const REPOSITORY: &str = "extend.test/pbx";

/// Gives `reference` to the stand-in of a version; `options` are those of
/// `scripts/standin-image.sh`.
///
/// # Panics
/// When the image cannot be made.
pub(super) fn release(engine: &Engine, version: &str, options: &[&str], reference: &str) {
    let flaw = options.join("").replace("--", "-").to_lowercase();
    // Another build of the stand-in is another image.
    let kept = format!(
        "extend.test/kept:{version}{flaw}-{}",
        built().unwrap_or_default()
    );
    let there = engine.ask(&["image", "inspect", "--format", "{{.Id}}", &kept]);
    if there.code != 0 {
        let mut command = Command::new(root().join("scripts/standin-image.sh"));
        let host = format!("unix://{}", engine.socket().display());
        command
            .env("DOCKER_HOST", host)
            .args(options)
            .args([version, reference]);
        Running::start(command, "")
            .end()
            .expect(0, "there should be a stand-in image");
        let kept = format!(
            "extend.test/kept:{version}{flaw}-{}",
            built().unwrap_or_default()
        );
        engine.docker(&["tag", reference, &kept]);
        return;
    }
    engine.docker(&["tag", &kept, reference]);
}

/// When the stand-in was built.
fn built() -> Option<String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| root().join("target"));
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let binary = target.join(triple).join("release/pbx-standin");
    let modified = binary.metadata().ok()?.modified().ok()?;
    Some(
        modified
            .duration_since(UNIX_EPOCH)
            .ok()?
            .as_millis()
            .to_string(),
    )
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
