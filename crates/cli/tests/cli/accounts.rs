//! What an account can do on a network, verb by verb, and what is refused: one network for all of it.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::network::{Net, part};
use crate::world::{Ran, World, asset, text};

const EPOCH: u64 = 60;
const UNBONDING: u64 = 140;

/// A network, and words about it.
struct Town {
    net: Net,
}

impl Town {
    fn new() -> Self {
        let set = format!(
            "--set epoch_blocks={EPOCH} --set unbonding_blocks={UNBONDING} --set trace_blocks=20 --set parameter_delay=1"
        );
        Self { net: Net::founded(3, &set) }
    }

    /// A verb on the first validator's node, for which this account pays.
    fn run(&self, verb: &str, key: &str) -> Ran {
        let node = format!("http://{}", self.net.address(0));
        self.net.world.run(&format!("{verb} --node {node} --key {key} --json"))
    }

    /// The same, waited for.
    fn done(&self, verb: &str, key: &str) -> Value {
        let line = self.run(&format!("{verb} --wait"), key).expect(0).json();
        assert_eq!(line["final"], true, "{line}");
        line
    }

    /// The same, refused with this word.
    fn refused(&self, verb: &str, key: &str, word: &str) {
        let line = self.run(&format!("{verb} --wait"), key).expect(2).json();
        let reason = text(&line["errors"][0]["reason"]);
        assert!(reason.contains(word), "{verb}: {line}");
        assert!(!text(&line["errors"][0]["fix"]).is_empty(), "{verb}: {line}");
    }

    fn show(&self, key: &str) -> Value {
        self.run("account show", key).expect(0).json()
    }

    fn balance(&self, key: &str) -> u64 {
        self.show(key)["balance"].as_u64().unwrap()
    }

    fn account(&self, directory: &str, more: &str) -> String {
        part(&self.net.world.run(&format!("node key {directory} {more}")).expect(0).out, "account")
    }

    /// Waits until the node says so.
    fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < Duration::from_secs(90), "{what}: height {:?}", self.net.height(0));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn transfers(&self) {
        let friend = self.account("friend", "");
        self.account("poor", "--account-only");
        let before = self.balance("net/owner");
        let sent = self.done(&format!("account transfer {friend} 5_000_000_000"), "net/owner");
        let fee = sent["fee"].as_u64().unwrap();
        assert_eq!(self.balance("friend"), 5_000_000_000);
        assert_eq!(self.balance("net/owner"), before - 5_000_000_000 - fee);
        // By number of the account alone, and for people.
        let node = format!("http://{}", self.net.address(0));
        let shown = self.net.world.run(&format!("account show {friend} --node {node}")).expect(0).out;
        assert!(shown.contains("5000000000 units") && shown.contains("bond      none"), "{shown}");

        self.refused(&format!("account transfer {friend} 7"), "poor", "the account has 0 units");
        self.refused(&format!("account transfer {friend} {}", u64::MAX), "net/owner", "the account has");
        self.refused(&format!("account transfer {friend} 0"), "net/owner", "nothing to give");
        self.refused(
            &format!("account transfer {friend} 7 --nonce 0"),
            "net/owner",
            "transaction 0 of this account is final",
        );
        self.refused(&format!("account transfer {friend} 7 --nonce 9"), "net/owner", "would leave a gap");
        self.refused(&format!("account transfer {friend} 7 --fee 5"), "net/owner", "the price is");
        assert_eq!(self.balance("net/owner"), before - 5_000_000_000 - fee, "what is refused costs nothing");
        // A node of another network gets no signature.
        let genesis = "node genesis --founder ACCOUNT,KEY,2000000000000 -o other.bin";
        let keys = self.net.world.run("node key other").expect(0).out;
        let genesis =
            genesis.replace("ACCOUNT", &part(&keys, "account")).replace("KEY", &part(&keys, "consensus"));
        self.net.world.run(&genesis).expect(0);
        self.refused(
            &format!("account transfer {friend} 7 --genesis other.bin"),
            "net/owner",
            "its network is",
        );
        // For people.
        let words = format!(
            "account transfer {friend} 7 --genesis net/genesis.bin --wait --key net/owner --node {node}"
        );
        let said = self.net.world.run(&words).expect(0).out;
        assert!(said.contains(&format!("7 units to {friend}")) && said.contains("final in block"), "{said}");
    }

    /// Gives the height from which what was taken out is free.
    fn stakes(&self) -> u64 {
        let validator = "net/validator-0/keys";
        let bonded = self.done("account bond 1_000_000", validator);
        assert_eq!(bonded["bond"], 2_000_001_000_000_u64);
        assert_eq!(bonded["shows_consensus_key"], false, "the ledger has it");
        let epoch = bonded["epoch"].as_u64().unwrap();
        assert_eq!(bonded["counts_from_epoch"], epoch + 1);
        assert_eq!(bonded["counts_from_block"], (epoch + 1) * EPOCH);
        let stake = self.show(validator)["validator"]["stake"].as_u64().unwrap();
        assert!(
            stake == 2_000_000_000_000 || self.show(validator)["epoch"].as_u64() > Some(epoch),
            "{stake}"
        );

        let out = self.done("account unbond 400_000", validator);
        let free = out["free_from"].as_u64().unwrap();
        assert_eq!(free, out["height"].as_u64().unwrap() + UNBONDING);
        let shown = self.show(validator);
        let waiting = &shown["validator"]["unbonding"][0];
        assert_eq!((waiting["units"].as_u64(), waiting["free_from"].as_u64()), (Some(400_000), Some(free)));
        assert_eq!(shown["validator"]["slashable"], 2_000_001_000_000_u64);
        let node = format!("http://{}", self.net.address(0));
        let said = self.net.world.run(&format!("account show --key {validator} --node {node}")).expect(0).out;
        assert!(said.contains(&format!("400000 units are free from block {free} on (about")), "{said}");
        self.refused("account unbond 3_000_000_000_000", validator, "2000000600000 units are bonded");

        // A newcomer: the key is shown, and below the least bond there is no seat.
        let bonded = self.done("account bond 1_000", "friend");
        assert_eq!(
            (bonded["shows_consensus_key"].as_bool(), bonded["bond"].as_u64()),
            (Some(true), Some(1_000))
        );
        self.refused("account unbond 1_001", "friend", "1000 units are bonded");
        self.done("account unbond 1_000", "friend");
        let shown = self.show("friend")["validator"].clone();
        assert_eq!((shown["bond"].as_u64(), shown["seat"].as_u64()), (Some(0), None), "{shown}");
        assert_eq!(
            shown["unbonding"][0]["units"], 1_000,
            "a bond too small for a seat is shown as it leaves"
        );
        self.refused("account bond 1_000", "poor", "no consensus key");
        // Another's key.
        let thief = self.net.world.path("thief");
        self.account("thief", "--account-only");
        let copied = std::fs::read(self.net.world.path("friend/consensus.key")).unwrap();
        std::fs::write(thief.join("consensus.key"), copied).unwrap();
        std::fs::set_permissions(thief.join("consensus.key"), std::fs::Permissions::from_mode(0o600))
            .unwrap();
        let thief = text(&self.show("thief")["account"]);
        self.done(&format!("account transfer {thief} 1_000_000_000"), "net/owner");
        self.refused("account bond 1_000", "thief", "the consensus key");
        free
    }

    fn data_sets(&self) {
        let input = asset("bc_test.npz");
        let committed = self
            .net
            .world
            .run(&format!("commit --input {input} --rows 0..2 --model m/model.ztm --input-key data --json"))
            .expect(0)
            .json();
        let registered = self.done("register dataset data", "net/owner");
        assert_eq!(registered["input"], committed["input"]);
        assert_eq!(registered["source"], Value::Null);
        let id = text(&committed["input"]);
        let owner = text(&self.show("net/owner")["account"]);
        let root = text(&registered["root"]);
        let told = self.net.get(0, &format!("/v1/datasets/{owner}/{root}")).expect("the data set");
        assert_eq!((&told["height"], &told["root"]), (&registered["height"], &registered["root"]));
        self.refused("register dataset data", "net/owner", "the name is taken");
        self.refused(&format!("register dataset {id}"), "friend", "does not say what the numbers mean");
        self.refused("register dataset nowhere", "friend", "neither a directory");
        // Another account may have the same root; schema and source are hashes of files.
        self.net.world.write("schema.json", b"{}");
        let words = format!("register dataset {id} --schema schema.json --source schema.json");
        let registered = self.done(&words, "friend");
        let hash = blake3::hash(b"{}").to_hex().to_string();
        assert_eq!(
            (&registered["schema"], &registered["source"]),
            (&hash.as_str().into(), &hash.as_str().into())
        );
    }

    fn models(&self) {
        self.refused("advance m", "net/owner", "has registered no model");
        let model = self.done("register model m", "net/owner");
        self.refused("register model m/model.ztm", "net/owner", "the name is taken");
        self.refused("advance m", "friend", "has registered no model");
        // Proofs until there is an epoch.
        let mut row = 0;
        while self.net.world.run("commit --status m --json").expect(0).json()["made"].as_u64() == Some(1) {
            if row == 0 {
                self.refused("advance m", "net/owner", "no link leads on");
            }
            self.net.evidence(row);
            row += 1;
            assert!(row < 20, "no epoch");
        }
        let step = self.done("advance m --genesis net/genesis.bin -o step.ztc", "net/owner");
        assert_eq!((step["verdict"].as_str(), step["checked"].as_bool()), (Some("accepted"), Some(true)));
        assert_eq!(step["moved"], true);
        assert_eq!((&step["model"], &step["weights_before"]), (&model["model"], &model["weights"]));
        let listed = self.net.get(0, "/v1/models").unwrap()["models"][0].clone();
        assert_eq!((&listed["weights"], listed["links"].as_u64()), (&step["weights"], Some(1)));
        let path = format!("/v1/models/{}/{}", text(&listed["owner"]), text(&listed["model"]));
        assert_eq!(self.net.get(0, &path).as_ref(), Some(&listed));
        let said = self.net.world.run("certify step.ztc --genesis net/genesis.bin --json").expect(0).json();
        assert_eq!(said["statement"], step["statement"]);
        self.refused("advance m", "net/owner", "the newest epoch");
        // The same link again begins where the model is no more.
        let links = std::fs::read_dir(self.net.world.path("m")).unwrap();
        let link = links
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|e| e == "ztl"));
        let link = link.expect("a link").display().to_string();
        self.refused(
            &format!("advance m --link {link}"),
            "net/owner",
            "does not begin at the ledger's weights",
        );
    }

    fn recalls(&self) {
        let record = self.net.submit(0, "0.zte", "-o record.ztc").expect(0).json();
        let statement = text(&record["statement"]);
        self.refused(&format!("recall record {statement}"), "friend", "may not do this");
        self.refused(&format!("recall record {}", "0".repeat(64)), "net/owner", "no such thing");
        let recalled = self.done("recall record 0.zte --reason 3", "net/owner");
        assert_eq!(
            (recalled["subject"].as_str(), recalled["reason"].as_u64()),
            (Some(statement.as_str()), Some(3))
        );
        let told = self.net.get(0, &format!("/v1/records/{statement}")).unwrap();
        assert_eq!((told["recalled"].as_bool(), told["status"].as_str()), (Some(true), Some("accepted")));
        self.refused("recall record record.ztc", "net/owner", "punished before");
        self.refused("recall verifier 1", "net/owner", "may not do this");
        self.refused("recall resume 1", "net/validator-0/keys", "no such thing");
        self.net.world.run(&format!("recall record {statement} --reason 0 --key net/owner")).expect(2);
        // A vote of one of four decides nothing.
        assert_eq!(self.done("recall verifier 1", "net/validator-0/keys")["vote"], true);
        self.done("recall program m/model.ztm", "net/owner");
        assert!(self.net.submit(0, "1.zte", "").expect(2).out.contains("was recalled"));
    }

    fn parameters(&self) {
        let rules = |name: &str| {
            let node = format!("http://{}", self.net.address(0));
            self.net.world.run(&format!("parameters show --node {node} --json")).expect(0).json()["parameters"][name]
                .as_u64()
        };
        assert_eq!((rules("tries"), rules("epoch_blocks")), (Some(3), Some(EPOCH)));
        self.refused("parameters propose --set tries=4", "net/owner", "has no seat");
        self.refused("parameters propose --set tries=0", "net/validator-1/keys", "from 1 to 100");
        // Votes count within one epoch.
        self.until("the first half of an epoch", || {
            self.net.height(0).is_some_and(|h| h % EPOCH < EPOCH / 2)
        });
        for i in 0..3 {
            let vote = self
                .run("parameters propose --set tries=4", &format!("net/validator-{i}/keys"))
                .expect(0)
                .json();
            assert_eq!((vote["final"].as_bool(), vote["changes"][0]["to"].as_u64()), (Some(false), Some(4)));
            if i == 0 {
                let one = || self.net.get(0, "/v1/decisions").unwrap()["ballots"][0].clone();
                self.until("an open vote", || {
                    one()["seats"].as_array().is_some_and(|seats| seats.len() == 1)
                });
            }
        }
        self.until("the new parameters", || rules("tries") == Some(4));
        let node = format!("http://{}", self.net.address(0));
        let said = self.net.world.run(&format!("parameters show --node {node}")).expect(0).out;
        let tries = said.lines().find(|line| line.starts_with("tries")).expect("a line");
        assert_eq!(tries.split_whitespace().collect::<Vec<_>>(), ["tries", "4", "3"], "{said}");
    }
}

#[test]
fn an_account_does_all_that_the_ledger_offers() {
    let town = Town::new();
    let commit = format!("commit {} --model-key m --openings 4", World::model());
    town.net.world.run(&commit).expect(0);
    town.transfers();
    let free = town.stakes();
    town.data_sets();
    town.models();
    town.recalls();
    town.parameters();
    // What was taken out is money again, and the bond counts as stake.
    let validator = "net/validator-0/keys";
    let before = town.balance(validator);
    let was_waiting = town.net.height(0).is_some_and(|height| height + 1 < free);
    town.net.reach(0, free);
    let shown = town.show(validator);
    assert!(shown["validator"]["unbonding"].as_array().unwrap().is_empty(), "{shown}");
    // More, if fees came in meanwhile.
    assert!(!was_waiting || shown["balance"].as_u64() >= Some(before + 400_000), "{before}: {shown}");
    assert_eq!(shown["validator"]["stake"], 2_000_000_600_000_u64, "{shown}");
}
