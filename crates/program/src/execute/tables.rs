//! Finding rows of lookup tables, many positions at a time.

use crate::invalid::Site;
use crate::lower::{LookTable, Lowered};
use crate::types::Form;

use super::hands::PIECE;
use super::read::Values;
use super::round::{pieces, zeros};
use super::{ExecuteError, dense};

/// Positions whose rows are found together.
pub(super) const CHUNK: usize = 512;

/// Row-major row of a tuple of keys; none when a key is not in its range.
fn row_of(keys: &[(i64, usize)], tuple: impl Iterator<Item = i64>) -> Option<usize> {
    let mut row = 0usize;
    for (&(lo, count), key) in keys.iter().zip(tuple) {
        let offset = usize::try_from(key.checked_sub(lo)?).ok()?;
        if offset >= count {
            return None;
        }
        row = row * count + offset;
    }
    Some(row)
}

/// Rows of tuples whose keys are columns: [`row_of`] each. `Err` is the first position without one.
pub(super) fn rows_of<'a>(
    keys: &[(i64, usize)],
    columns: &[&[i64]],
    rows: &'a mut [usize; CHUNK],
) -> Result<&'a [usize], usize> {
    let length = columns.first().map_or(0, |column| column.len());
    let rows = &mut rows[..length];
    rows.fill(0);
    let mut outside = false;
    for (&(lo, count), column) in keys.iter().zip(columns) {
        for (row, &key) in rows.iter_mut().zip(*column) {
            // Exact where the key is not below lo.
            let offset = key.wrapping_sub(lo) as usize;
            outside |= key < lo || offset >= count;
            *row = row.wrapping_mul(count).wrapping_add(offset);
        }
    }
    if outside {
        let tuple = |position: usize| columns.iter().map(move |column| column[position]);
        let missing = (0..length).find(|&position| row_of(keys, tuple(position)).is_none());
        return Err(missing.unwrap_or(0));
    }
    Ok(rows)
}

/// The out columns of a table at the rows of its keys.
pub(super) fn table_step(
    lowered: &Lowered,
    values: &mut Values,
    axes: &[usize],
    (table, site): (usize, Site),
    keys: &[Form],
    outs: &[u32],
) -> Result<(), ExecuteError> {
    let table = &lowered.tables[table];
    let coords: Vec<_> = keys.iter().map(|key| dense(key, axes, lowered, values)).collect();
    let mut results = zeros(outs.len(), axes.iter().product(), values.hands);
    let piece = |(first, mut parts): (usize, Vec<&mut [i64]>)| -> Result<(), ExecuteError> {
        let mut rows = [0; CHUNK];
        let length = parts.first().map_or(0, |part| part.len());
        for at in (0..length).step_by(CHUNK) {
            let (first, count) = (first + at, CHUNK.min(length - at));
            let columns: Vec<&[i64]> = coords.iter().map(|coord| &coord[first..first + count]).collect();
            let missing = |position| ExecuteError::NotARow { site, position: first + position };
            let rows = rows_of(&table.keys, &columns, &mut rows).map_err(missing)?;
            for (part, out) in parts.iter_mut().zip(&table.outs) {
                part[at..].iter_mut().zip(rows).for_each(|(slot, &row)| *slot = out[row]);
            }
        }
        Ok(())
    };
    values.hands.each(pieces(&mut results).into_iter(), piece).into_iter().collect::<Result<(), _>>()?;
    drop(coords);
    for (&column, result) in outs.iter().zip(results) {
        values[column as usize] = Some(result);
    }
    Ok(())
}

/// Counts how often each row of each table is looked up.
pub(super) fn multiplicities(lowered: &Lowered, values: &mut Values) -> Result<(), ExecuteError> {
    let rows = |keys: &[(i64, usize)]| keys.iter().map(|&(_, count)| count).product();
    let none = |_| lowered.tables.iter().map(|table| vec![0; rows(&table.keys)]).collect();
    // Everyone counts a share of each long lookup, the first the short ones.
    let mut shares: Vec<Vec<Vec<i64>>> = (0..values.hands.count.max(1)).map(none).collect();
    for look in &lowered.looks {
        let coords: Vec<_> =
            look.coords.iter().map(|form| dense(form, &look.axes, lowered, values)).collect();
        let length: usize = look.axes.iter().product();
        let own = length.div_ceil(shares.len()).max(PIECE).next_multiple_of(CHUNK);
        let starts = (0..length).step_by(own);
        let share = |(start, counts): (usize, &mut Vec<Vec<i64>>)| -> Result<(), ExecuteError> {
            let end = length.min(start + own);
            for first in (start..end).step_by(CHUNK) {
                let part = first..end.min(first + CHUNK);
                let columns: Vec<&[i64]> = coords.iter().map(|coord| &coord[part.clone()]).collect();
                let missing =
                    |position| ExecuteError::NotARow { site: look.site, position: first + position };
                count(&lowered.tables[look.table], &columns, &mut counts[look.table]).map_err(missing)?;
            }
            Ok(())
        };
        let found = values.hands.each(starts.zip(&mut shares), share);
        found.into_iter().collect::<Result<(), _>>()?;
    }
    let mut shares = shares.into_iter();
    let mut counts = shares.next().unwrap_or_default();
    for share in shares {
        for (count, own) in counts.iter_mut().flatten().zip(share.iter().flatten()) {
            *count += own;
        }
    }
    for (table, count) in lowered.tables.iter().zip(counts) {
        values[table.multiplicity as usize] = Some(count.into());
    }
    Ok(())
}

/// Counts the rows of tuples of keys and outs. `Err` is the first position that is no row.
fn count(table: &LookTable, columns: &[&[i64]], counts: &mut [i64]) -> Result<(), usize> {
    let (keys, outs) = columns.split_at(table.keys.len());
    let mut rows = [0; CHUNK];
    let rows = match rows_of(&table.keys, keys, &mut rows) {
        Ok(rows) => rows,
        // An earlier position may have other outs.
        Err(missing) => {
            let before: Vec<&[i64]> = columns.iter().map(|column| &column[..missing]).collect();
            count(table, &before, counts)?;
            return Err(missing);
        }
    };
    for (out, column) in table.outs.iter().zip(outs) {
        if let Some(position) = rows.iter().zip(*column).position(|(&row, &value)| out[row] != value) {
            return Err(first_other(table, rows, outs).unwrap_or(position));
        }
    }
    rows.iter().for_each(|&row| counts[row] += 1);
    Ok(())
}

/// The first position whose outs are not those of its row.
fn first_other(table: &LookTable, rows: &[usize], outs: &[&[i64]]) -> Option<usize> {
    let other = |(position, &row): (usize, &usize)| {
        table.outs.iter().zip(outs).any(|(out, column)| out[row] != column[position])
    };
    rows.iter().enumerate().position(other)
}
