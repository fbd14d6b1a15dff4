//! Who revealed what about a record: its entry in the state says so by numbers of seats, and the committee of that epoch
//! whose they are.

use certify::Committee;
use ledger::entry::Record;
use serde_json::{Value, json};

use crate::text;

/// Accounts that are named on the screen, per side; JSON has all.
const NAMED: usize = 8;

/// The verdicts of the round that an entry tells of.
pub struct Votes {
    /// Height of the round.
    height: u64,
    /// Bit i: seat i revealed accept.
    accept: u128,
    /// Bit i: seat i revealed reject.
    reject: u128,
    /// The seats of that epoch, if the certificate shows them.
    committee: Option<Committee>,
}

impl Votes {
    /// Those of a record; the committee must be that of the epoch of the round.
    pub fn new(record: &Record, committee: Option<Committee>) -> Self {
        let &Record { voted, accept, reject, .. } = record;
        Self { height: voted, accept, reject, committee }
    }

    /// Accounts of these seats, if they are known.
    fn accounts(&self, seats: u128) -> Option<Vec<String>> {
        let committee = self.committee.as_ref()?;
        let voted = committee.seats.iter().zip(0u32..).filter(|(_, i)| (seats >> i) & 1 == 1);
        Some(voted.map(|(seat, _)| text::hex(&seat.account)).collect())
    }

    /// Some of the accounts, in parentheses.
    fn names(&self, seats: u128) -> String {
        let accounts = self.accounts(seats).unwrap_or_default();
        if accounts.is_empty() {
            return String::new();
        }
        let mut names: Vec<String> =
            accounts.iter().take(NAMED).map(|account| text::short(account)).collect();
        if accounts.len() > NAMED {
            names.push(format!("{} more: --json has all", accounts.len() - NAMED));
        }
        format!(" ({})", names.join(", "))
    }

    /// Both sides in one line.
    pub fn words(&self) -> String {
        let (of, more) = match &self.committee {
            Some(committee) => {
                (format!(" of {}", committee.seats.len()), format!(", epoch {}", committee.epoch))
            }
            None => {
                let why = "; whose seats they are cannot be told from the trusted checkpoint on";
                (String::new(), why.to_string())
            }
        };
        format!(
            "accepted by {}{of} seats{}, rejected by {}{}, in the round of block {}{more}",
            self.accept.count_ones(),
            self.names(self.accept),
            self.reject.count_ones(),
            self.names(self.reject),
            self.height
        )
    }

    /// As JSON; null where the committee is not known.
    pub fn json(&self) -> Value {
        let committee = self.committee.as_ref();
        json!({
            "height": self.height,
            "epoch": committee.map(|committee| committee.epoch),
            "seats": committee.map(|committee| committee.seats.len()),
            "accept": self.accept.count_ones(),
            "reject": self.reject.count_ones(),
            "accepted_by": self.accounts(self.accept),
            "rejected_by": self.accounts(self.reject),
        })
    }
}

#[cfg(test)]
mod tests {
    use certify::{Bounded, Seat};

    use super::*;

    fn committee(seats: u8) -> Committee {
        let seat = |account| Seat { account: [account; 32], consensus: Bounded::default(), stake: 1 };
        Committee::new(7, Bounded::new((1..=seats).map(seat).collect()).unwrap()).unwrap()
    }

    fn votes(accept: u128, reject: u128, committee: Option<Committee>) -> Votes {
        Votes { height: 9, accept, reject, committee }
    }

    #[test]
    fn seats_are_counted_and_named() {
        let known = votes(0b101, 0b010, Some(committee(4)));
        let json = known.json();
        assert_eq!((json["accept"].as_u64(), json["reject"].as_u64()), (Some(2), Some(1)));
        assert_eq!((json["seats"].as_u64(), json["epoch"].as_u64()), (Some(4), Some(7)));
        assert_eq!(json["accepted_by"], json!(["01".repeat(32), "03".repeat(32)]));
        assert_eq!(json["rejected_by"], json!(["02".repeat(32)]));
        let words = known.words();
        assert!(
            words.starts_with("accepted by 2 of 4 seats (0101010101…010101, 0303030303…030303)"),
            "{words}"
        );
        assert!(
            words.ends_with("rejected by 1 (0202020202…020202), in the round of block 9, epoch 7"),
            "{words}"
        );
    }

    #[test]
    fn seats_of_an_unknown_committee_are_only_counted() {
        let unknown = votes(0b111, 0, None);
        assert_eq!(unknown.json()["accept"], 3);
        assert_eq!((&unknown.json()["accepted_by"], &unknown.json()["epoch"]), (&Value::Null, &Value::Null));
        let words = unknown.words();
        assert!(words.starts_with("accepted by 3 seats, rejected by 0, in the round of block 9;"), "{words}");
    }

    #[test]
    fn all_seats_there_can_be_are_counted() {
        let all = votes(u128::MAX, 0, Some(committee(128)));
        assert_eq!(all.json()["accepted_by"].as_array().map(Vec::len), Some(128));
        assert!(all.words().contains("accepted by 128 of 128 seats (") && all.words().contains("120 more"));
        // Bits without a seat name nobody.
        let beyond = votes(1 << 100, 0, Some(committee(4)));
        assert_eq!(beyond.json()["accepted_by"], json!([]));
    }
}
