//! Runs experiments and prints them: `show [ID] [SEED] [small|full]`.

use zerotell_sim::{Grid, names, run};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let seed = words.get(1).and_then(|w| w.parse().ok()).unwrap_or(7);
    let grid = if words.get(2).is_some_and(|w| w == "full") { Grid::Full } else { Grid::Small };
    for name in names().filter(|name| words.first().is_none_or(|id| id == name)) {
        println!("{}", run(name, seed, grid).expect("a name of ours").text());
    }
}
