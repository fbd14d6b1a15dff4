//! The ladder that costs a Program least (not part of the protocol: any within the limits is sound).

use oracle::{Load, tune as cheapest};
use program::types::{Home, Ladder, OracleParams, Program, Rung};
use verify::Setup;

/// Chooses the parameters of a Program's oracles by the cost model, with room for `openings` openings of the model, with
/// or without masks.
///
/// # Errors
/// What is in the way: a Program that is refused, or is larger than any parameters allow.
pub fn tune(program: &mut Program, openings: usize, zk: bool) -> Result<(), String> {
    let entries: usize = program
        .tensors
        .iter()
        .filter(|t| t.home == Home::Model)
        .map(|t| t.axes.iter().map(|&n| n as usize).product::<usize>())
        .sum();
    let fresh = Setup::fresh_entries(program, 1, zk).map_err(|why| why.to_string())?;
    let load = Load { fresh, model: program.model_oracle.map(|_| (entries, openings)), zk };
    let (sizing, shape) = cheapest(&load).ok_or("no oracle parameters fit it")?;
    let byte = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
    let rung = |rung: &oracle::Rung| Rung { rows: byte(rung.rows), rate: byte(rung.rate) };
    (program.lambda, program.grind) = (sizing.lambda, sizing.grind);
    program.ladder = Ladder {
        fresh: rung(&sizing.fresh),
        inner: sizing.inner.iter().map(rung).collect(),
        last_max: u16::try_from(sizing.last_max).unwrap_or(u16::MAX),
        end: rung(&sizing.end),
    };
    program.model_oracle = shape.map(|shape| OracleParams {
        rows: u32::try_from(shape.rows).unwrap_or(u32::MAX),
        log_c: byte(shape.log_c),
        log_t: shape.log_t.map(byte),
        log_n: byte(shape.log_n),
    });
    program::validate(program).map_err(|why| why.to_string())
}
