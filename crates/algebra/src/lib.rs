//! Goldilocks, its quadratic extension, binary-chunk layouts, transforms and hashing kernels.
