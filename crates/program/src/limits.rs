//! Bounds of everything a stranger can choose. Every count is compared with its bound before
//! memory is allocated for it.

/// The prime of the field, 2^64 - 2^32 + 1.
pub const PRIME: u128 = 0xffff_ffff_0000_0001;

/// Declared tensors of a Program.
pub const TENSORS: u64 = 1 << 14;
/// Operators of a Program.
pub const OPERATORS: u64 = 1 << 14;
/// Columns of all operators together.
pub const COLUMNS: u64 = 1 << 17;
/// Declared tables of a Program.
pub const TABLES: u64 = 256;
/// Rows of one table.
pub const TABLE_ROWS: u64 = 1 << 22;
/// Rows of all declared tables, times one and the terms for each of their outs, together: what filling them costs, and the
/// values that are kept.
pub const TABLE_WORK: u64 = 1 << 23;
/// Coordinates of one table: keys and outs.
pub const COORDINATES: u64 = 8;
/// Axes of a tensor, and position axes of a relation.
pub const AXES: u64 = 8;
/// Terms of a Form.
pub const TERMS: u64 = 256;
/// Outputs of a Program.
pub const OUTPUTS: u64 = 256;
/// Reveals of a disclosure.
pub const REVEALS: u64 = 256;
/// Bytes of a Program's metadata.
pub const METADATA: u64 = 1 << 20;
/// Entries of all const tensors, gather lists, matrices and multiplier lists together.
pub const ENTRIES: u64 = 1 << 28;
/// Entries of one tensor, and positions of one relation.
pub const POSITIONS: u64 = 1 << 27;
/// Leaves of the lookup argument: positions of all lookups and rows of all tables in use.
pub const LEAVES: u64 = 1 << 27;
/// Inner products.
pub const IPS: u64 = 1 << 14;
/// Inner products and linear relations together.
pub const CONSTRAINTS: u64 = 1 << 16;
/// Inferences of one proof.
pub const BATCH: u64 = 1 << 16;
/// Bytes of a Statement's context.
pub const CONTEXT: u64 = 4096;
/// Oracles opened by one proof.
pub const ORACLES: u64 = 256;
/// Values of all slots of a Statement together, and of the public tensors made from them.
pub const SLOT_VALUES: u64 = 1 << 26;
/// Of these, flags of labels: two per class and label, while the Statement holds one number per label.
pub const LABEL_FLAGS: u64 = 1 << 20;
/// Largest absolute value of a tensor entry, an integer multiplier of a view and a bound.
pub const VALUE: i64 = 1 << 62;
/// Largest absolute step, dilation or offset of a map.
pub const STEP: i64 = 1 << 31;
/// Least sum of query and grinding bits.
pub const SECURITY: u64 = 100;
/// Largest number of grinding bits.
pub const GRIND: u64 = 24;
/// Least and largest number of rows of a rung.
pub const RUNG_ROWS: (u8, u8) = (4, 128);
/// Least and largest lg of positions per data coefficient.
pub const RUNG_RATE: (u8, u8) = (1, 5);
/// Rungs of a ladder that are spelt out.
pub const RUNGS: u64 = 8;
/// Least and largest bound on the last vector.
pub const LAST_VECTOR: (u16, u16) = (1024, 32_768);
/// Least number of limb bits.
pub const LIMB_LEAST: u8 = 4;
/// Largest number of limb bits.
pub const LIMB_MOST: u8 = 16;
/// Largest number of bits a Round shifts out.
pub const SHIFT: u8 = 40;
/// Largest number of bits of a Check or of a narrow quotient.
pub const CHECK_BITS: u8 = 62;
/// Largest number of bits of a Split.
pub const SPLIT_BITS: u8 = 31;
/// Largest number of low or high bits of a wide quotient.
pub const WIDE_BITS: u8 = 16;
/// Multipliers of a Round are below this.
pub const MULTIPLIER: i64 = 1 << 31;
/// Largest lg of the positions of an oracle.
pub const ORACLE_LOG: u8 = 27;
