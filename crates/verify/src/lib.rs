//! Program + Statement + proof bytes -> Verdict. Total, small, no threads, no clock.
