//! Claims about sums become claims about points: masked messages and batched inner products.
