//! EC2 user data that sets a node up at its first boot. Pure: what is known becomes a script.
//!
//! cloud-init runs it as root, once an instance, and keeps its words in
//! `/var/log/cloud-init-output.log`. The package is fetched from the enrolment port, which is known
//! by the authority in the script, and installed only if it is the one whose hash is in the script.

use std::net::SocketAddrV4;

use extend_common::ids::NodeAddr;
use extend_common::tls::{Fingerprint, pem};
use rustls_pki_types::CertificateDer;

use super::scripts::{APT, COMMON, FIRST_BOOT, assign, without_comments};

/// EC2 takes no more.
pub(super) const MOST: usize = 16 * 1024;

/// What the script has to know.
#[derive(Debug, Clone)]
pub(super) struct FirstBoot<'a> {
    /// The node it is for.
    pub(super) node: NodeAddr,
    /// Where it enrols.
    pub(super) controller: SocketAddrV4,
    /// The authority to trust there.
    pub(super) authority: &'a CertificateDer<'a>,
    /// The package's version, architecture and hash.
    pub(super) version: &'a str,
    pub(super) architecture: &'a str,
    pub(super) sha256: &'a str,
    /// What it joins with. A secret.
    pub(super) token: &'a str,
}

/// The user data.
pub(super) fn render(boot: &FirstBoot<'_>) -> String {
    let (address, port) = (boot.controller.ip(), boot.controller.port());
    let ca = extend_common::hash::encode(&Fingerprint::of(boot.authority).0);
    let values = [
        assign("node", &boot.node.to_string()),
        assign("controller", &address.to_string()),
        assign("port", &port.to_string()),
        assign("ca", &ca),
        assign("certificate", pem::encode(boot.authority).trim_end()),
        assign("version", boot.version),
        assign("architecture", boot.architecture),
        assign("sha256", boot.sha256),
        assign("token", boot.token),
    ];
    let script = without_comments(&[COMMON, APT, FIRST_BOOT].concat());
    // The values before the end, where `main` is called.
    let (functions, call) = script.rsplit_once("main\n").unwrap_or((&script, ""));
    format!(
        "#!/bin/sh\n\
         # Sets node {} up for the controller at {address}, once: made by extend node token.\n\
         # There is a token in it, good for this node alone, once and not for long.\n\
         {functions}{}main\n{call}",
        boot.node,
        values.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_script_that_fits() {
        let authority = CertificateDer::from(vec![7; 900]);
        let boot = FirstBoot {
            node: "172.31.16.139".parse().unwrap(),
            controller: "172.31.16.133:7444".parse().unwrap(),
            authority: &authority,
            version: "10.20.30+x1",
            architecture: "amd64",
            sha256: &"ab".repeat(32),
            token: &"t".repeat(120),
        };
        let data = render(&boot);
        assert!(data.len() < MOST / 2, "{} bytes", data.len());
        assert!(data.starts_with("#!/bin/sh\n"));
        assert!(
            data.ends_with("\nmain\n"),
            "it does nothing when it is cut short"
        );
        assert_eq!(data.matches(boot.token).count(), 1);
        let checked = std::process::Command::new("/bin/sh")
            .args(["-n", "-c", &data])
            .status();
        assert!(checked.unwrap().success(), "{data}");
    }
}
