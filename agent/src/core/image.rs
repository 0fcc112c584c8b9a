//! Which images this node accepts, and how their versions compare.

use std::cmp::Ordering;

use extend_common::roles::ImageRules;
use extend_common::status::ResolvedImage;

use crate::docker::Image;

/// The image label that holds the version.
const LABEL_VERSION: &str = "version";
/// The image label that holds the product.
const LABEL_PRODUCT: &str = "product";

/// Why an image is refused. Trying again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageProblem {
    /// The repository is not in the node's list.
    #[error(
        "images from `{repository}` are not allowed on this node (agent.toml allows {allowed})"
    )]
    Repository {
        /// Which repository.
        repository: String,
        /// The list, in words.
        allowed: String,
    },
    /// The label `product` says something else.
    #[error("{reference} is not a {wanted} image: its label `product` says `{found}`")]
    Product {
        /// The image.
        reference: String,
        /// What the role wants.
        wanted: String,
        /// What the label says.
        found: String,
    },
    /// There is no label `version`, or it is no version.
    #[error("{reference} has no usable label `version`{found}")]
    NoVersion {
        /// The image.
        reference: String,
        /// What the label says, if anything.
        found: String,
    },
    /// The version is below what the role needs.
    #[error("{reference} is version {version}; version {minimum} or newer is needed")]
    TooOld {
        /// The image.
        reference: String,
        /// Its version.
        version: String,
        /// The role's minimum.
        minimum: u64,
    },
    /// The version is below the serving one.
    #[error(
        "{reference} is version {version}, older than the serving {serving}: --force accepts it"
    )]
    Older {
        /// The image.
        reference: String,
        /// Its version.
        version: String,
        /// The version that serves.
        serving: String,
    },
    /// The version is above the PBX's.
    #[error(
        "{reference} is version {version}, newer than the PBX, which is {newest}: --force accepts it"
    )]
    TooNew {
        /// The image.
        reference: String,
        /// Its version.
        version: String,
        /// The PBX's.
        newest: String,
    },
    /// What the record says of the PBX's version is none. A bound that cannot be read is not taken
    /// for none.
    #[error(
        "whether {reference}, version {version}, is newer than the PBX cannot be told: `{newest}` \
         is no version; --force accepts it"
    )]
    NoBound {
        /// The image.
        reference: String,
        /// Its version.
        version: String,
        /// What was to be the PBX's.
        newest: String,
    },
    /// The pin is a digest of another repository.
    #[error("{pin} is not of the repository of {reference}")]
    ForeignPin {
        /// The image.
        reference: String,
        /// The identity that was asked for.
        pin: String,
    },
    /// What the reference means on this node is not what was asked for.
    #[error("{reference} on this node is another build: {found}, and {pin} was asked for")]
    OtherBuild {
        /// The image.
        reference: String,
        /// The identity that was asked for.
        pin: String,
        /// What it is here.
        found: String,
    },
}

/// A release is named by so many numbers; those after them count its builds.
const RELEASE: usize = 3;
/// What an image takes whose size nobody can tell before it is there.
const UNKNOWN_SIZE: u64 = 1_500_000_000;
/// What stays free for logs, data and layers that are unpacked meanwhile.
const RESERVE: u64 = 500_000_000;

/// How much room there must be on the Engine's disk before an image is fetched: as much as the
/// serving one of its repository takes, where there is one, and a reserve.
pub fn room_needed(serving: Option<u64>) -> u64 {
    let size = serving.filter(|size| *size > 0).unwrap_or(UNKNOWN_SIZE);
    size.saturating_add(RESERVE)
}

/// The repository of a reference: without registry defaults, tag and digest.
pub fn repository(reference: &str) -> &str {
    let name = reference
        .split_once('@')
        .map_or(reference, |(name, _)| name);
    let name = match name.rsplit_once(':') {
        // A colon before a slash belongs to the registry's port.
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    };
    let defaults = ["docker.io/", "index.docker.io/"];
    defaults
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name)
}

/// Checks a reference against the node's list. An entry is a repository, or ends in `/*` and
/// means every repository directly below.
///
/// # Errors
/// [`ImageProblem::Repository`]
pub fn check_repository(reference: &str, allowed: &[String]) -> Result<(), ImageProblem> {
    let repository = repository(reference);
    let matches = |entry: &String| match entry.strip_suffix('*') {
        Some(prefix) if prefix.ends_with('/') => repository
            .strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && !rest.contains('/')),
        _ => entry == repository,
    };
    if allowed.iter().any(matches) {
        return Ok(());
    }
    Err(ImageProblem::Repository {
        repository: repository.to_owned(),
        allowed: allowed.join(", "),
    })
}

/// Gives an image the identity that was asked for, if it has it.
///
/// # Errors
/// [`ImageProblem::OtherBuild`]
pub fn as_pinned(
    resolved: ResolvedImage,
    image: &Image,
    pin: &str,
) -> Result<ResolvedImage, ImageProblem> {
    if image.id != pin && !image.repo_digests.iter().any(|digest| digest == pin) {
        return Err(ImageProblem::OtherBuild {
            reference: resolved.reference,
            pin: pin.to_owned(),
            found: resolved.identity,
        });
    }
    let identity = pin.to_owned();
    Ok(ResolvedImage {
        identity,
        ..resolved
    })
}

/// Checks an image's labels against the role, and against what serves.
///
/// # Errors
/// Everything but [`ImageProblem::Repository`].
pub fn check_labels(
    reference: &str,
    image: &Image,
    rules: &ImageRules,
    serving: Option<&str>,
) -> Result<ResolvedImage, ImageProblem> {
    let reference = reference.to_owned();
    let product = image
        .labels
        .get(LABEL_PRODUCT)
        .map(String::as_str)
        .unwrap_or_default();
    if product != rules.product {
        return Err(ImageProblem::Product {
            reference,
            wanted: rules.product.clone(),
            found: product.chars().take(64).collect(),
        });
    }
    let label = image.labels.get(LABEL_VERSION).map(String::as_str);
    let Some(version) = label.and_then(Version::parse) else {
        let found = label
            .map(|text| format!(": `{}`", text.escape_debug().take(64).collect::<String>()))
            .unwrap_or_default();
        return Err(ImageProblem::NoVersion { reference, found });
    };
    if version.major() < rules.minimum_major {
        let version = version.text;
        return Err(ImageProblem::TooOld {
            reference,
            version,
            minimum: rules.minimum_major,
        });
    }
    if let Some(serving) = serving
        .and_then(Version::parse)
        .filter(|serving| version < *serving)
    {
        let (version, serving) = (version.text, serving.text);
        return Err(ImageProblem::Older {
            reference,
            version,
            serving,
        });
    }
    Ok(ResolvedImage {
        identity: identity(&reference, image),
        version: version.text,
        reference,
    })
}

/// Holds an image's version against the PBX's.
///
/// # Errors
/// [`ImageProblem::TooNew`] and [`ImageProblem::NoBound`]
pub fn check_newest(image: &ResolvedImage, newest: &str) -> Result<(), ImageProblem> {
    let words = || {
        let newest = newest.escape_debug().take(64).collect::<String>();
        (image.reference.clone(), image.version.clone(), newest)
    };
    // The label was a version when the image was resolved.
    let versions = Version::parse(&image.version).zip(Version::parse(newest));
    let Some((version, bound)) = versions else {
        let (reference, version, newest) = words();
        return Err(ImageProblem::NoBound {
            reference,
            version,
            newest,
        });
    };
    if !version.is_release_after(&bound) {
        return Ok(());
    }
    let (reference, version, newest) = words();
    Err(ImageProblem::TooNew {
        reference,
        version,
        newest,
    })
}

/// `repo@sha256:…` when the image was pulled from the reference's repository, otherwise its id:
/// locally imported images have no repository digest.
pub fn identity(reference: &str, image: &Image) -> String {
    let wanted = repository(reference);
    let pulled = image
        .repo_digests
        .iter()
        .find(|digest| repository(digest) == wanted);
    pulled.unwrap_or(&image.id).clone()
}

/// A version label: numbers with dots between them, and whatever follows a `-` or `+`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    numbers: Vec<u64>,
    text: String,
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        if text.len() > 64 {
            return None;
        }
        let numbers = text
            .trim()
            .trim_start_matches('v')
            .split(['-', '+'])
            .next()?;
        let numbers: Result<Vec<u64>, _> = numbers.split('.').map(str::parse).collect();
        Some(Self {
            numbers: numbers.ok()?,
            text: text.trim().to_owned(),
        })
    }

    fn major(&self) -> u64 {
        self.numbers.first().copied().unwrap_or(0)
    }

    /// Whether it is of a later release, as people speak of releases: major, minor and patch, and
    /// of these what both name. Builds of a release (22.6.3 and 22.6.3.1234) are alike, and a
    /// version that names less (22.6) stands for all that begin with it.
    fn is_release_after(&self, other: &Self) -> bool {
        let both = self.numbers.len().min(other.numbers.len());
        let named = both.min(RELEASE);
        self.numbers
            .iter()
            .take(named)
            .gt(other.numbers.iter().take(named))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let longest = self.numbers.len().max(other.numbers.len());
        let number =
            |version: &Self, index: usize| version.numbers.get(index).copied().unwrap_or(0);
        (0..longest)
            .map(|index| number(self, index).cmp(&number(other, index)))
            .find(|order| order.is_ne())
            .or(Some(Ordering::Equal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn image(version: &str, digests: &[&str]) -> Image {
        Image {
            id: "sha256:aa".to_owned(),
            repo_digests: digests.iter().map(ToString::to_string).collect(),
            labels: BTreeMap::from([
                ("product".to_owned(), "PBX".to_owned()),
                ("version".to_owned(), version.to_owned()),
            ]),
            size: 0,
        }
    }

    fn rules() -> ImageRules {
        ImageRules {
            product: "PBX".to_owned(),
            minimum_major: 22,
        }
    }

    #[test]
    fn repositories_are_told_apart() {
        for (reference, wanted) in [
            ("portsip/pbx:22", "portsip/pbx"),
            ("portsip/pbx", "portsip/pbx"),
            ("docker.io/portsip/pbx:22", "portsip/pbx"),
            ("portsip/pbx@sha256:00", "portsip/pbx"),
            ("registry:5000/portsip/pbx:22", "registry:5000/portsip/pbx"),
            ("registry:5000/pbx", "registry:5000/pbx"),
        ] {
            assert_eq!(repository(reference), wanted);
        }
        let allowed = ["portsip/*".to_owned(), "registry:5000/pbx".to_owned()];
        for good in [
            "portsip/pbx:22",
            "docker.io/portsip/pbx",
            "registry:5000/pbx:1",
        ] {
            assert!(check_repository(good, &allowed).is_ok(), "{good}");
        }
        for bad in [
            "portsip2/pbx",
            "evil/portsip/pbx",
            "portsip/a/b",
            "portsip/",
            "sha256:00",
            "",
        ] {
            assert!(check_repository(bad, &allowed).is_err(), "{bad}");
        }
    }

    #[test]
    fn labels_decide() {
        let check = |version: &str, serving: Option<&str>| {
            check_labels("portsip/pbx:22", &image(version, &[]), &rules(), serving)
        };
        assert_eq!(check("22.3.0", None).unwrap().identity, "sha256:aa");
        assert!(matches!(
            check("21.9", None),
            Err(ImageProblem::TooOld { .. })
        ));
        assert!(matches!(
            check("latest", None),
            Err(ImageProblem::NoVersion { .. })
        ));
        assert!(matches!(
            check("", None),
            Err(ImageProblem::NoVersion { .. })
        ));
        assert!(matches!(
            check("22.3", Some("22.3.1")),
            Err(ImageProblem::Older { .. })
        ));
        assert!(check("22.10", Some("22.9.9")).is_ok());
        assert!(check("22.3", Some("22.3.0")).is_ok());
        let mut other = image("22", &[]);
        other.labels.remove("product");
        let refused = check_labels("x", &other, &rules(), None);
        assert!(matches!(refused, Err(ImageProblem::Product { .. })));
    }

    #[test]
    fn an_image_is_no_newer_than_the_pbx() {
        let check = |version: &str, newest: &str| {
            let resolved = ResolvedImage {
                reference: "portsip/pbx:22".to_owned(),
                identity: "sha256:aa".to_owned(),
                version: version.to_owned(),
            };
            check_newest(&resolved, newest).map_err(|problem| problem.to_string())
        };
        for (version, newest) in [
            ("22.6.3", "22.6.3"),
            ("22.6.3.1234", "22.6.3"),
            ("22.6.3.1234", "22.6.3.9"),
            ("22.6.3", "22.6.3.1234"),
            ("22.6.2", "22.6.3"),
            ("22.9.9", "22.10.0"),
            ("22", "22.6.3"),
            ("22.6.4", "22.6"),
            ("22.6.3-beta", "v22.6.3"),
            ("21.9.9", "22.0.0"),
        ] {
            assert_eq!(check(version, newest), Ok(()), "{version} {newest}");
        }
        for (version, newest) in [
            ("22.6.4", "22.6.3"),
            ("22.6.4", "22.6.3.1234"),
            ("22.7", "22.6.3"),
            ("22.10.0", "22.9.9"),
            ("23", "22.6.3"),
        ] {
            let words = format!(
                "portsip/pbx:22 is version {version}, newer than the PBX, which is {newest}: --force \
                 accepts it"
            );
            assert_eq!(check(version, newest), Err(words), "{version} {newest}");
        }
        for newest in ["", "latest", "22.x"] {
            let words = format!(
                "whether portsip/pbx:22, version 22.6.3, is newer than the PBX cannot be told: \
                 `{newest}` is no version; --force accepts it"
            );
            assert_eq!(check("22.6.3", newest), Err(words));
        }
    }

    #[test]
    fn a_pulled_image_is_named_by_its_repository_digest() {
        let digests = ["other/pbx@sha256:11", "portsip/pbx@sha256:22"];
        let resolved = check_labels("portsip/pbx:22", &image("22", &digests), &rules(), None);
        assert_eq!(resolved.unwrap().identity, "portsip/pbx@sha256:22");
    }
}
