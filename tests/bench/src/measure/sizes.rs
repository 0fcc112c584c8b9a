//! How large the programs are on the disk, stripped as they ship.

use std::fs;

use crate::args::Measure;
use crate::figure::Figure;
use crate::part::Part;
use crate::samples::Samples;

const MIB: f64 = 1024.0 * 1024.0;

pub(super) fn measure(args: &Measure) -> anyhow::Result<Vec<Figure>> {
    let mut programs = vec![
        ("size of `extend`", args.bin.join("extend")),
        ("size of `extend-agent`", args.bin.join("extend-agent")),
    ];
    if let Some(path) = &args.static_agent {
        programs.push(("size of `extend-agent`, static build", path.clone()));
    }
    programs
        .into_iter()
        .map(|(what, path)| {
            #[allow(clippy::cast_precision_loss, reason = "megabytes")]
            let size = fs::metadata(path)?.len() as f64 / MIB;
            let samples: Samples = [size].into_iter().collect();
            Ok(Figure::new(Part::Sizes, what, "MiB").most(&samples, None))
        })
        .collect()
}
