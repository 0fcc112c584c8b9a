//! `extend pbx trust`: what is shown, compared, asked and written.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use extend_common::tls::Fingerprint;
use extend_pbx_standin::{Options, StandIn};
use tokio::runtime::Runtime;

use crate::harness::{Place, Ran};

/// A PBX, and a configuration that names it.
struct Pbx {
    place: Place,
    standin: StandIn,
    _runtime: Runtime,
}

impl Pbx {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let standin = runtime
            .block_on(StandIn::start(Options::default()))
            .unwrap();
        let place = Place::empty();
        let text = format!(
            "address = \"127.0.0.1\"\n[pbx]\napi = \"{}\"\nusername = \"extend\"\n\
             certificate = \"{}\"\n",
            standin.url(),
            place.path("pbx.crt").display()
        );
        fs::write(place.path("controller.toml"), text).unwrap();
        Self {
            place,
            standin,
            _runtime: runtime,
        }
    }

    fn words(&self, more: &str) -> String {
        let config = self.place.path("controller.toml");
        format!("pbx trust --config {} {more}", config.display())
    }

    fn trust(&self, more: &str) -> Ran {
        self.place.run(&self.words(more))
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.standin.certificate())
    }

    fn pinned(&self) -> Option<String> {
        fs::read_to_string(self.place.path("pbx.crt")).ok()
    }
}

#[test]
fn off_a_terminal_the_fingerprint_has_to_be_named_and_has_to_match() {
    let mut pbx = Pbx::new();
    let ran = pbx.trust("");
    assert_eq!(ran.code, 2, "{ran:?}");
    let shown = ran.out.clone() + &ran.err;
    let fingerprint = pbx.fingerprint().to_string();
    for part in [
        fingerprint.as_str(),
        "pbx.example.com, 127.0.0.1",
        "signed by    itself",
        "none is pinned",
        "hint: compare",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(pbx.pinned(), None);

    let other = Fingerprint::of(b"another").to_string();
    let ran = pbx.trust(&format!("--fingerprint {other}"));
    assert_eq!((ran.code, pbx.pinned()), (4, None), "{ran:?}");
    assert!(ran.err.contains("hint: "), "{ran:?}");

    let ran = pbx.trust(&format!("--fingerprint {fingerprint}"));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(pbx.pinned().as_deref(), Some(pbx.standin.pem()));
    let mode = fs::metadata(pbx.place.path("pbx.crt"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o644);

    // Again: nothing to ask and nothing to do.
    let ran = pbx.trust("");
    assert_eq!(ran.code, 0, "{ran:?}");
    pbx.standin.change_certificate().unwrap();
    let ran = pbx.trust("");
    assert_eq!(ran.code, 2);
    assert!((ran.out + &ran.err).contains("this is ANOTHER than the one that is pinned"));
    // Nothing was asked of the PBX all the while.
    assert_eq!(pbx.standin.state().record, []);
}

#[test]
fn on_a_terminal_it_is_asked() {
    let pbx = Pbx::new();
    for (answer, code) in [("no\n", 1), ("yes\n", 0)] {
        let mut terminal = pbx.place.on_terminal(&pbx.words(""));
        terminal.shows("Type yes to pin it:");
        terminal.answers(answer);
        let (ended, shown) = terminal.ends();
        assert_eq!(ended, code, "{shown}");
        assert_eq!(pbx.pinned().is_some(), code == 0, "{shown}");
    }
}

#[test]
fn a_pbx_that_is_not_configured_or_not_there_is_told() {
    let pbx = Pbx::new();
    let config = pbx.place.path("controller.toml");
    fs::write(&config, "address = \"127.0.0.1\"\n").unwrap();
    let ran = pbx.trust("");
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("pbx.api is not set"), "{ran:?}");

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let text = format!(
        "address = \"127.0.0.1\"\n[pbx]\napi = \"https://{nobody}\"\nusername = \"extend\"\n"
    );
    fs::write(&config, text).unwrap();
    let ran = pbx.trust("");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains(&format!("https://{nobody}")) && ran.err.contains("hint: "));
}
