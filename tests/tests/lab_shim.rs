//! `extend.sh` where the guide looks for it, also after the vendor's package was unpacked over it.
//! In the lab: `make test-lab`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use std::time::Duration;

use extend_tests::lab::{Lab, PRIMARY, SOON};
use extend_tests::real::until;

/// In how long the shim has to be back.
const REPAIRED: Duration = Duration::from_secs(10);
const OURS: &str = "/opt/portsip-pbx-ha-guide/extend.sh";

#[test]
fn the_shim_is_back_after_the_vendors_package_was_unpacked_over_it() {
    let lab = Lab::take();
    PRIMARY.shell("extend shim install");
    lab.guide("status").expect(0, "our extend.sh answers");
    let kept = lab
        .guide("run -s disk-only")
        .expect(0, "the vendor's own goes to the vendor");
    kept.says(
        "the vendor's extend.sh: run -s disk-only",
        "it is handed over",
    );

    let since = jiff::Timestamp::now();
    PRIMARY.write(
        OURS,
        "#!/bin/bash\necho \"the vendor's newer extend.sh: $*\"\n",
    );
    until("our extend.sh should be back", REPAIRED, || {
        let line = format!("grep -q newer {OURS}.portsip && ! grep -q newer {OURS}");
        let seen = PRIMARY.ask_shell(&line);
        if seen.code == 0 {
            Ok(())
        } else {
            Err(PRIMARY.ask_shell(&format!("cat {OURS}")).stdout)
        }
    });
    lab.guide("status").expect(0, "our extend.sh answers");
    let handed = lab
        .guide("run -s disk-only")
        .expect(0, "and the newer one of the vendor is kept");
    handed.says(
        "the vendor's newer extend.sh: run -s disk-only",
        "it is handed over",
    );
    until("an event should tell of it", SOON, || {
        let told = lab.events(&[], since);
        let about = |event: &serde_json::Value| {
            event["text"]
                .as_str()
                .unwrap_or_default()
                .contains("extend.sh")
        };
        if told.iter().any(about) {
            Ok(())
        } else {
            Err(format!("{told:#?}"))
        }
    });
}
