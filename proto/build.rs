//! Compiles the protobuf files with protox, so that no protoc is needed, and lists every method
//! in an enum, so that a method without an entry in the table of callers does not build.

use std::fmt::Write as _;
use std::path::PathBuf;

const FILES: [&str; 5] = [
    "extend/fleet/v1/types.proto",
    "extend/fleet/v1/logs.proto",
    "extend/fleet/v1/agent.proto",
    "extend/fleet/v1/enrolment.proto",
    "extend/fleet/v1/operator.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let mut arms = String::new();
    let mut variants = String::new();
    let mut all = String::new();
    for file in &descriptors.file {
        for service in &file.service {
            for method in &service.method {
                let variant = format!("{}{}", service.name(), method.name());
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                writeln!(variants, "    /// `{path}`\n    {variant},")?;
                writeln!(arms, "            {path:?} => Some(Self::{variant}),")?;
                writeln!(all, "        ({path:?}, Self::{variant}),")?;
            }
        }
    }
    let source = format!(
        "/// Every method of every service.\n\
         #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]\n\
         pub enum Method {{\n{variants}}}\n\n\
         impl Method {{\n\
         \x20   /// Each method with its HTTP/2 path.\n\
         \x20   pub const ALL: &'static [(&'static str, Self)] = &[\n{all}    ];\n\n\
         \x20   /// The method that an HTTP/2 path names.\n\
         \x20   pub fn from_path(path: &str) -> Option<Self> {{\n\
         \x20       match path {{\n{arms}            _ => None,\n        }}\n    }}\n}}\n"
    );
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("methods.rs"), source)?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
