//! A network older than the trust period: what is too old is refused with what to do about it, and a pin that is kept young
//! leads on.

use serde_json::Value;

use crate::network::Net;
use crate::world::{Ran, text};

/// Blocks of an epoch.
const EPOCH: u64 = 12;

/// The network, and words about it.
struct Old {
    net: Net,
}

impl Old {
    fn run(&self, words: &str) -> Ran {
        self.net.world.run(&format!("{words} --json"))
    }

    /// A verb that asks the node.
    fn ask(&self, words: &str) -> Ran {
        self.run(&format!("{words} --node http://{}", self.net.address(0)))
    }

    /// A verb that ends with misuse, for this reason, with this in the fix.
    fn misused(&self, words: &str, why: &str, fix: &str) {
        let line = self.ask(words).expect(2).json();
        let item = &line["errors"][0];
        assert!(text(&item["reason"]).contains(why), "{words}: {line}");
        assert!(text(&item["fix"]).contains(fix), "{words}: {line}");
    }

    /// A certificate that is refused, for this reason, with this in the fix.
    fn refused(&self, words: &str, why: &str, fix: &str) {
        let line = self.run(&format!("certify {words}")).expect(1).json();
        assert!(text(&line["why"]).contains(why), "{words}: {line}");
        assert!(text(&line["fix"]).contains(fix), "{words}: {line}");
    }

    /// Waits for two epochs to end.
    fn wait(&self) {
        self.net.reach(0, self.net.height(0).expect("it answers") + 2 * EPOCH);
    }

    /// Brings the pin up to the present; the epoch it reached.
    fn advance(&self) -> u64 {
        let moved = self.ask("fetch checkpoint pin.bin").expect(0).json();
        assert!(moved["written"] == true && moved["age_checked"] == true, "{moved}");
        let (from, to) = (moved["from_epoch"].as_u64().unwrap(), moved["epoch"].as_u64().unwrap());
        assert_eq!(moved["handovers"].as_u64(), Some(to - from), "{moved}");
        let bytes = self.net.world.read("pin.bin");
        let pin: certify::Checkpoint = certify::decode(&bytes).expect("a checkpoint");
        assert_eq!((pin.epoch, moved["height"].as_u64()), (to, Some(pin.height)));
        assert_eq!(text(&moved["digest"]), blake3::hash(&bytes).to_hex().to_string());
        to
    }

    /// From a genesis that is too old to a first pin.
    fn first_pin(&self) {
        self.misused("fetch checkpoint pin.bin", "no such pin yet", "--genesis");
        let stale = "is 20 days old, 14 are allowed";
        self.misused("fetch checkpoint pin.bin --genesis net/genesis.bin", stale, "fetch checkpoint PIN");
        assert!(!self.net.world.path("pin.bin").exists());
        self.net.reach(0, EPOCH + 1);
        let made = self.ask("fetch checkpoint pin.bin --genesis net/genesis.bin --trust-days 0");
        let made = made.expect(0).json();
        assert_eq!(
            (&made["written"], &made["age_checked"]),
            (&Value::Bool(true), &Value::Bool(false)),
            "{made}"
        );
        assert!(made["epoch"].as_u64() >= Some(1) && made["handovers"] == made["epoch"], "{made}");
        self.misused(
            "fetch checkpoint pin.bin --genesis net/genesis.bin",
            "is there already",
            "leave --genesis",
        );
        // A node of another history is not followed, and the pin stays as it is.
        let mut other = self.net.world.read("pin.bin");
        *other.last_mut().unwrap() ^= 1;
        self.net.world.write("other.bin", &other);
        self.misused(
            "fetch checkpoint other.bin",
            "the committee is not the one",
            "the node does not belong",
        );
        assert_eq!(self.net.world.read("other.bin"), other);
    }

    /// A record from submitting to a certificate that rests on the pin's epoch.
    fn record(&self, evidence: &str) -> String {
        let submit = format!("submit {evidence} --key net/owner --wait -o a.ztc");
        // What could not be checked afterwards is not sent.
        self.misused(&format!("{submit} --genesis net/genesis.bin"), "20 days old", "fetch checkpoint PIN");
        let none = self.net.get(0, "/v1/records").unwrap()["records"].clone();
        assert_eq!(none.as_array().map(Vec::len), Some(0), "{none}");
        let said = self.ask(&format!("{submit} --checkpoint pin.bin")).expect(0).json();
        assert_eq!((&said["verdict"], &said["checked"]), (&"accepted".into(), &Value::Bool(true)), "{said}");
        let told = self.run("certify a.ztc --checkpoint pin.bin").expect(0).json();
        assert_eq!(told["statement"], said["statement"]);
        let votes = &told["votes"];
        assert_eq!((votes["accept"].as_u64(), votes["seats"].as_u64()), (Some(1), Some(1)), "{votes}");
        let account = self.net.get(0, "/v1/status").unwrap()["account"].clone();
        assert_eq!(votes["accepted_by"], Value::Array(vec![account]));
        self.refused("a.ztc --genesis net/genesis.bin", "begins in epoch", "--from 0");
        text(&said["statement"])
    }

    /// The pin moves on, past the certificate; a new one is fetched.
    fn renewals(&self, statement: &str) {
        self.wait();
        self.advance();
        let fix = "zerotell fetch certificate FILE";
        self.refused("a.ztc --checkpoint pin.bin", "before the trusted checkpoint's epoch", fix);
        let said = self.ask("fetch certificate a.ztc --checkpoint pin.bin -o b.ztc").expect(0).json();
        assert_eq!((&said["checked"], &said["statement"]), (&Value::Bool(true), &statement.into()), "{said}");
        let told = self.run("certify b.ztc --checkpoint pin.bin").expect(0).json();
        assert_eq!((&told["statement"], told["votes"]["accept"].as_u64()), (&statement.into(), Some(1)));
        // From the beginning on, for whoever has an older pin: it passes through this one.
        let words = format!("fetch certificate {statement} --from 0 --checkpoint pin.bin -o c.ztc");
        assert_eq!(self.ask(&words).expect(0).json()["from"], 0);
        self.run("certify c.ztc --checkpoint pin.bin").expect(0);
        self.refused("c.ztc --genesis net/genesis.bin", "is 20 days old, 14 are allowed", "once a week");
        self.run("certify c.ztc --genesis net/genesis.bin --trust-days 0").expect(0);
        self.run("certify c.ztc --genesis net/genesis.bin --trust-days 21").expect(0);
        // Nothing is trusted: it is fetched, and said to be unchecked. Digits have no evidence to put it into.
        let said = self.ask(&format!("fetch certificate {statement} -o d.ztc")).expect(0).json();
        assert_eq!((&said["checked"], said["from"].as_u64()), (&Value::Bool(false), Some(0)), "{said}");
        let words = format!("fetch certificate {statement} --checkpoint pin.bin -o d.zte");
        self.misused(&words, "no evidence", ".ztc");
        let unknown = format!("fetch certificate {} --checkpoint pin.bin -o e.ztc", "0".repeat(64));
        self.misused(&unknown, "no final block has this record", "");
    }

    /// The same for a certificate that is part of evidence.
    fn evidence(&self, evidence: &str) {
        let verify = |words: &str| self.run(&format!("verify with.zte {words}"));
        let words = format!("fetch certificate {evidence} --from 0 --checkpoint pin.bin -o with.zte");
        self.ask(&words).expect(0);
        let told = verify("--checkpoint pin.bin").expect(0).json();
        assert_eq!(
            (&told["verdict"], told["network"]["votes"]["accept"].as_u64()),
            (&"accepted".into(), Some(1))
        );
        let detail = |told: &Value| {
            let line = told["checks"].as_array().unwrap().iter().find(|check| check["state"] == "failed");
            text(&line.expect("a failure")["detail"])
        };
        let told = verify("--genesis net/genesis.bin").expect(1).json();
        assert_eq!(told["code"], "ZT314");
        assert!(
            detail(&told).contains("20 days old") && detail(&told).contains("fetch checkpoint"),
            "{told}"
        );
        self.wait();
        self.advance();
        let told = verify("--checkpoint pin.bin").expect(1).json();
        let why = detail(&told);
        assert!(why.contains("before the trusted checkpoint's epoch"), "{why}");
        assert!(why.contains("zerotell fetch certificate"), "{why}");
        self.ask("fetch certificate with.zte --checkpoint pin.bin -o with.zte").expect(0);
        assert_eq!(verify("--checkpoint pin.bin").expect(0).json()["verdict"], "accepted");
    }
}

#[test]
fn old_networks_are_checked_from_pins() {
    let old = Old { net: Net::aged(12, 20, &format!("--set epoch_blocks={EPOCH}")) };
    let evidence = old.net.evidence(3);
    old.first_pin();
    let statement = old.record(&evidence);
    old.renewals(&statement);
    old.evidence(&evidence);
}
