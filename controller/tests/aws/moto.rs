//! moto's server, and what a person does in EC2's console.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// moto's server, as long as it is held.
pub(crate) struct Moto {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Moto {
    /// Starts it at a free port of this machine.
    pub(crate) fn start() -> Self {
        let program = std::env::var("EXTEND_MOTO")
            .expect("EXTEND_MOTO has to name moto's server; hint: scripts/moto.sh COMMAND");
        let mut child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env_remove("MOTO_PORT")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("http://").map(|(_, rest)| rest.to_owned()))
            .expect("the server ended before it listened");
        // It writes a line for every request: somebody has to read them.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let address = address.trim().trim_end_matches('/').parse().unwrap();
        Self { child, address }
    }

    /// A new group without inbound rules.
    pub(crate) async fn group(&self) -> String {
        let form = "Action=CreateSecurityGroup&GroupName=pbx&GroupDescription=the+PBX";
        let answer = ask(self.address, form).await;
        between(&answer, "<groupId>", "</groupId>").unwrap()
    }

    /// A person lets a network in: all of it, or one port.
    pub(crate) async fn allow(&self, group: &str, net: &str, description: &str, port: Option<u16>) {
        let protocol = match port {
            None => "IpPermissions.1.IpProtocol=-1".to_owned(),
            Some(port) => format!(
                "IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort={port}&IpPermissions.1.ToPort={port}"
            ),
        };
        let range = "IpPermissions.1.IpRanges.1";
        let form = format!(
            "Action=AuthorizeSecurityGroupIngress&GroupId={group}&{protocol}&{range}.CidrIp={net}&{range}.Description={}",
            description.replace(' ', "+")
        );
        ask(self.address, &form).await;
    }

    /// A person takes the rule about an address away.
    pub(crate) async fn revoke(&self, group: &str, address: Ipv4Addr) {
        let form = format!(
            "Action=RevokeSecurityGroupIngress&GroupId={group}&IpPermissions.1.IpProtocol=-1&IpPermissions.1.IpRanges.1.CidrIp={address}/32"
        );
        ask(self.address, &form).await;
    }

    /// The inbound rules, as `NET DESCRIPTION`, in order.
    pub(crate) async fn rules(&self, group: &str) -> Vec<String> {
        rules(self.address, group).await
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The inbound rules of a group, as `NET DESCRIPTION`, in order.
pub(crate) async fn rules(server: SocketAddr, group: &str) -> Vec<String> {
    let form = format!(
        "Action=DescribeSecurityGroupRules&Filter.1.Name=group-id&Filter.1.Value.1={group}"
    );
    let answer = ask(server, &form).await;
    let mut rules: Vec<String> = answer
        .split("<item>")
        .skip(1)
        .filter(|item| item.contains("<isEgress>false</isEgress>"))
        .map(|item| {
            let part = |open, close| between(item, open, close).unwrap_or_default();
            format!(
                "{} {}",
                part("<cidrIpv4>", "</cidrIpv4>"),
                part("<description>", "</description>")
            )
        })
        .collect();
    rules.sort();
    rules
}

/// What the server answers to a form that nobody has signed.
async fn ask(server: SocketAddr, form: &str) -> String {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let request = format!(
        "POST / HTTP/1.0\r\nHost: {server}\r\nAuthorization: AWS4-HMAC-SHA256 Credential=a/20260101/eu-west-1/ec2/aws4_request, SignedHeaders=host, Signature=a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}&Version=2016-11-15",
        form.len() + "&Version=2016-11-15".len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap();
    assert_eq!(status, "200", "{form}: {answer}");
    answer
}

fn between(text: &str, open: &str, close: &str) -> Option<String> {
    let (_, rest) = text.split_once(open)?;
    rest.split_once(close).map(|(inner, _)| inner.to_owned())
}
