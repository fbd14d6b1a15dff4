//! Program + secrets -> Proof.
