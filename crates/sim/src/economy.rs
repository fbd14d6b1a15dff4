//! What the ledger's rules come to for a seat, per record: the formulas that the dynamics of S1, S3 and S5 use. Tests hold
//! each of them against the real ledger (`tests/formulas.rs`).

use ledger::Parameters;

/// What a seat does with one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// Runs the verifier and says what it found.
    Look,
    /// Accepts without looking, and looks when it is a case.
    Accept,
    /// Rejects without looking, and looks when it is a case.
    Reject,
    /// Accepts without looking, in a case too.
    Insist,
    /// Commits to a copied commitment, which it can never open.
    Copy,
    /// Says nothing.
    Nothing,
}

/// All acts.
pub const ACTS: [Act; 6] = [Act::Look, Act::Accept, Act::Reject, Act::Insist, Act::Copy, Act::Nothing];

/// Shares of stake that do each act.
pub type Shares = [f64; 6];

impl Act {
    /// Whether it accepts a record in its first round; `None` if it says nothing.
    fn bit(self, is_valid: bool) -> Option<bool> {
        match self {
            Self::Look => Some(is_valid),
            Self::Accept | Self::Insist => Some(true),
            Self::Reject => Some(false),
            Self::Copy | Self::Nothing => None,
        }
    }

    /// Its bit in the round that the record's sets are of.
    fn last_bit(self, is_valid: bool, course: &Course) -> Option<bool> {
        if course.resolved.is_some() { self.bit_in_case(is_valid) } else { self.bit(is_valid) }
    }

    /// The same in a case.
    fn bit_in_case(self, is_valid: bool) -> Option<bool> {
        match self {
            Self::Look | Self::Accept | Self::Reject => Some(is_valid),
            Self::Insist => Some(true),
            Self::Copy | Self::Nothing => None,
        }
    }
}

/// A network of equal seats and what a record is worth in it. Money in units.
#[derive(Clone, Debug)]
pub struct Economy {
    /// The ledger's parameters.
    pub rules: Parameters,
    /// Number of seats.
    pub seats: f64,
    /// Slashable stake of each.
    pub stake: f64,
    /// Fee of a record.
    pub fee: f64,
    /// Fee of an accusation that opens a case.
    pub accusing: f64,
    /// Cost of verifying one record.
    pub cost: f64,
    /// Share of records that are not valid, and whose wrong verdicts somebody accuses.
    pub bad: f64,
    /// Records per epoch.
    pub records: f64,
    /// Not a rule of the ledger, but one that was weighed: that dissenters in a case which two thirds decide pay the price
    /// of an error even if they are more than `dissent`.
    pub dissent_costs: bool,
}

/// What became of a record.
struct Course {
    /// Whether it went through a case that two thirds decided without dispute.
    resolved: Option<bool>,
    /// Whether a case was opened at all, and by an accusation.
    case: bool,
    accused: bool,
    /// The verdict of the first round, if any.
    first: Option<bool>,
    /// The last verdict, if any.
    verdict: Option<bool>,
    /// Share of those punished for the first round.
    wrong: f64,
    /// What two thirds said in a case that was disputed all the same.
    overruled: Option<bool>,
}

fn sum(shares: &Shares, of: impl Fn(Act) -> bool) -> f64 {
    ACTS.iter().zip(shares).filter(|(act, _)| of(**act)).map(|(_, share)| share).sum()
}

/// Whether the last verdict of a seat was the final one, and no run's.
fn guesses(act: Act, is_valid: bool, course: &Course) -> bool {
    let is_blind = match act {
        Act::Insist => true,
        Act::Accept | Act::Reject => course.resolved.is_none(),
        _ => false,
    };
    is_blind && course.verdict.is_some() && act.last_bit(is_valid, course) == course.verdict
}

/// Two thirds, as the ledger has them; the slack is for sums of floats.
fn is_quorum(share: f64) -> bool {
    3.0 * share >= 2.0 - 1e-9
}

impl Economy {
    /// What a seat earns for the final bit of one record.
    pub fn reward(&self) -> f64 {
        self.fee * self.rules.verifier_share as f64 / 10_000.0 / self.seats
    }

    fn case_reward(&self) -> f64 {
        self.accusing * self.rules.verifier_share as f64 / 10_000.0 / self.seats
    }

    /// What each of those who offend together for the first time loses.
    pub fn penalty(&self, share: f64) -> f64 {
        let first = self.rules.first_offence as f64 / 10_000.0;
        let floor = self.rules.correlation_floor as f64 / 10_000.0;
        let together = if share > floor + 1e-12 { self.rules.correlation as f64 * share } else { 0.0 };
        self.stake * first.max(together).min(1.0)
    }

    /// What an honest error costs.
    pub fn error(&self) -> f64 {
        self.stake * self.rules.first_offence as f64 / 10_000.0
    }

    fn dissent(&self) -> f64 {
        self.rules.dissent as f64 / 10_000.0 + 1e-12
    }

    /// Whether accusing so many seats brings more than it costs.
    fn accusing_pays(&self, wrong: f64) -> bool {
        let reward = self.penalty(wrong) * wrong * self.seats * self.rules.reporter_share as f64 / 10_000.0;
        wrong > 0.0 && reward > self.accusing
    }

    fn course(&self, shares: &Shares, is_valid: bool) -> Course {
        let accept = sum(shares, |act| act.bit(is_valid) == Some(true));
        let reject = sum(shares, |act| act.bit(is_valid) == Some(false));
        let first = if is_quorum(accept) {
            Some(true)
        } else if is_quorum(reject) {
            Some(false)
        } else {
            None
        };
        let disputed = accept.min(reject) > self.dissent();
        let wrong = if is_valid { reject } else { accept };
        let accused = !disputed && first.is_some() && self.accusing_pays(wrong);
        let plain = Course {
            resolved: None,
            case: false,
            accused,
            first,
            verdict: first,
            wrong: 0.0,
            overruled: None,
        };
        if !disputed && !accused {
            return plain;
        }
        let accept = sum(shares, |act| act.bit_in_case(is_valid) == Some(true));
        let reject = sum(shares, |act| act.bit_in_case(is_valid) == Some(false));
        let quorum = is_quorum(accept) || is_quorum(reject);
        let verdict = is_quorum(accept);
        if accept.min(reject) > self.dissent() || !quorum {
            return Course { case: true, overruled: quorum.then_some(verdict), ..plain };
        }
        let wrong = sum(shares, |act| {
            act.bit(is_valid) == Some(!verdict) && act.bit_in_case(is_valid) == Some(verdict)
        });
        Course { resolved: Some(verdict), case: true, verdict: Some(verdict), wrong, ..plain }
    }

    /// What each act brings on a record, cost of verifying included: to a seat that does it, so its share counts as that
    /// of one seat at least, and shares of others below half a seat as nobody's.
    pub fn values(&self, shares: &Shares, is_valid: bool) -> [f64; 6] {
        let seat = 1.0 / self.seats;
        std::array::from_fn(|own| {
            let mut seen: Shares =
                std::array::from_fn(|i| if shares[i] < seat / 2.0 { 0.0 } else { shares[i] });
            seen[own] = seen[own].max(seat);
            let whole: f64 = seen.iter().sum();
            self.value_of(own, &seen.map(|share| share / whole), is_valid)
        })
    }

    fn value_of(&self, own: usize, shares: &Shares, is_valid: bool) -> f64 {
        let course = self.course(shares, is_valid);
        let guessed = |act| guesses(act, is_valid, &course);
        let blind = sum(shares, guessed);
        let traced = sum(shares, |act| !guessed(act) && act.last_bit(is_valid, &course) == course.verdict);
        let is_shown = is_quorum(traced) && blind <= self.dissent();
        // Those punished for the record before them count too.
        let blind = if is_shown { Some(blind + course.wrong) } else { None };
        self.value(ACTS[own], is_valid, &course, blind)
    }

    /// `blind` is the share that can be shown to have guessed, if it can.
    fn value(&self, act: Act, is_valid: bool, course: &Course, blind: Option<f64>) -> f64 {
        let mut value = 0.0;
        let (bit, again) = (act.bit(is_valid), act.bit_in_case(is_valid));
        if act == Act::Look {
            value -= self.cost;
        }
        if course.case && matches!(act, Act::Look | Act::Accept | Act::Reject) {
            value -= self.cost;
        }
        let is_paid_twice = course.accused;
        // The fee: by the first round if it was settled then or the case decided nothing, else by the case.
        let first_pays = course.resolved.is_none() || is_paid_twice;
        let paid_bit = if first_pays { bit } else { again };
        let verdict = if is_paid_twice && course.resolved.is_some() { course.first } else { course.verdict };
        if verdict.is_some() && paid_bit == verdict {
            value += self.reward();
        }
        if let Some(resolved) = course.resolved {
            if is_paid_twice && again == Some(resolved) {
                value += self.case_reward();
            }
            if bit == Some(!resolved) && again == Some(resolved) {
                value -= self.penalty(course.wrong);
            }
            if again == Some(!resolved) {
                value -= self.error();
            }
        } else if self.dissent_costs
            && let (Some(verdict), Some(again)) = (course.overruled, again)
            && again != verdict
        {
            value -= self.error();
        }
        if let Some(blind) = blind
            && guesses(act, is_valid, course)
        {
            value -= self.penalty(blind);
        }
        if act == Act::Copy && course.verdict == Some(false) {
            value -= self.error();
        }
        if matches!(act, Act::Copy | Act::Nothing) {
            value -= self.stake * self.rules.leak as f64 / 1e6 / self.records;
        }
        value
    }

    /// What each act brings on an average record.
    pub fn average(&self, shares: &Shares) -> [f64; 6] {
        let (good, bad) = (self.values(shares, true), self.values(shares, false));
        std::array::from_fn(|i| (1.0 - self.bad) * good[i] + self.bad * bad[i])
    }
}
