//! The interface is what its description says: Schemathesis asks a node that has a record.

use std::path::Path;
use std::process::Command;

use crate::network::Net;
use crate::world::{skipped, text};

/// The Python that `cargo xtask test` makes, if Schemathesis could be installed there.
fn python() -> Option<String> {
    let python = std::env::var("ZEROTELL_PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python).args(["-c", "import schemathesis"]).output();
    has.is_ok_and(|ran| ran.status.success()).then_some(python)
}

#[test]
fn the_interface_is_what_its_description_says() {
    let Some(python) = python() else {
        let why = "Schemathesis is not installed: `cargo xtask setup` installs it, and ZEROTELL_PYTHON names its Python";
        return skipped(why);
    };
    let net = Net::alone(7, "");
    let said = net.submit(0, &net.evidence(3), "").expect(0).json();
    let statement = text(&said["statement"]);
    let record = net.get(0, &format!("/v1/records/{statement}")).expect("the record");
    let height = record["ordered"].as_u64().expect("a height");
    let block = net.get(0, &format!("/v1/blocks/{height}")).expect("its block");
    let model = net.get(0, "/v1/models").expect("the list")["models"][0].clone();
    let words = [
        format!("Owner={}", text(&model["owner"])),
        format!("Model={}", text(&model["model"])),
        format!("Statement={statement}"),
        format!("Digest={}", text(&record["program"])),
        format!("Account={}", text(&record["submitter"])),
        format!("Id={}", text(&block["list"][0]["id"])),
        format!("Height={height}"),
    ];
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/interface/run.py");
    let ran = Command::new(python)
        .arg(script)
        .arg(format!("http://{}", net.address(0)))
        .args(words)
        .output()
        .expect("it starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    // And the node is none the worse for it.
    net.reach(0, net.height(0).expect("it answers") + 2);
}
